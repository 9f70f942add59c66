# SPDX-License-Identifier: Apache-2.0
"""The linters, with few exceptions and the reason of each: what `make lint` runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.contract.tree import ROOT, committed, passes

pytestmark = pytest.mark.lint


def test_ansible_lint_production() -> None:
    passes(["ansible-lint", "--offline", "--nocolor", "--strict", "--profile", "production"])


def test_yamllint() -> None:
    passes(["yamllint", "--strict", "--format", "parsable", "."])


def test_ruff_check() -> None:
    passes(["ruff", "check", "--quiet", "."])


def test_ruff_format() -> None:
    passes(["ruff", "format", "--check", "--diff", "--quiet", "."])


def test_mypy_strict() -> None:
    passes(["mypy", "collections/ansible_collections/ascend/fleet/plugins", "scripts", "sim", "tests"])


BASH = [path for path in committed() if path.read_bytes().startswith(b"#!/usr/bin/env bash")]


@pytest.mark.parametrize("script", BASH, ids=lambda path: str(path.relative_to(ROOT)))
def test_bash_reads(script: Path) -> None:
    passes(["bash", "-n", script])


def test_linters_are_not_told_to_look_away() -> None:
    settings = (ROOT / ".ansible-lint").read_text()
    assert "skip_list" not in settings
    assert "warn_list" not in settings
    assert "profile: production" in settings


SILENT = re.compile(r"#\s*(noqa|type:\s*ignore)(?P<codes>(?::\s*|\[)[A-Za-z0-9,\[\] -]+)?(?P<rest>.*)")


def without_reason(text: str) -> list[str]:
    """The lines at which a linter is told to look away, and not of which rule and why."""
    found = ((line, SILENT.search(line)) for line in text.splitlines())
    return [line for line, match in found if match and not (match["codes"] and re.search(r"[a-z]{3}", match["rest"]))]


@pytest.mark.parametrize(
    ("line", "is_right"),
    [
        ("x = y  # noqa: E402  (after the path)", True),
        ("class A(B):  # type: ignore[misc]  # ansible ships no types", True),
        ("a: false # noqa: var-naming[no-role-prefix]  (its usual name)", True),
        ("x = y  # noqa: E402", False),
        ("x = y  # noqa", False),
        ("x = y  # type: ignore[misc]", False),
        ("x = y  # type: ignore", False),
    ],
)
def test_a_reason_is_known(line: str, is_right: bool) -> None:
    assert (without_reason(line) == []) is is_right


def test_every_exception_has_its_rule_and_its_reason() -> None:
    code = [path for path in committed() if path.suffix in (".py", ".yml") and path != Path(__file__).resolve()]
    assert {path.name: lines for path in code if (lines := without_reason(path.read_text("utf-8")))} == {}


def test_no_exception_is_needless() -> None:
    passes(["ruff", "check", "--quiet", "--extend-select", "RUF100", "."])
