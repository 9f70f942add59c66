# SPDX-License-Identifier: Apache-2.0
"""A node whose root has the umask 077: what is installed there is for all who use the node."""

from __future__ import annotations

import pytest

from tests.change.fleet import NEW, Fleet, sh
from tests.playbook_run import Run

pytestmark = pytest.mark.faults

# Debian's bash reads it for a command that comes over SSH, too.
STRICT = "sed -i '1i umask 077' /root/.bashrc 2>/dev/null || echo 'umask 077' >/root/.bashrc"
OURS = "/opt/ascend /var/cache/ascend-fleet /var/lib/ascend-fleet /usr/local/bin/ascend-env"
INSTALLERS = "/usr/local/Ascend/ascend-toolkit /etc/Ascend/ascend_cann_install.info"
CANN = f"/usr/local/Ascend/ascend-toolkit/{NEW}"
ASK = "import torch, torch_npu, os; print('torch', torch.__version__, os.getuid())"
CLOSED = ("/opt/ascend", "/opt/ascend/env", "/opt/ascend/python", "$(readlink -f /opt/ascend/env/current)/bin")
CLOSED_CANN = (f"{CANN}/$(uname -m)-linux/lib64", "/usr/local/Ascend/ascend-toolkit", f"{CANN}/opp/built-in")


def as_nobody(node: str) -> str:
    nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups env -i PATH=/usr/bin:/bin"
    return sh(node, f'cd /tmp; {nobody} /usr/local/bin/ascend-env python -c "{ASK}" 2>&1', False)


def drift(base: Fleet, node: str) -> Run:
    return base.playbook("playbooks/drift.yml", "--limit", node, "-e", f"drift_dir={base.state}/reports")


@pytest.fixture(scope="module")
def node(base: Fleet) -> str:
    """A node without anything of ours, and with a strict umask."""
    base.hosts.clear()
    (name,) = base.grow(1)
    sh(name, f"rm -rf {OURS} {INSTALLERS}; {STRICT}")
    return name


def test_others_use_what_a_root_with_a_strict_umask_installs(base: Fleet, node: str) -> None:
    asked = base.ask(node, "umask")
    assert asked == "0077"
    run = base.site("--limit", node)
    assert run.code == 0, run.output[-6000:]
    assert as_nobody(node).endswith(" 65534\n"), as_nobody(node)
    assert base.facts([node])[node]["closed"] == []
    run = drift(base, node)
    assert run.code == 0, run.output[-3000:]


def test_what_was_closed_is_drift_and_opened_while_current_stays(base: Fleet, node: str) -> None:
    sh(node, f"chmod 0700 {' '.join(CLOSED + CLOSED_CANN)}")
    assert "65534" not in as_nobody(node)
    link = sh(node, "stat -c %i:%Y /opt/ascend/env/current")
    run = drift(base, node)
    assert run.code != 0, run.output[-3000:]
    assert "others cannot use /opt/ascend (0700)" in run.output
    run = base.site("--limit", node, "--check")
    assert (run.code, run.recap[node]["changed"]) == (0, 1), run.output[-3000:]
    assert "65534" not in as_nobody(node)
    run = base.site("--limit", node)
    assert (run.code, run.recap[node]["changed"]) == (0, 1), run.output[-6000:]
    assert as_nobody(node).endswith(" 65534\n")
    assert sh(node, "stat -c %i:%Y /opt/ascend/env/current") == link
    run = base.site("--limit", node)
    assert (run.code, run.recap[node]["changed"]) == (0, 0), run.output[-3000:]


def test_a_folder_above_ours_is_refused_with_the_command(base: Fleet, node: str) -> None:
    sh(node, "chmod 0750 /opt")
    run = base.site("--limit", node)
    assert run.code != 0
    assert "chmod o+rx /opt" in run.output
    assert sh(node, "stat -c %a /opt") == "750\n"
    sh(node, "chmod o+rx /opt")
    run = base.site("--limit", node)
    assert (run.code, run.recap[node]["changed"]) == (0, 0), run.output[-3000:]


def test_an_edit_is_cured_without_the_deep_form(base: Fleet, node: str) -> None:
    """One line in torch_npu/__init__.py, of the same size so that no list of sizes tells."""
    file = "$(echo /opt/ascend/env/current/lib/python3*/site-packages/torch_npu/__init__.py)"
    before = sh(node, f"sha256sum < {file}")
    sh(node, f"printf X | dd of={file} conv=notrunc bs=1 seek=0 2>/dev/null")
    assert sh(node, f"sha256sum < {file}") != before
    run = drift(base, node)
    assert (run.code != 0, "torch_npu/__init__.py" in run.output) == (True, True), run.output[-3000:]
    run = base.site("--limit", node)
    assert run.code == 0, run.output[-6000:]
    assert sh(node, f"sha256sum < {file}") == before
