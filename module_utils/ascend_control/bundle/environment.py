# SPDX-License-Identifier: Apache-2.0
"""The control node's virtual environment, built from a bundle's CPython and wheels without a network or a compiler.

Uses only the standard library. ``.venv/installed``, which says that the environment is complete, is written last.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from ...ascend.errors import AscendError, disk_remedy

REQUIREMENTS = ".wheels/requirements.txt"


def make(project: Path) -> None:
    """Create ``.venv`` in the project, with the running Python, unless it is complete. Raises AscendError."""
    receipt = project / ".venv" / "installed"
    if receipt.is_file():
        return
    python = str(project / ".venv" / "bin" / "python")
    _run([sys.executable, "-I", "-m", "venv", "--clear", str(project / ".venv")], project)
    argv = [python, "-I", "-m", "pip", "--isolated", "--disable-pip-version-check", "--quiet", "install", "--no-index"]
    argv += ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--find-links", str(project / ".wheels")]
    _run([*argv, "--requirement", str(project / REQUIREMENTS)], project)
    receipt.touch()
    # Where the clock is behind that of the other machine, make would take it for old, and ask the package index.
    newest = max((project / name).stat().st_mtime for name in ("pyproject.toml", "scripts/virtualenv"))
    if receipt.stat().st_mtime <= newest:
        os.utime(receipt, (newest + 1, newest + 1))


def prove(project: Path) -> str:
    """Let ansible-playbook read the main job with the inventory; return its version. Raises AscendError."""
    program = str(project / ".venv" / "bin" / "ansible-playbook")
    version = _run([program, "--version"], project).splitlines()[0]
    _run([program, "--syntax-check", "site.yml", "-i", "inventory/prod"], project)
    return version


def lacks_ssh() -> bool:
    return shutil.which("ssh") is None


def _run(argv: list[str], project: Path) -> str:
    # pip's and Ansible's own variables of the session, and those of other virtual environments, lead elsewhere.
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PIP_", "ANSIBLE_", "PYTHON", "VIRTUAL_"))
    }
    done = subprocess.run(
        argv, cwd=project, env=kept, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        words = (done.stdout + done.stderr).strip()
        raise AscendError(
            f"{Path(argv[0]).name} failed on the control node",
            wanted=" ".join(argv),
            found=words[-800:] or f"exit code {done.returncode}",
            where=str(project),
            remedy=disk_remedy(words, str(project))
            or "run the same command again, and send us its output if it fails again",
        )
    return done.stdout
