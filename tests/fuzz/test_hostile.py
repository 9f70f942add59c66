# SPDX-License-Identifier: Apache-2.0
"""What an operator gives is read by no shell, nor as an option: hostile values through the real commands and files.

A value that were read would make the canary, a file. What cannot be written so that its reader takes it as it is (a
line break in a unit) is refused before: the roles' own patterns say so, and are taken from their files here.
"""

from __future__ import annotations

import itertools
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from ansible.plugins.filter.core import FilterModule as Core
from hypothesis import HealthCheck, given, settings, strategies as st

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import run
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.rack.paths import read_paths
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot import source
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.inventory.check import Given, require_right
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan import places
from ansible_collections.ascend.fleet.plugins.plugin_utils import scheduler
from ansible_collections.ascend.fleet.plugins.plugin_utils.sender import Sender
from tests.contract.tree import ROOT

CANARY = "/dev/shm/ascend-canary"
TOUCH = f"touch {CANARY}"
HOSTILE = [
    f"$({TOUCH})",
    f"`{TOUCH}`",
    f"; {TOUCH};",
    f"| {TOUCH}",
    f"&& {TOUCH} #",
    f"x\n{TOUCH}\n",
    f"'; {TOUCH}; '",
    f'"; {TOUCH}; "',
    f"$'\\n'{TOUCH}",
    f"${{IFS}};{TOUCH}",
    f"<({TOUCH})",
    f"--upload-pack={TOUCH}",
    f"-oProxyCommand={TOUCH}",
    f"ext::sh -c {TOUCH.replace(' ', '% ')}",
    f"-c {TOUCH}",
    "a b",
    "50% off",
    "2001:db8::1",
    "[fe80::1%eth0]:22",
    "a-b_c.d",
    "\\",
    "'",
    '"',
    "$HOME",
    "%n%h",
    "\u00fc\u4f60",
]
PIECES = st.sampled_from([*HOSTILE, "/", " ", "x", "-", "\t"])
VALUES = st.one_of(
    st.sampled_from(HOSTILE), st.lists(PIECES, min_size=1, max_size=4).map("".join), st.text(max_size=20)
)
# A name of a file or folder: what the kernel takes.
NAMES = VALUES.map(lambda text: text.replace("/", "_").replace("\0", "_").encode("utf-8", "replace").decode()).filter(
    lambda name: name not in ("", ".", "..") and len(name.encode()) < 200
)
some = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(autouse=True)
def canary() -> Iterator[None]:
    path = Path(CANARY)
    path.unlink(missing_ok=True)
    yield
    found = path.exists()
    path.unlink(missing_ok=True)
    assert not found, "a value was read as a command"


def test_the_canary_is_made_where_a_shell_reads() -> None:
    for value in HOSTILE[:3]:
        subprocess.run(["sh", "-c", f"echo {value}"], check=False, capture_output=True)
        assert Path(CANARY).exists(), value
        Path(CANARY).unlink()


SHOW = [sys.executable, "-I", "-S", "-c", "import json, sys; print(json.dumps(sys.argv[1:]))"]


@some
@given(VALUES)
def test_a_scheduler_gets_its_words(value: str) -> None:
    argv = scheduler.argv_of(scheduler.DRAIN, [*SHOW, value])
    answer = scheduler.ask(argv)
    if "\0" in value:
        assert answer.code == 127
    else:
        assert json.loads(answer.output) == [value.encode("utf-8", "replace").decode()]


@some
@given(VALUES)
def test_a_schedulers_command_as_text_is_split_and_not_run_by_a_shell(value: str) -> None:
    try:
        argv = scheduler.argv_of(scheduler.DRAIN, f"{shlex.join(SHOW)} {value}")
    except AscendError:
        return  # quotes that are not closed
    if "\0" not in value:
        assert json.loads(scheduler.ask(argv).output) == shlex.split(value)


@some
@given(NAMES)
def test_where_files_are_sent_is_one_word_of_every_shell(name: str) -> None:
    class Connection:
        transport = "other"
        has_pipelining = True

    command = Sender(Connection(), dict, f"/nowhere/{name}", sys.executable).command
    shown = subprocess.run(["sh", "-c", f"set -- {command}; printf '%s\\0' \"$@\""], capture_output=True, check=True)
    assert shown.stdout.decode().split("\0")[3] == f"/nowhere/{name}"


@pytest.mark.parametrize("value", HOSTILE)
def test_a_checkouts_address_and_version_are_no_options_of_git(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_SSH_COMMAND", "false")  # what has a colon is a host to git
    for url, version in ((value, "v1"), (str(tmp_path / "none"), value)):
        with pytest.raises(AscendError, match="cannot clone"):
            source._clone({"url": url, "version": version}, tmp_path)


@some
@given(st.lists(NAMES, min_size=1, max_size=3, unique=True))
def test_paths_are_read_by_their_names(tmp_path: Path, names: list[str]) -> None:
    paths = [str(tmp_path / name) for name in names]
    for path in paths:
        Path(path).write_text("x")
    found = read_paths(run, paths, None)
    assert {path: found[path]["error"] for path in paths} == dict.fromkeys(paths)


@pytest.mark.parametrize("value", HOSTILE)
def test_ascend_env_reads_none_of_its_words(value: str, tmp_path: Path) -> None:
    program = str(ROOT / "roles/torch_npu/files/ascend-env")
    for argv, link in (([program, value, value], "/nowhere"), ([program, "true"], value)):
        done = subprocess.run(
            argv, env={"ASCEND_FLEET_ENVIRONMENT": link}, cwd=tmp_path, capture_output=True, check=False
        )
        assert done.returncode == 127


@some
@given(VALUES)
def test_a_place_on_a_node_is_a_plain_path(value: str) -> None:
    right = {
        "ascend_root": "/opt/a",
        "cache_dir": "/var/b",
        "state_dir": "/var/c",
        "tmp_dir": "/var/tmp",
        "cann_root": "/d",
    }
    for name, text in itertools.product(right, (value, "/" + value, "/srv/" + value)):
        try:
            found = places.places({**right, name: text})
        except AscendError:
            continue
        assert all(shlex.quote(path) == path for path in found.values())


# Literal values of names and addresses that ssh is given as its words.
REACHED = ["npu-001", "192.0.2.1", "2001:db8::1", "fe80::1%eth0", "npu_1.rack-2.example", "[2001:db8::1]"]


@pytest.mark.parametrize("name", ["inventory_hostname", "ansible_host", "ansible_user"])
def test_an_address_is_no_option_and_no_command(name: str) -> None:
    for value in (value for value in HOSTILE if TOUCH.split()[0] in value):
        with pytest.raises(AscendError, match=re.escape(name)):
            require_right([Given("host x", {name: value})], [])
    for value in REACHED:
        require_right([Given("host x", {name: value})], [])
    require_right([Given("host x", {"ansible_user": "CORP\\alice", "ansible_host": "{{ bmc | x('-') }}"})], [])


def patterns(role: str, file: str) -> dict[str, str]:
    """The patterns by which a role refuses values, from its tasks."""
    tasks = yaml.safe_load((ROOT / "roles" / role / "tasks" / file).read_text())
    found = {name: value for task in tasks for name, value in task.get("vars", {}).items()}
    return {name: value for name, value in found.items() if isinstance(value, str) and "{{" not in value}


def rendered(role: str, template: str, **variables: Any) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROOT / "roles" / role / "templates"),
        trim_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(Core().filters())
    environment.globals["lookup"] = lambda *_: "root"
    return environment.get_template(template).render(**variables)


SERVED: dict[str, Any] = {
    "depot_server_dir": "/srv/depot",
    "depot_server_port": 8080,
    "depot_server_certificate": "/etc/c",
    "depot_server_key": "/etc/k",
    "depot_server_conf": "/etc/conf",
    "depot_server_run": "/run/x",
    "depot_server_unit": "/etc/systemd/system/x.service",
    "depot_server_has_systemd": False,
}


@some
@given(st.sampled_from(["depot_server_dir", "depot_server_certificate", "depot_server_key"]), VALUES)
def test_nginx_and_its_unit_get_a_path_as_it_is_or_it_is_refused(name: str, value: str) -> None:
    value = f"/{value}"
    if not re.match(patterns("depot_server", "main.yml")["__depot_server_path"], value):
        return
    conf = rendered("depot_server", "nginx.conf.j2", **{**SERVED, name: value})
    assert len(conf.splitlines()) == len(rendered("depot_server", "nginx.conf.j2", **SERVED).splitlines())
    assert f'"{value}";' in conf
    unit = rendered("depot_server", "ascend-fleet-depot.service.j2", **{**SERVED, name: value})
    assert len(unit.splitlines()) == len(
        rendered("depot_server", "ascend-fleet-depot.service.j2", **SERVED).splitlines()
    )


@pytest.mark.parametrize("value", HOSTILE)
def test_nginx_reads_what_is_not_refused(value: str, tmp_path: Path) -> None:
    folder = str(tmp_path / value.replace("/", "_"))
    if not re.match(patterns("depot_server", "main.yml")["__depot_server_path"], folder):
        return
    conf = tmp_path / "nginx.conf"
    none = {"depot_server_certificate": "", "depot_server_key": ""}
    conf.write_text(
        rendered(
            "depot_server",
            "nginx.conf.j2",
            **{**SERVED, **none, "depot_server_dir": folder, "depot_server_run": str(tmp_path)},
        )
    )
    done = subprocess.run(["nginx", "-t", "-c", str(conf)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


NIGHTLY: dict[str, Any] = {
    "nightly_at": "*-*-* 02:00:00",
    "nightly_delay_s": 0,
    "nightly_timeout_s": 60,
    "nightly_user": "ascend-fleet",
    "nightly_reports_dir": "/var/reports",
    "nightly_ssh_key": "/etc/key",
    "nightly_vault_password_file": "/etc/password",
    "nightly_on_failure": "",
    "nightly_by_helper": False,
    "ansible_inventory_sources": ["/etc/inventory"],
    "__nightly_collection": "/opt/fleet",
    "__nightly_folder": "/",
    "__nightly_bin": "/opt/venv/bin",
    "__nightly_check": "playbooks/drift.yml",
    "__nightly_collections": "",
    "__nightly_run": "/run/x",
    "__nightly_user_home": "/var/home",
    "__nightly_log_dir": "/var/log/x",
}
PATHS = ["nightly_reports_dir", "nightly_ssh_key", "nightly_vault_password_file", "__nightly_bin"]
WORDS = {"nightly_user": "__nightly_account", "nightly_on_failure": "__nightly_unit", "nightly_at": "__nightly_time"}
TEMPLATES = ["ascend-fleet-drift.service.j2", "ascend-fleet-drift.timer.j2"]


@some
@given(st.sampled_from([*PATHS, *WORDS]), VALUES)
def test_the_nightly_units_get_a_value_as_it_is_or_it_is_refused(name: str, value: str) -> None:
    value = value if name in WORDS else f"/{value}"
    if not re.match(patterns("nightly", "inputs.yml")[WORDS.get(name, "__nightly_path")], value):
        return
    for template in TEMPLATES:
        right = rendered("nightly", template, **{**NIGHTLY, "nightly_on_failure": "x.service"})
        unit = rendered("nightly", template, **{**NIGHTLY, "nightly_on_failure": "x.service", name: value})
        lines = len(unit.split("\n"))
        assert lines == len(right.split("\n")) - (name == "nightly_on_failure" and not value and "OnFailure" in right)
        for line in unit.replace("\\\n", " ").splitlines():
            if line.startswith(("ExecStart=", "ReadWritePaths=", "RequiresMountsFor=")):
                words = [word.replace("%%", "%") for word in shlex.split(line.split("=", 1)[1])]
                wanted = shlex.split(
                    next(
                        each
                        for each in right.replace("\\\n", " ").splitlines()
                        if each.startswith(line.split("=")[0] + "=")
                    ).split("=", 1)[1]
                )
                assert len(words) == len(wanted)


@some
@given(st.sampled_from(PATHS[:3]), VALUES)
def test_the_line_for_cron_is_read_by_a_shell_as_it_was_given(tmp_path: Path, name: str, value: str) -> None:
    value = f"/{value}"
    if not re.match(patterns("nightly", "inputs.yml")["__nightly_path"], value):
        return
    stub = tmp_path / "flock"
    if not stub.exists():
        stub.write_text('#!/bin/sh\nprintf \'%s\\0\' "$@" >"$OUT"\n')
        stub.chmod(0o755)
    variables = {**NIGHTLY, name: value, "__nightly_bin": str(tmp_path), "__nightly_log_dir": str(tmp_path)}
    text = rendered("nightly", "cron-present.txt.j2", **variables)
    (line,) = [line for line in text.split("\n") if line.startswith("0 2 * * *")]
    command = line.split(None, 5)[5].replace("\\%", "%")
    out = tmp_path / "out"
    subprocess.run(
        ["/bin/sh", "-c", command], env={"PATH": "/usr/bin:/bin", "OUT": str(out)}, capture_output=True, check=True
    )
    words = out.read_bytes().decode().split("\0")
    if name == "nightly_reports_dir":
        assert json.loads(words[words.index("-e") + 1]) == {"drift_dir": value}
    else:
        assert value in words
