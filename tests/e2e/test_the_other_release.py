# SPDX-License-Identifier: Apache-2.0
"""From release to release with the real wheels, a job running, and back; then the older one goes. The order counts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import demo
import pytest

from tests.e2e.conftest import Fleet
from tests.e2e.learning import learns

# tests/change has the same with stand-in wheels.
pytestmark = [pytest.mark.e2e, pytest.mark.whole]

OLD, NEW = "8.0.RC1", "8.2.RC1"
TO = ("-e", f"ascend_release={NEW}")
# As training does: the processes of its data loaders begin when they are needed.
JOB = """
import subprocess, sys, time, pathlib
work = "import torch, torch_npu; torch.arange(6.).npu().cpu(); print(torch.__version__, torch.npu.device_count())"
while True:
    last = pathlib.Path("/tmp/stop").exists()
    said = subprocess.run([sys.executable, "-c", work], check=True, capture_output=True, text=True).stdout
    if last:
        pathlib.Path("/tmp/finished").write_text(said)
        break
    time.sleep(5)
"""


def done(node: Any, script: str) -> str:
    said = node.run(script)
    assert said.rc == 0, said.stdout + said.stderr
    text: str = said.stdout
    return text


@pytest.fixture(scope="module")
def job(fleet: Fleet, node: Any) -> Iterator[None]:
    """The node has the older release, and a job that runs in it."""
    assert demo.packages(NEW) == 0
    run = fleet.site()
    assert run.code == 0, run.output
    done(node, "ascend-sim set driver_version=25.2.0 firmware_version=7.7.0.1.231")
    done(node, f"rm -f /tmp/stop /tmp/finished; cat >/tmp/job.py <<'END'\n{JOB}\nEND")
    done(node, "setsid ascend-env python /tmp/job.py >/tmp/job.log 2>&1 </dev/null &")
    yield
    node.run("touch /tmp/stop")


def test_what_the_newer_release_takes(fleet: Fleet, job: None) -> None:
    assert fleet.playbook("playbooks/depot.yml", *TO).code == 0
    run = fleet.site("--check", *TO)
    assert run.code == 0, run.output
    assert run.steps == ["python", "toolkit", "kernels", "environment", "current"]


def test_it_is_installed_beside_the_older_one_and_verified(fleet: Fleet, node: Any, job: None) -> None:
    run = fleet.site(*TO)
    assert run.code == 0, run.output
    verified = fleet.playbook("playbooks/verify.yml", *TO)
    assert verified.code == 0, verified.output
    assert verified.output.count("torch.npu.is_available() True") == 8
    said = done(node, "ascend-env llamafactory-cli env")
    for words in ("(NPU)", "Ascend910B", f"CANN version: {NEW}", "0.9.3", "PyTorch version: 2.6.0", "0.16.9"):
        assert words in said, said
    again = fleet.site(*TO)
    assert (again.code, again.changed) == (0, 0), again.output


def test_the_job_ends_in_the_release_in_which_it_began(node: Any, job: None) -> None:
    done(
        node,
        "touch /tmp/stop; for i in $(seq 120); do [ -e /tmp/finished ] && break; sleep 1; done; cat /tmp/job.log >&2",
    )
    assert done(node, "cat /tmp/finished").split() == ["2.1.0+cu121", "8"]


def test_it_learns(fleet: Fleet, node: Any, job: None, tmp_path: Path) -> None:
    learns(fleet, node, tmp_path, NEW)


def test_back_and_forth_without_an_installation(fleet: Fleet, node: Any, job: None) -> None:
    back = fleet.playbook("playbooks/rollback.yml")
    assert back.code == 0, back.output
    assert done(node, "ascend-env python -c 'import torch; print(torch.__version__)'").strip() == "2.1.0+cu121"
    assert done(node, "readlink /usr/local/Ascend/ascend-toolkit/latest/runtime").strip() == f"../{OLD}/runtime"
    held = fleet.site()
    assert (held.code, held.changed) == (0, 0), held.output
    forth = fleet.site(*TO)
    assert forth.code == 0, forth.output
    assert forth.steps == ["current"]


def test_the_older_one_is_removed_and_gives_its_room_back(fleet: Fleet, node: Any, job: None) -> None:
    before = fleet.facts("gather_subset=cann,python,system")
    shown = fleet.playbook("playbooks/remove.yml", "-e", f"remove_release={OLD}", "--check")
    assert (shown.code, shown.changed) == (0, 1), shown.output
    assert (
        fleet.facts("gather_subset=cann,python")["environments"]["all"].keys() == before["environments"]["all"].keys()
    )
    run = fleet.playbook("playbooks/remove.yml", "-e", f"remove_release={OLD}")
    assert run.code == 0, run.output
    facts = fleet.facts("gather_subset=cann,python,system")
    assert [name for name in facts["environments"]["all"] if name.startswith(OLD)] == []
    assert list(facts["cann"]["versions"]) == [NEW]
    assert facts["cann"]["latest"] == NEW
    freed = facts["system"]["disk"]["/opt/ascend"]["free_mb"] - before["system"]["disk"]["/opt/ascend"]["free_mb"]
    assert freed > 3000
    again = fleet.site(*TO)
    assert (again.code, again.changed) == (0, 0), again.output
