# SPDX-License-Identifier: Apache-2.0
"""Facts over real SSH, on the node that test_main_job.py left converged: every fault by its name, and nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.answers import names
from tests.e2e.conftest import NODE, Fleet
from tests.replay import replayed

pytestmark = pytest.mark.e2e

TOOLKIT = "/usr/local/Ascend/ascend-toolkit/8.0.RC1"
LATEST = "/usr/local/Ascend/ascend-toolkit/latest"
SITE_PACKAGES = "/opt/ascend/env/current/lib/python3.10/site-packages"
LIBRARY = f"{TOOLKIT}/runtime/lib64/libascendcl.so"


@pytest.fixture(scope="module", autouse=True)
def converged(fleet: Fleet) -> None:
    run = fleet.site()
    assert run.code == 0, run.output


def sim(*settings: str) -> tuple[str, str]:
    """A fault of the simulated hardware, and its end."""
    keys = " ".join(setting.split("=")[0] for setting in settings)
    quoted = " ".join(f"'{setting}'" for setting in settings)
    return f"ascend-sim set {quoted}", f"ascend-sim unset {keys}"


def moved(path: str) -> tuple[str, str]:
    """A file or folder that is gone, and back."""
    return f"mv {path} {path}.away", f"mv {path}.away {path}"


def put(path: str, text: str) -> tuple[str, str]:
    """A file that was not there."""
    return f"printf '%s\\n' '{text}' > {path}", f"rm {path}"


def flipped(path: str) -> tuple[str, str]:
    """One byte changed; size and time are the old ones. Done twice it is undone."""
    code = (
        "import os, sys; path = sys.argv[1]; status = os.stat(path); data = bytearray(open(path, 'rb').read());"
        " data[-1] ^= 1; open(path, 'r+b').write(data); os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))"
    )
    return (f'python3 -c "{code}" {path}',) * 2


# name -> (damage, its end), arguments of ascend_facts, findings
FAULTS: dict[str, tuple[tuple[str, str], str, list[str]]] = {
    "npu-smi hangs": (sim("npu_smi=hang"), "command_timeout_s=1", ["npu-smi-hangs"]),
    "npu-smi is missing": (sim("npu_smi=missing"), "", ["npu-smi-missing"]),
    "-8005": (sim("npu_smi=fail:dcmi module initialize failed. ret is -8005"), "", ["driver-not-answering"]),
    "-8020": (
        sim("npu_smi=fail:dcmi model initialized failed, because the device is used. ret is -8020"), "",
        ["card-held-elsewhere"],
    ),
    "a library of the driver": (
        sim("npu_smi=fail:npu-smi: error while loading shared libraries: libdrvdsmi_host.so: cannot open shared object "
            "file: No such file or directory"), "", ["driver-library-missing"],
    ),
    "no driver": (sim("driver=absent"), "", ["npu-smi-missing", "driver-missing"]),
    "half a driver": (moved("/usr/local/Ascend/driver/version.info"), "", ["driver-half-installed"]),
    "a sick card": (sim("health.6=Critical", "error.6=80E01801 too hot"), "", ["card-unhealthy"]),
    "a card fell off": (sim("device_nodes=9"), "", ["fewer-chips-visible"]),
    "a link is down": (
        sim("net_link.2=DOWN"), "gather_subset=network", ["network-link-down", "network-unhealthy"],
    ),
    "hccn_tool hangs": (sim("hccn=hang"), "gather_subset=network command_timeout_s=1", ["hccn-tool-hangs"]),
    "no profile is clean": (put("/etc/profile.d/x.sh", "export PYTHONPATH=/opt/x"), "", ["pythonpath-set"]),
    "a part of the toolkit": (moved(f"{TOOLKIT}/compiler/version.info"), "", ["cann-half-installed"]),
    "a file of the toolkit": (moved(f"{TOOLKIT}/compiler/content/part3.bin"), "", ["cann-altered"]),
    "a changed library": (flipped(LIBRARY), "gather_subset=cann deep=true", ["cann-altered"]),
    "a changed library, fast": (flipped(LIBRARY), "gather_subset=cann", []),
    "set_env.sh": (moved("/usr/local/Ascend/ascend-toolkit/set_env.sh"), "", ["cann-set-env-missing"]),
    "latest is mixed": (
        (f"ln -sfn ../8.0.RC2/hccl {LATEST}/hccl", f"ln -sfn ../8.0.RC1/hccl {LATEST}/hccl"), "",
        ["cann-latest-mixed"],
    ),
    "a stale record": (
        ("sed -i.old 's#/usr/local/Ascend#/gone#' /etc/Ascend/ascend_cann_install.info",
         "mv /etc/Ascend/ascend_cann_install.info.old /etc/Ascend/ascend_cann_install.info"), "", ["cann-record-stale"],
    ),
    "a package of the environment": (moved(f"{SITE_PACKAGES}/fire"), "", ["environment-files-altered"]),
    "a changed module": (
        flipped(f"{SITE_PACKAGES}/torch/nn/modules/linear.py"), "gather_subset=python deep=true",
        ["environment-files-altered"],
    ),
    "a leak": (put(f"{SITE_PACKAGES}/x.pth", "/opt/elsewhere"), "", ["environment-leak"]),
    "no current one": (
        ("mv /opt/ascend/env/current /opt/ascend/env/kept; ln -s gone /opt/ascend/env/current",
         "mv -T /opt/ascend/env/kept /opt/ascend/env/current"), "", ["environment-current-dangling"],
    ),
}  # fmt: skip


# Told from files, or from what npu-smi prints: tests of the readers have them, too.
READ = (
    "-8020", "a library of the driver", "no driver", "half a driver", "a changed library, fast", "set_env.sh",
    "a stale record", "no current one",
)  # fmt: skip


def test_a_converged_node_has_no_finding_in_either_form(fleet: Fleet) -> None:
    for arguments in ("gather_subset=all", "gather_subset=all deep=true"):
        facts = fleet.facts(arguments)
        assert facts["findings"] == []
        assert len(json.dumps(facts)) < 16 * 1024
    assert [card["multi_node"] for card in facts["network"]["cards"]] == [True] * 8


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.whole if name in READ else []) for name in FAULTS]
)
def test_a_fault_is_named_alone(fleet: Fleet, node: Any, name: str) -> None:
    (damage, repair), arguments, expected = FAULTS[name]
    node.run_test(damage)
    try:
        facts = fleet.facts(arguments)
    finally:
        repaired = node.run(repair)
    assert repaired.rc == 0, repaired.stderr
    assert names(facts["findings"]) == expected, facts["findings"]
    for finding in facts["findings"]:
        assert all(finding[key] for key in ("problem", "wanted", "found", "remedy")), finding


def test_after_all_faults_the_node_is_as_before(fleet: Fleet) -> None:
    assert fleet.facts("gather_subset=all deep=true")["findings"] == []


def test_a_record_of_the_node_is_masked_and_replays(fleet: Fleet, node: Any, tmp_path: Path) -> None:
    pid = node.run("sleep 600 > /dev/null 2>&1 & echo $!").stdout.strip()
    node.run_test(f"ascend-sim set 'process.3={pid}:sleep:1200' health.5=Warning 'error.5=80E01801 hot'")
    run = fleet.playbook("playbooks/record.yml", "-e", f"ascend_record_dir={tmp_path / 'records'}")
    node.run_test(f"ascend-sim unset process.3 health.5 error.5; kill {pid}")
    assert run.code == 0, run.output
    (file,) = (tmp_path / "records").iterdir()
    assert file.stat().st_mode & 0o077 == 0
    text = file.read_text(encoding="utf-8")
    address = node.run("hostname -I").stdout.split()[0]
    assert NODE not in text
    assert not re.search(rf"(?<![\d.]){re.escape(address)}(?![\d.])", text)
    replay = replayed(text, tmp_path / "node")
    found = replay.collect(["npu", "network", "cann"])
    for subset in ("npu", "driver", "network", "cann"):
        assert found[subset] == replay.recorded[subset]
    assert names(replay.recorded["findings"]) == ["card-unhealthy"]
    assert found["npu"]["processes"][0]["command"] == "sleep 600"
