# SPDX-License-Identifier: Apache-2.0
"""The proof of an environment on a node: as whom, what it refuses, and what a failed one does. The order counts."""

from __future__ import annotations

import io
import json
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.change.conftest import HARDWARE
from tests.change.fleet import OLD, Fleet, leftovers, sh
from tests.playbook_run import Run

pytestmark = pytest.mark.faults

CONTENT = Path(__file__).resolve().parents[1] / "standin" / "content"
TORCH_NPU = "/opt/ascend/env/current/lib/python3*/site-packages/torch_npu"
RUNTIME = f"/usr/local/Ascend/ascend-toolkit/{OLD}/runtime/lib64/libascendcl.so"
# Another content of the same size and time, which the fast form cannot see.
SILENTLY = (
    "touch -r {file} /tmp/time; sed -i '{edit}' {file}; touch -r /tmp/time {file}; rm -r $(dirname {file})/__pycache__"
)


@pytest.fixture(scope="module")
def node(base: Fleet) -> str:
    """A node of its own: the files of a copied one have other times than were recorded, so they are always read."""
    base.hosts.clear()
    there = len(json.loads((base.state / "fleet.json").read_text(encoding="utf-8"))["nodes"])
    base.command("up", "--nodes", str(there + 1))
    name = base.node(there + 1)
    sh(name, f"ascend-sim set {HARDWARE}")
    run = site(base, name)
    assert run.code == 0, run.output[-8000:]
    return name


def site(base: Fleet, node: str, *arguments: str) -> Run:
    run = base.site("--limit", node, *arguments, release=OLD)
    run.node = node
    return run


def verified(base: Fleet, node: str, *arguments: str) -> str:
    run = base.playbook("playbooks/verify.yml", "--limit", node, *arguments, release=OLD)
    assert run.code == 0, run.output[-4000:]
    return run.output


def words(text: str) -> str:
    """A text without the line ends that Ansible's output puts into it."""
    return re.sub(r"\s+", " ", text)


def test_the_owner_of_the_device_files_proves_where_nobody_is_named(base: Fleet, node: str) -> None:
    assert sh(node, "stat -c '%a %U:%G' /dev/davinci0 /dev/davinci_manager /dev/devmm_svm /dev/hisi_hdc").split(
        "\n"
    ) == [
        *["660 HwHiAiUser:HwHiAiUser"] * 4,
        "",
    ]
    sh(node, "usermod --shell /usr/sbin/nologin HwHiAiUser; rm -rf /home/HwHiAiUser")
    said = words(verified(base, node))
    assert "proven as HwHiAiUser (the owner of the device files; ascend_users names nobody): 1 card, and" in said
    assert leftovers(node) == []
    assert sh(node, "ls -d /home/HwHiAiUser /root/ascend 2>/dev/null", False) == "", "logs are left"


def test_an_account_outside_of_the_group_has_no_cards(node: str) -> None:
    """As on real nodes (vllm-ascend#9490)."""
    sh(node, "useradd --create-home alice; useradd --create-home bob")
    asked = "import torch, torch_npu; print(torch.npu.is_available())"
    assert sh(node, f"runuser -u alice -- /usr/local/bin/ascend-env python -c '{asked}'") == "False\n"


def test_accounts_that_train_are_let_in_and_the_first_proves(base: Fleet, node: str) -> None:
    users = ("-e", '{"ascend_users": ["alice", "bob"]}')
    shown = site(base, node, "--check", *users)
    assert (shown.code, shown.steps, shown.changed) == (0, ["users"], 1), shown.output[-4000:]
    assert "alice" not in sh(node, "getent group HwHiAiUser")
    drift = base.playbook(
        "playbooks/drift.yml", "--limit", node, *users, "-e", f"drift_dir={base.state}/reports", release=OLD
    )
    assert drift.code == 2, drift.output[-2000:]
    assert "alice is not in the group HwHiAiUser" in words(drift.output)
    run = site(base, node, *users)
    assert (run.code, run.changed_tasks) == (0, ["Allow the accounts that train to open the cards"]), run.output[-4000:]
    assert sh(node, "id -nG alice; id -nG bob").splitlines() == ["alice HwHiAiUser", "bob HwHiAiUser"]
    assert "proven as alice (of ascend_users): 1 card" in words(verified(base, node, *users))
    again = site(base, node, *users)
    assert (again.code, again.changed, again.steps) == (0, 0, []), again.output[-4000:]


def test_an_account_that_does_not_exist_is_refused(base: Fleet, node: str) -> None:
    run = site(base, node, "-e", '{"ascend_users": ["carol"]}')
    assert run.code == 2
    assert "useradd --create-home carol" in run.told(node)
    assert "carol" not in sh(node, "cut -d: -f1 /etc/passwd")


def test_what_the_fast_form_cannot_see_is_repaired_when_the_proof_fails(base: Fleet, node: str) -> None:
    """An altered torch_npu beside a lost library: its repair takes `current` away, and the proof fails."""
    sh(node, SILENTLY.format(file=f"{TORCH_NPU}/__init__.py", edit="s/^import torch$/import torcg/"))
    clean = site(base, node, "--check")
    assert clean.steps == [], f"the fast form sees it, so this test shows nothing: {clean.output[-3000:]}"
    sh(node, f"rm {RUNTIME}")
    run = site(base, node)
    assert run.code == 0, run.output[-6000:]
    told = words(run.output)
    assert "The proof failed, and files were altered: environment " in told
    assert "No module named 'torcg'" in told
    assert run.changed_tasks[0] == f"Install the CANN toolkit {OLD}"
    assert any(task.startswith("Build the locked environment") for task in run.changed_tasks)
    assert base.facts([node], deep=True)[node]["environments"]["current"].startswith(OLD)
    assert f"changed and verified: 1 node ({node})" in run.output
    assert site(base, node).changed == 0


@pytest.mark.whole  # tests/unit/plan/test_failed_proof.py has it without a node
def test_a_proof_that_nothing_repairs_fails_once_with_a_command_that_works(base: Fleet, node: str) -> None:
    sh(node, f"ascend-sim set device_error.0=507033; rm {RUNTIME}")
    run = site(base, node)
    assert run.code == 2, run.output[-4000:]
    told = run.told(node)
    assert "Every file of CANN, the Python and the environment was read" in told
    assert run.output.count("TASK [ascend.fleet.verify : Verify the environment on the cards, as an account") == 1
    assert sh(node, "readlink /opt/ascend/env/current", False) == ""
    sh(node, "ascend-sim unset device_error.0")
    assert site(base, node).code == 0


def test_cards_in_use_and_cards_taken_out_are_not_touched(base: Fleet, node: str) -> None:
    sh(node, "ascend-sim set card_count=4 device_error.2=507033 process.1=4711:python:100")
    try:
        said = words(verified(base, node, "-e", '{"ascend_cards_out": [2]}'))
    finally:
        sh(node, "ascend-sim unset device_error.2 process.1; ascend-sim set card_count=1")
    assert re.findall(r"(npu:\d) +(\S+)", said) == [
        ("npu:0", "torch.npu.is_available()"),
        ("npu:3", "torch.npu.is_available()"),
        ("npu:1", "left"),
        ("npu:2", "left"),
    ]


# What builds an editable checkout, without a network and without setuptools.
BACKEND = """
import os, zipfile
INFO = "llamafactory-{version}.dist-info/"
def build_editable(folder, config_settings=None, metadata_directory=None):
    name = "llamafactory-{version}-py3-none-any.whl"
    files = {{
        "__editable__.llamafactory-{version}.pth": os.path.abspath("src") + "\\n",
        INFO + "METADATA": "Metadata-Version: 2.1\\nName: llamafactory\\nVersion: {version}\\n",
        INFO + "WHEEL": "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        INFO + "entry_points.txt": "[console_scripts]\\nllamafactory-cli = llamafactory.cli:main\\n",
    }}
    files[INFO + "RECORD"] = "".join(path + ",,\\n" for path in [*files, INFO + "RECORD"])
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
    return name
"""
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "llamafactory"
version = "{version}"
"""


def checkout(needs: str = "{}", version: str = "0.9.1") -> dict[str, str]:
    """The files of a small LLaMA-Factory that wants these distributions (a dictionary, as text)."""
    files = {"backend.py": BACKEND.format(version=version), "pyproject.toml": PROJECT.format(version=version)}
    for path in sorted((CONTENT / "llamafactory").rglob("*.py")):
        text = re.sub(r'^(__version__|VERSION) = ".*"$', rf'\1 = "{version}"', path.read_text(), flags=re.MULTILINE)
        if path.name == "misc.py":
            text = re.sub(r"^(NEEDS: .* =) \{\}", rf"\1 {needs}", text, flags=re.MULTILINE)
        files[f"src/{path.relative_to(CONTENT)}"] = text
    return files


def archived(folder: Path, files: dict[str, str]) -> Path:
    path = folder / "LLaMA-Factory.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"LLaMA-Factory/{name}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return path


def committed(folder: Path, files: dict[str, str], tag: str) -> Path:
    """A git repository with these files below a tag, as the guide clones one."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git = ["git", "-C", str(folder), "-c", "user.name=x", "-c", "user.email=x@example.com"]
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    for words in (["add", "-A"], ["commit", "--quiet", "-m", "x"], ["tag", tag]):
        subprocess.run([*git, *words], check=True)
    return folder


def from_source(base: Fleet, node: str, **words: object) -> tuple[Run, tuple[str, str]]:
    """Fill the depot with a checkout and provision the node with it; return the run and what names the checkout."""
    named = ("-e", json.dumps({"llamafactory_source": {key: str(value) for key, value in words.items()}}))
    filled = base.playbook("playbooks/depot.yml", *named, release=OLD)
    assert filled.code == 0, filled.output[-4000:]
    return site(base, node, *named), named


@pytest.mark.parametrize("way", [pytest.param("archive", marks=pytest.mark.whole), "git"])
def test_a_checkout_is_provisioned_the_guides_own_way(base: Fleet, node: str, tmp_path: Path, way: str) -> None:
    files = checkout()
    if way == "git":
        chosen = {"url": f"file://{committed(tmp_path / 'git', files, 'v0.9.1')}", "version": "v0.9.1"}
    else:
        chosen = {"archive": str(archived(tmp_path, files))}
    run, named = from_source(base, node, **chosen)
    assert run.code == 0, run.output[-6000:]
    asked = "ascend-env python -c 'import llamafactory; print(llamafactory.__file__)'"
    assert sh(node, asked).endswith("/src/LLaMA-Factory/src/llamafactory/__init__.py\n")
    assert "LLaMA-Factory 0.9.1 works with its libraries" in words(verified(base, node, *named))
    assert site(base, node, *named).changed == 0


def test_a_checkout_that_wants_other_libraries_is_refused_in_its_own_words(
    base: Fleet, node: str, tmp_path: Path
) -> None:
    before = sh(node, "readlink /opt/ascend/env/current")
    run, _ = from_source(base, node, archive=archived(tmp_path, checkout('{"deepspeed": "0.99"}')))
    assert run.code == 2, run.output[-4000:]
    told = run.told(node)
    assert "LLaMA-Factory cannot start training" in told
    assert "deepspeed==0.99 is required for a normal functioning of this module, but found deepspeed==0.13.2" in told
    assert sh(node, "readlink /opt/ascend/env/current") == before
