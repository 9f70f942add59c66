# SPDX-License-Identifier: Apache-2.0
"""What needs a real systemd: units of runs and models, their ends, a reboot, logs. The tests run in this order."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import demo
import pytest
import testinfra

from tests.e2e import learning
from tests.e2e.booted import NAME, NODE, kernel_settings, printed, reboot, sh, show, until
from tests.e2e.conftest import Fleet, fleet_command
from tests.e2e.learning import NO_CARD, train
from tests.e2e.serving import FOLDER, MODEL, TINY, ask, make_model, playbook

pytestmark = [pytest.mark.e2e, pytest.mark.whole]  # a quarter of an hour

RUN = "ascend-train-tiny.service"
MODEL_UNIT = "ascend-serve-tiny.service"
PACKAGES = "/opt/ascend/env/current/lib/python3.10/site-packages"
# Whoever is root on the node tries; a mount that is writable again is no way around it.
ATTEMPTS = (
    "echo 1 >/proc/sys/vm/swappiness",
    "unshare --mount sh -c 'mount -o remount,rw /proc/sys; echo 1 >/proc/sys/vm/swappiness'",
    "unshare --mount sh -c 'mount -t proc proc /mnt; echo 1 >/mnt/sys/vm/swappiness'",
    "systemd-run --quiet --collect --wait sh -c 'echo 1 >/proc/sys/vm/swappiness'",
    "systemd-run --quiet --collect --wait -p ProtectProc=invisible sh -c 'echo 1 >/proc/sys/vm/swappiness'",
    "sysctl -w kernel.sysrq=0 fs.file-max=100000 vm.swappiness=1",
    "mount -o remount,rw /sys",
    "mknod /dev/disk b 254 0",
    "mkdir /sys/fs/cgroup/ours",
    "echo $$ >/sys/fs/cgroup/cgroup.procs",
)


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """As they were before the node began."""
    return kernel_settings()


@pytest.fixture(scope="module")
def booted(tmp_path_factory: pytest.TempPathFactory, settings: dict[str, str]) -> Iterator[Fleet]:
    assert settings
    assert demo.packages() == 0
    state = tmp_path_factory.mktemp("systemd") / "state"
    fleet_command(state, "down", name=NAME)
    fleet_command(state, "up", "--nodes", "1", "--profile", "systemd", name=NAME)
    yield Fleet(state, NODE)
    fleet_command(state, "down", name=NAME)


@pytest.fixture(scope="module")
def host(booted: Fleet) -> Any:
    """The node by podman, which a reboot does not cut off."""
    assert booted.node == NODE
    return testinfra.get_host(f"podman://{NODE}")


@pytest.fixture(scope="module")
def ready(booted: Fleet, host: Any) -> Fleet:
    """With an environment, an account that trains, and a model to serve."""
    run = booted.site()
    assert run.code == 0, run.output
    learning.alice(host)
    make_model(host)
    return booted


def status(fleet: Fleet) -> str:
    return " ".join(fleet.playbook("playbooks/train_status.yml", "-e", "train_name=tiny").output.split())


def processes(account: str) -> str:
    return printed(f"ps -o pid,args --no-headers -u {account} | grep -v ' (sd-pam)$' | grep -v 'systemd --user$'")


@pytest.mark.usefixtures("booted")
def test_the_node_boots_and_no_unit_fails() -> None:
    assert sh("ps -o comm= 1") == "systemd\n"
    until(lambda: printed("systemctl is-system-running").strip() != "starting")
    assert printed("systemctl --failed --no-legend") == ""
    assert show("ssh.service", "ActiveState") == ["active"]
    assert sh("ls /var/log/journal/*/system.journal")


@pytest.mark.usefixtures("booted")
@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_root_of_the_node_does_not_reach_this_machine(settings: dict[str, str], attempt: str) -> None:
    assert sh(f"({attempt}) >/dev/null 2>&1 && echo done || echo refused") == "refused\n"
    assert kernel_settings() == settings


@pytest.mark.usefixtures("booted")
def test_settings_of_the_nodes_own_network_can_be_set() -> None:
    assert sh("sysctl -q -w net.ipv4.ip_default_ttl=61; cat /proc/sys/net/ipv4/ip_default_ttl") == "61\n"
    assert Path("/proc/sys/net/ipv4/ip_default_ttl").read_text(encoding="utf-8") != "61\n"


def test_a_second_run_changes_nothing(ready: Fleet) -> None:
    run = ready.site()
    assert (run.code, run.changed) == (0, 0), run.output


def test_a_run_that_ends_by_itself_is_followed_and_leaves_no_process(ready: Fleet, tmp_path: Path, host: Any) -> None:
    run = train(ready, tmp_path, 40, NO_CARD, train_follow=True)
    assert run.code == 0, run.output
    assert "loginctl enable-linger alice" in run.output
    sh("loginctl enable-linger alice")
    lost = learning.losses(host)
    assert lost[-1] < 0.7 * lost[0], lost
    assert "tiny: done, as alice" in status(ready)
    assert processes("alice") == ""
    assert show(RUN, "ActiveState", "Result") == ["inactive", "success"]
    assert "ascend-train-tiny" not in printed("systemctl --failed --no-legend")


def test_a_run_is_its_accounts_unit_and_all_of_it_ends_when_it_is_stopped(ready: Fleet, tmp_path: Path) -> None:
    run = train(ready, tmp_path, 100_000, NO_CARD, train_devices="0,1")
    assert run.code == 0, run.output
    until(lambda: printed("cat ~alice/saves/tiny/lora/sft/trainer_log.jsonl | grep -c current_steps") != "0\n")
    main = show(RUN, "MainPID", "User", "ActiveState", "TasksMax", "OOMPolicy")
    assert main[1:] == ["alice", "active", "infinity", "continue"]
    assert "enable-linger" not in run.output
    group = sh(f"grep ^0:: /proc/{main[0]}/cgroup").strip().rpartition("/")[2]
    assert group == RUN
    mine = sh(f"systemctl status --no-pager {RUN} | grep -c llamafactory")
    assert int(mine) >= 1
    assert "tiny: running, as alice" in status(ready)
    facts = ready.facts("gather_subset=npu")
    assert [(each["name"], each["pid"]) for each in facts["npu"]["processes"]] == [("training tiny", int(main[0]))]
    stopped = ready.playbook("playbooks/train_stop.yml", "-e", "train_name=tiny")
    assert "tiny: stopped, as alice" in stopped.output, stopped.output
    assert processes("alice") == ""
    assert printed(f"systemctl cat {RUN} 2>&1").startswith("No files found")
    assert ready.facts("gather_subset=npu")["npu"]["processes"] == []


@pytest.mark.parametrize(
    ("killed", "words"),
    [
        ("the runner", "tiny: lost, as alice"),
        ("the training", "tiny: failed, as alice"),
    ],
)
def test_a_run_that_is_killed_ends_altogether(ready: Fleet, tmp_path: Path, killed: str, words: str) -> None:
    """As the kernel's OOM killer does."""
    run = train(ready, tmp_path, 100_000, NO_CARD)
    assert run.code == 0, run.output
    until(lambda: "launcher" in processes("alice") or "llamafactory-cli train" in processes("alice"))
    main = show(RUN, "MainPID")[0]
    sh(f"kill -9 {main}" if killed == "the runner" else f"kill -9 $(pgrep -P {main})")
    until(lambda: show(RUN, "ActiveState") == ["failed"])
    assert processes("alice") == ""
    assert words in status(ready)
    # Nobody who looks after the node is alarmed for good by a run that was looked at and ended.
    assert ready.playbook("playbooks/train_stop.yml", "-e", "train_name=tiny").code == 0
    assert printed("systemctl --failed --no-legend") == ""
    again = train(ready, tmp_path, 5, NO_CARD, train_follow=True)
    assert again.code == 0, again.output


def test_a_change_drains_the_node_and_waits_for_its_run(ready: Fleet, tmp_path: Path) -> None:
    sh(f"cp --archive {PACKAGES}/fire-0.7.0.dist-info {PACKAGES}/leftover-1.0.dist-info")
    assert train(ready, tmp_path, 100, NO_CARD).code == 0
    asked = tmp_path / "asked"
    given = {f"rollout_{each}_command": f"sh -c 'echo {each} >>{asked}'" for each in ("drain", "resume")}
    run = ready.site("-e", json.dumps({**given, "ascend_busy_policy": "wait", "ascend_busy_wait_s": 300}))
    assert run.code == 0, run.output
    assert asked.read_text(encoding="utf-8") == "drain\nresume\n"
    assert "tiny: done, as alice" in status(ready)
    assert printed(f"ls -d {PACKAGES}/leftover-1.0.dist-info 2>/dev/null") == ""


@pytest.fixture(scope="module")
def served(ready: Fleet) -> Fleet:
    run = playbook(ready, "serve", TINY)
    assert run.code == 0, run.output
    assert "no systemd" not in run.output
    return ready


@pytest.mark.usefixtures("served")
def test_a_model_is_served_by_a_unit_in_its_sandbox(host: Any) -> None:
    assert (ask(host)[0], ask(host, key="guessed")[0]) == (200, 401)
    main, account, state, enabled = show(MODEL_UNIT, "MainPID", "User", "ActiveState", "UnitFileState")
    assert (account, state, enabled) == ("ascend-serve", "active", "enabled")
    status_lines = dict(line.split(":\t", 1) for line in sh(f"cat /proc/{main}/status").splitlines() if ":\t" in line)
    assert (status_lines["NoNewPrivs"], status_lines["Seccomp"], int(status_lines["CapBnd"], 16)) == ("1", "2", 0)
    # In its view of the file systems even root writes its own folder alone, and a /tmp of its own.
    inside = f"nsenter --target {main} --mount"
    for place in ("/opt/ascend", "/etc", "/var/lib/ascend-fleet", MODEL, "/home/alice"):
        assert "Read-only file system" in printed(f"{inside} touch {place}/x 2>&1"), place
    assert printed(f"{inside} touch {FOLDER}/out/x /tmp/x 2>&1; rm {FOLDER}/out/x; ls /tmp/x 2>&1").startswith("ls: ")


def test_what_serves_begins_again_when_it_is_killed(served: Fleet, host: Any) -> None:
    main = show(MODEL_UNIT, "MainPID")[0]
    sh(f"kill -9 {main}")
    until(lambda: show(MODEL_UNIT, "MainPID")[0] not in ("0", main))
    until(lambda: ask(host)[0] == 200, 300)
    assert show(MODEL_UNIT, "NRestarts") == ["1"]
    assert [each["state"] for each in served.facts("gather_subset=system")["services"]] == ["serving"]
    owners = sh("ps -o user:20= -C llamafactory-cl").split()
    assert set(owners) == {"ascend-serve"}


@pytest.mark.usefixtures("served")
def test_its_log_is_turned(host: Any) -> None:
    assert printed("logrotate --force /etc/logrotate.d/ascend-serve 2>&1") == ""
    assert sh(f"ls {FOLDER}/out/log.1.gz")
    assert ask(host)[0] == 200
    assert int(sh(f"stat -c %s {FOLDER}/out/log")) > 0, "it goes on to write there"
    assert printed("systemctl start logrotate.service 2>&1") == ""
    assert show("logrotate.service", "Result") == ["success"]


def test_drift_sees_a_unit_that_was_changed(served: Fleet) -> None:
    assert_no_service_finding(served)
    sh(f"sed -i 's/^NoNewPrivileges=yes//' /etc/systemd/system/{MODEL_UNIT}; systemctl daemon-reload")
    run = playbook(served, "drift", TINY)
    assert "service-altered" in run.output, run.output[-3000:]
    assert "its unit was changed" in run.output
    sh("systemctl disable ascend-serve-tiny")
    cured = playbook(served, "serve", TINY)
    assert (cured.code, cured.changed) == (0, 1), cured.output
    assert show(MODEL_UNIT, "NoNewPrivileges", "UnitFileState") == ["yes", "enabled"]
    assert_no_service_finding(served)


def assert_no_service_finding(fleet: Fleet) -> None:
    run = playbook(fleet, "drift", TINY)
    assert not re.search("service-(down|silent|altered|absent)", run.output), run.output[-3000:]


def test_it_serves_after_a_reboot(served: Fleet, host: Any, tmp_path: Path) -> None:
    run = train(served, tmp_path, 100_000, NO_CARD, train_devices="1")
    assert run.code == 0, run.output
    reboot()
    until(lambda: ask(host)[0] == 200, 300)
    assert "tiny: stopped, as alice" in status(served), "systemd asked it to end"
    assert served.facts("gather_subset=npu")["npu"]["processes"][0]["name"] == "serving tiny"
    assert printed("systemctl --failed --no-legend") == ""


def test_what_is_stopped_leaves_no_unit_and_no_error_in_the_journal(served: Fleet) -> None:
    stopped = playbook(served, "serve_stop")
    assert stopped.code == 0, stopped.output
    assert processes("ascend-serve") == ""
    assert printed(f"systemctl cat {MODEL_UNIT} 2>&1").startswith("No files found")
    assert printed("find /etc/systemd /run/systemd/system -name 'ascend-serve*' -o -name 'ascend-train*'") == ""
    assert printed("journalctl --no-pager --quiet --priority err --boot --unit 'ascend-*' --output cat") == ""


def test_this_machines_kernel_settings_are_as_they_were(ready: Fleet, settings: dict[str, str]) -> None:
    assert json.loads((ready.state / "fleet.json").read_text(encoding="utf-8"))["nodes"][NODE]["profile"] == "systemd"
    assert kernel_settings() == settings
