# SPDX-License-Identifier: Apache-2.0
"""A play of the real roles on this machine: modules answer what a test says, and what each was given is kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests import stand_in

MODULES = (
    *("ascend_facts", "cann_package", "device_users", "node_change", "node_rights", "npu_check", "python_env"),
    *("python_runtime", "system_settings"),
)
PACKAGES = "packages_of_a_test"  # the package manager of these plays
# WANT_JSON makes Ansible give the arguments in a file.
MODULE = """#!{python}
# WANT_JSON
import json, sys
arguments = json.load(open(sys.argv[1]))
kept = {{key: value for key, value in arguments.items() if not key.startswith("_ansible")}}
with open("{log}", "a") as log:
    log.write(json.dumps(["{name}", kept]) + "\\n")
asked = [json.loads(line)[0] for line in open("{log}")].count("{name}")
answers = json.load(open("{folder}/{name}.json"))
print(json.dumps(answers[min(asked, len(answers)) - 1]))
"""
# Nobody can stand in for Ansible's own action "copy": this keeps what it was given.
CALLBACK = """
import json
from ansible.plugins.callback import CallbackBase
class CallbackModule(CallbackBase):
    CALLBACK_VERSION, CALLBACK_TYPE, CALLBACK_NAME = 2.0, "aggregate", "copies"
    def v2_runner_on_ok(self, result):
        task = getattr(result, "task", None) or result._task
        if task.action == "ansible.builtin.copy":
            fields = getattr(result, "task_fields", None) or result._task_fields
            with open("{log}", "a") as log:
                log.write(json.dumps(["copy", fields["args"]]) + "\\n")
"""


class Run:
    """``calls`` are the modules that the play asked, in order, each with its arguments.

    ``tools`` is the folder of another ansible-core's programs.
    """

    def __init__(
        self,
        folder: Path,
        play: str,
        variables: dict[str, Any],
        answers: dict[str, list[dict[str, Any]]],
        *words: str,
        tools: Path | None = None,
    ) -> None:
        log = folder / "log"
        log.touch()
        modules = stand_in.collection(folder, "plugins/modules") / "plugins" / "modules"
        for name in (*MODULES, PACKAGES):
            text = MODULE.format(python=sys.executable, log=log, folder=folder, name=name)
            (modules / f"{name}.py").write_text(text)
            (folder / f"{name}.json").write_text(json.dumps(answers.get(name, [{"changed": True}])))
        (folder / "callback").mkdir()
        (folder / "callback" / "copies.py").write_text(CALLBACK.format(log=log))
        (folder / "vars.json").write_text(json.dumps({**variables, "ansible_package_use": f"ascend.fleet.{PACKAGES}"}))
        (folder / "play.yml").write_text(play)
        done = subprocess.run(
            [
                *(
                    (tools or Path(sys.executable).parent) / "ansible-playbook",
                    "play.yml",
                    "-i",
                    "node,",
                    "-c",
                    "local",
                ),
                *("-e", "@vars.json", "-e", f"ansible_python_interpreter={sys.executable}", *words),
            ],
            cwd=folder,
            env={
                **os.environ,
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_COLLECTIONS_PATH": str(folder),
                "ANSIBLE_CALLBACK_PLUGINS": str(folder / "callback"),
                "ANSIBLE_CALLBACKS_ENABLED": "copies",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        self.code = done.returncode
        self.output = done.stdout + done.stderr
        self.calls: list[tuple[str, dict[str, Any]]] = [
            (name, given) for name, given in (json.loads(line) for line in log.read_text().splitlines())
        ]

    def given(self, module: str) -> list[dict[str, Any]]:
        return [given for name, given in self.calls if name == module]
