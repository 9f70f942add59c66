# SPDX-License-Identifier: Apache-2.0
"""What no committed file may say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.contract.tree import ROOT, committed

FORBIDDEN = {
    "a path of one developer's machine": r"/root/\.(?:pyenv|cache|local)\b|/home/(?!anna/|berta/|/|\$)\w+/",
    "SSH without known host keys": r"host_key_checking\s*[=:]\s*['\"]?(false|no|off|0)\b"
    r"|StrictHostKeyChecking[ =]+['\"]?(no|off|accept-new)\b|UserKnownHostsFile[ =]+/dev/null"
    r"|AutoAddPolicy|WarningPolicy",
    "TLS without verification": r"validate_certs\s*[=:]\s*['\"]?(false|no)\b|verify\s*=\s*False"
    r"|--trusted-host|--insecure",
    "an error that is ignored": r"^\s*ignore_errors\s*:|except Exception:\s*pass",
    "work that is left for later": r"(?-i:\b(TODO|FIXME|XXX)\b)",
    "an error of Ansible's with a cause, whose words ansible-core 2.19 adds": r"raise Ansible\w+\(.*\) from (?!None)",
    "a host name of a package registry": r"pypi\.org|pythonhosted\.org|registry\.npmjs|deb\.debian\.org",
}
# Text that others wrote: the licence. This file has to spell out what it forbids.
OTHERS = {ROOT / "LICENSE", Path(__file__).resolve()}


def texts() -> list[Path]:
    return [path for path in committed() if path not in OTHERS and b"\0" not in path.read_bytes()[:4096]]


def found(what: str, text: str) -> list[str]:
    return [match.group().strip() for match in re.finditer(FORBIDDEN[what], text, re.IGNORECASE | re.MULTILINE)]


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_says(what: str) -> None:
    said = {str(path.relative_to(ROOT)): found(what, path.read_text()) for path in texts()}
    assert {name: matches for name, matches in said.items() if matches} == {}


@pytest.mark.parametrize(
    "text",
    [
        "cd /home/somebody/project",
        "host_key_checking = False",
        "-o StrictHostKeyChecking=no",
        "  validate_certs: false",
        "  ignore_errors: true",
        "# TODO: later",
        "        raise AnsibleActionFail(str(error)) from error",
    ],
)
def test_what_is_forbidden_is_seen(text: str) -> None:
    assert any(found(what, text) for what in FORBIDDEN)


def test_inventory_addresses_are_for_documentation() -> None:
    """Examples use the addresses that RFC 5737 sets aside, so that nobody's machine is reached by mistake."""
    addresses = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b")
    documentation = re.compile(r"192\.0\.2\.|198\.51\.100\.|203\.0\.113\.|127\.0\.0\.")
    for path in (ROOT / "inventory" / "prod").rglob("*.yml"):
        strange = [address for address in addresses.findall(path.read_text()) if not documentation.match(address)]
        assert strange == [], path


def test_committed_python_names_its_licence() -> None:
    code = [path for path in committed() if path.suffix == ".py" and path.read_text().strip()]
    bare = [path for path in code if "SPDX-License-Identifier: Apache-2.0" not in "".join(path.read_text()[:400])]
    assert [str(path.relative_to(ROOT)) for path in bare] == []


def test_nothing_heavy_is_committed() -> None:
    heavy = {str(path.relative_to(ROOT)): path.stat().st_size for path in committed() if path.stat().st_size > 500_000}
    assert heavy == {}
