# SPDX-License-Identifier: Apache-2.0
"""The proof of an environment: a real Python with a small torch, torch_npu and llamafactory, and what those print."""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import command
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import Account
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu import npu_probe, probe_account
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.npu_probe import ProbeError, Proof
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.probe_account import Prover
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.probe_program import parse

ROOT = os.geteuid() == 0
NOBODY = pwd.getpwnam("nobody")
PROVER = Prover(Account("nobody", NOBODY.pw_uid, NOBODY.pw_gid, (NOBODY.pw_gid,)) if ROOT else None, "nobody", "a test")

TORCH = """
class Npu:
    def is_available(self): return AVAILABLE
    def device_count(self):
        import os
        visible = os.environ.get("ASCEND_RT_VISIBLE_DEVICES")
        return 4 if visible is None else len(visible.split(","))
    def set_device(self, index):
        import os, time
        card = int(os.environ.get("ASCEND_RT_VISIBLE_DEVICES", "0,1,2,3").split(",")[index])
        if card in HANGS: time.sleep(600)
        if card in FAILS: raise RuntimeError(FAILS[card])
    def get_device_name(self, index): return "Ascend910B3"
    def get_device_properties(self, index): return type("P", (), {"total_memory": 65536 << 20})
class Tensor:
    def npu(self): return self
    cpu = npu
    def tolist(self): return BACK
npu = Npu()
def ones(count): return Tensor()
AVAILABLE, HANGS, FAILS, BACK = True, (), {}, [1.0, 1.0, 1.0]
"""
ENV = 'VERSION = "0.9.1"\n'
# ascend-env, as far as the proof asks it: the environment's programs, and what becomes of the descriptors.
ASCEND_ENV = """#!/bin/sh
PYTHONPATH=$ASCEND_FLEET_ENVIRONMENT; export PYTHONPATH
PATH=$ASCEND_FLEET_ENVIRONMENT:$PATH; export PATH
shift; exec {python} -u "$@"
"""
# What libraries were seen to print: SciPy, gradio, and a line without an end.
NOISE = """
import os, sys
print('A NumPy version >=1.17.3 and <1.25.0 is required for this version of SciPy (detected version 1.26.4')
print("You are using gradio version 4.44.1, however version 5.0 is available, please upgrade.")
print('{"done": true, "available": false, "count": 0}')
print('ascend-fleet-probe:{"available": false}')
sys.stdout.write("a line without an end"); sys.stdout.flush()
os.write(2, b"another process's line, cut in the mid")
"""


class Environment:
    """An environment that every account can read; ``write`` gives a file of it another content."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "env"
        self.path.mkdir()
        self.ascend_env = folder / "ascend-env"
        self.tmp = folder / "tmp"
        self.tmp.mkdir(mode=0o777)
        self.tmp.chmod(0o777)
        for path in (folder, self.path):
            path.chmod(0o755)
        self.ascend_env.write_text(ASCEND_ENV.format(python=interpreter()))
        self.ascend_env.chmod(0o755)
        self.write("torch/__init__.py", TORCH)
        self.write("torch_npu/__init__.py", "")
        for package in ("llamafactory", "llamafactory/extras", "llamafactory/train"):
            self.write(f"{package}/__init__.py", "")
        self.write("llamafactory/extras/env.py", ENV)
        self.write("llamafactory/train/tuner.py", "")
        self.command("print('no version is matched here')")
        for name, version in {"torch": "2.1.0", "torch-npu": "2.1.0.post3", "llamafactory": "0.9.1"}.items():
            metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            self.write(f"{name.replace('-', '_')}-{version}.dist-info/METADATA", metadata)

    def write(self, name: str, text: str) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o644)
        for folder in path.relative_to(self.path).parents:
            (self.path / folder).chmod(0o755)
        return path

    def command(self, line: str, mode: int = 0o755, first: str = "#!/bin/sh") -> None:
        """What users type: as pip and uv write it, a line for the kernel and a program for Python."""
        self.write("llamafactory-cli", f"{first}\n{line}\n").chmod(mode)

    def torch(self, **changes: Any) -> None:
        self.write("torch/__init__.py", TORCH + "".join(f"{name} = {value!r}\n" for name, value in changes.items()))

    def prove(self, devices: list[int] | None = None, timeout_s: int = 60, **versions: str) -> dict[str, Any]:
        wanted = {"torch": "2.1.0", "torch-npu": "2.1.0.post3", "llamafactory": "0.9.1", **versions}
        proof = Proof(str(self.ascend_env), str(self.path), 4, devices, wanted, timeout_s, str(self.tmp))
        return npu_probe.prove(command.run, proof, PROVER)

    def refused(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        with pytest.raises(ProbeError) as raised:
            self.prove(*arguments, **options)
        assert list(self.tmp.iterdir()) == [], "the private home is left"
        return raised.value.as_dict()


def interpreter() -> str:
    """A Python that other accounts may run: that of a developer may lie in a home of root's."""
    return next(path for path in (shutil.which("python3", path="/usr/bin:/usr/local/bin"), sys.executable) if path)


@pytest.fixture
def environment() -> Iterator[Environment]:
    """Not in pytest's own folder, which is closed to other accounts."""
    folder = Path(tempfile.mkdtemp(prefix="ascend-fleet-test-", dir="/tmp"))
    yield Environment(folder)
    shutil.rmtree(folder)


def test_all_is_well(environment: Environment) -> None:
    result = environment.prove()
    assert [card["index"] for card in result["cards"]] == [0, 1, 2, 3]
    assert set(result["cards"][0]) == {"index", "ok", "name", "memory_total_mb", "error", "symptom", "remedy"}
    assert result["llamafactory"] == "0.9.1"
    assert result["versions"]["torch-npu"] == "2.1.0.post3"
    assert result["account"] == {"name": "nobody", "why": "a test"}
    assert list(environment.tmp.iterdir()) == []


@pytest.mark.parametrize("place", ["torch/__init__.py", "torch_npu/__init__.py", "llamafactory/train/tuner.py"])
def test_what_libraries_print_is_no_answer(environment: Environment, place: str) -> None:
    environment.write(place, (environment.path / place).read_text() + NOISE)
    assert [card["ok"] for card in environment.prove()["cards"]] == [True] * 4


def test_a_child_that_a_library_starts_has_no_way_to_the_answer(environment: Environment) -> None:
    child = (
        "import os; [os.write(n, b'{\"count\": 9}') for n in range(3, 64) if os.path.exists('/proc/self/fd/%d' % n)]"
    )
    environment.write(
        "torch_npu/__init__.py", f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}])"
    )
    assert len(environment.prove()["cards"]) == 4


def test_as_whom_and_where(environment: Environment) -> None:
    """Who asks os, what HOME is, that it can be written to, and that nothing of the caller's environment is there."""
    look = "import json, os; open('here', 'w'); " + 'open(os.environ["HOME"] + "/there", "w"); '
    look += "raise RuntimeError(json.dumps([os.getuid(), os.getgid(), os.getgroups(), dict(os.environ), os.getcwd()]))"
    environment.write("torch_npu/__init__.py", look)
    os.environ["ASCEND_RT_VISIBLE_DEVICES"] = "7"
    try:
        found = environment.refused()["found"]
    finally:
        del os.environ["ASCEND_RT_VISIBLE_DEVICES"]
    raised = re.search(r"RuntimeError: (\[.*\])", found)
    assert raised, found
    uid, gid, groups, env, cwd = json.loads(raised.group(1))
    if ROOT:
        assert (uid, gid, groups) == (NOBODY.pw_uid, NOBODY.pw_gid, [NOBODY.pw_gid])
    assert env["HOME"] == cwd == env["TMPDIR"]
    assert cwd.startswith(str(environment.tmp))
    assert env["ASCEND_PROCESS_LOG_PATH"].startswith(cwd)
    assert "ASCEND_RT_VISIBLE_DEVICES" not in env
    assert env["USER"] == "nobody"


def test_the_cards_that_are_left_out_are_not_seen(environment: Environment) -> None:
    environment.torch(HANGS=(1,), FAILS={3: "dead"})
    result = environment.prove(devices=[0, 2])
    assert [card["index"] for card in result["cards"]] == [0, 2], "the numbers that they have among all"


def test_a_card_that_fails_has_its_own_number(environment: Environment) -> None:
    environment.torch(FAILS={2: "SetDevice(device_id_), error code is 507033\nFailed to start the device."})
    said = environment.refused(devices=[0, 2, 3])
    assert [(card["index"], card["ok"]) for card in said["cards"]] == [(0, True), (2, False), (3, True)]
    assert (said["symptom"], said["cards"][1]["symptom"]) == ("device-start-failed", "device-start-failed")
    assert "card 2: RuntimeError: SetDevice" in said["found"]
    assert said["remedy"] == said["cards"][1]["remedy"]
    assert said["cards"][0]["remedy"] is None


def test_without_cards_none_is_touched(environment: Environment) -> None:
    environment.torch(AVAILABLE=False, HANGS=(0, 1, 2, 3))
    result = environment.prove(devices=[])
    assert (result["cards"], result["llamafactory"]) == ([], "0.9.1")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"AVAILABLE": False}, r"as nobody: is_available\(\) True, 4 devices.*is_available\(\) False, 4 devices"),
        ({"BACK": [0.0]}, r"torch-npu does not see every card.*card 0: torch.ones\(3\) came back as \[0.0\]"),
    ],
)
def test_cards_that_do_not_answer_right(environment: Environment, changes: dict[str, Any], words: str) -> None:
    environment.torch(**changes)
    said = environment.refused()
    assert re.search(words, "{problem} {wanted} {found}".format(**said))


def test_fewer_devices_than_npu_smi_shows(environment: Environment) -> None:
    with pytest.raises(ProbeError, match=r"wanted: as nobody: is_available\(\) True, 5 devices.*4 devices"):
        npu_probe.prove(
            command.run,
            Proof(str(environment.ascend_env), str(environment.path), 5, None, {}, 60, str(environment.tmp)),
            PROVER,
        )


def test_a_card_that_hangs_is_named(environment: Environment) -> None:
    environment.torch(HANGS=(2,))
    said = environment.refused(timeout_s=2)
    assert said["problem"] == "the environment fails at: card 2"
    assert said["wanted"] == "an answer within 2 s"


def test_what_cann_writes_into_its_log_says_why_there_is_no_card(environment: Environment) -> None:
    """The log goes away with the private home, so it is read before."""
    log = "import os; d = os.environ['ASCEND_PROCESS_LOG_PATH'] + '/debug/plog'; os.makedirs(d); "
    log += "open(d + '/plog-1.log', 'w').write('[INFO] drvRetCode=1\\n"
    log += "[ERROR] RUNTIME(7,python): GetDeviceCount:Call drvGetDevNum, drvRetCode=87\\n')"
    environment.torch(AVAILABLE=False)
    environment.write("torch_npu/__init__.py", log)
    said = environment.refused()
    assert "another container or process uses" in said["problem"]
    assert "drvRetCode=87" in said["found"]


def test_a_remedy_reads_no_log_that_went_with_the_proofs_home(environment: Environment) -> None:
    """What CANN's log said is quoted, and the remedy makes a log before it reads one."""
    log = "import os; d = os.environ['ASCEND_PROCESS_LOG_PATH'] + '/debug/plog'; os.makedirs(d); "
    log += "open(d + '/plog-1.log', 'w').write('[ERROR] GE(7,python): the operator of card 3 is not there\\n')"
    environment.write("torch_npu/__init__.py", log)
    environment.torch(FAILS={1: "EZ9999: Inner Error!"})
    said = environment.refused()
    assert "CANN's log: [ERROR] GE(7,python): the operator of card 3 is not there" in said["found"]
    made, read = said["remedy"].split("; grep ", 1)
    assert "import torch_npu" in made
    assert read == "-rh ERROR /tmp/ascend/log/debug/plog | tail -n 30" if PROVER.account else "/root/ascend" in read
    assert said["cards"][1]["remedy"] == said["remedy"]


DEPENDENCY = (
    "transformers>=4.41.2,<=4.45.0 is required for a normal functioning of this module, but found transformers==4.46.1."
    "\nTo fix: pip install transformers>=4.41.2,<=4.45.0"
)


def test_llamafactorys_own_check_of_its_dependencies_decides(environment: Environment) -> None:
    environment.write("llamafactory/train/tuner.py", f"raise ImportError({DEPENDENCY!r})")
    said = environment.refused()
    assert said["problem"].startswith("LLaMA-Factory cannot start training")
    assert said["found"] == f"ImportError: {DEPENDENCY}"
    assert "releases/README.md" in said["remedy"]


@pytest.mark.parametrize("line", ["import yaml_is_gone", "import sys; sys.exit('no')", "raise TypeError('x')"])
def test_training_that_cannot_be_imported(environment: Environment, line: str) -> None:
    environment.write("llamafactory/train/tuner.py", line)
    assert environment.refused()["problem"].startswith("LLaMA-Factory cannot start training")


def test_the_version_is_what_its_own_module_says(environment: Environment) -> None:
    environment.write("llamafactory/extras/env.py", 'VERSION = "0.9.0"\nprint("version 0.9.1")\n')
    said = environment.refused()
    assert (said["problem"], said["wanted"], "0.9.0" in said["found"]) == (
        "LLaMA-Factory has a different version",
        "0.9.1",
        True,
    )


@pytest.mark.parametrize(("name", "found"), [("torch", "2.1.0"), ("fire", "None")])
def test_versions_are_those_of_the_lock(environment: Environment, name: str, found: str) -> None:
    with pytest.raises(ProbeError, match=f"{name} is not the locked version; wanted: 2.2.0; found: {found}"):
        environment.prove(None, 60, **{name: "2.2.0"})


@pytest.mark.parametrize(
    ("line", "mode", "first", "words"),
    [
        ("import sys; print('version 0.9.1'); sys.exit(1)", 0o755, "#!/bin/sh", "exit code 1"),
        ("import sys; sys.exit('no such command')", 0o755, "#!/bin/sh", "exit code no such command"),
        ("import gradio_is_gone", 0o755, "#!/bin/sh", "this Python lacks the module"),
        ("raise TypeError('x')", 0o755, "#!/bin/sh", "TypeError: x"),
        ("", 0o644, "#!/bin/sh", "it does not exist, or this account may not run it"),
        ("", 0o755, "#!/opt/gone/bin/python", "its first line names no program: #!/opt/gone/bin/python"),
        ("", 0o755, "", "its first line names no program"),
    ],
)
def test_what_users_type_has_to_start(environment: Environment, line: str, mode: int, first: str, words: str) -> None:
    environment.command(line, mode, first)
    said = environment.refused()
    assert said["problem"].startswith("llamafactory-cli fails: ")
    assert words in said["problem"]
    assert "llamafactory-cli version" in said["remedy"] or said["symptom"]


@pytest.mark.parametrize("line", ["", "import sys; sys.exit(0)", "raise SystemExit"])
def test_what_users_type_may_end_in_any_good_way(environment: Environment, line: str) -> None:
    environment.command(line)
    assert environment.prove()["llamafactory"] == "0.9.1"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("raise ImportError('libhccl.so: cannot open shared object file')", "CANN's libraries are missing"),
        ("raise ImportError('libascend_hal.so: cannot open shared object file')", "a library of the NPU driver"),
        ("import yaml_is_gone", "this Python lacks the module"),
        ("import os; os.kill(os.getpid(), 11)", "import torch, torch_npu: exit code -11"),
        ("import os; os._exit(0)", "import torch, torch_npu: exit code 0"),
    ],
)
def test_failures_and_what_they_mean(environment: Environment, line: str, words: str) -> None:
    environment.write("torch_npu/__init__.py", line)
    assert words in environment.refused()["problem"]


def test_the_next_command_is_one_that_works(environment: Environment) -> None:
    """Nothing is current, the account has no shell, and root's folder is closed to it."""
    environment.write("torch_npu/__init__.py", "import os; os._exit(1)")
    remedy = environment.refused()["remedy"]
    environment.write("torch_npu/__init__.py", "import os; print(os.getuid(), os.getcwd())")
    done = subprocess.run(
        ["sh", "-c", remedy], cwd="/root" if ROOT else "/", capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, f"{NOBODY.pw_uid} /tmp\n" if ROOT else f"{os.getuid()} /\n"), (
        done.stderr
    )


def test_the_cause_at_the_head_of_a_chain_is_told(environment: Environment) -> None:
    first = "RuntimeError: libopapi.so: cannot open shared object file"
    chain = f"import sys\nsys.stderr.write({first!r} + '\\n' + 'x\\n' * 9)\n"
    environment.write("torch_npu/__init__.py", chain + "raise RuntimeError('Failed to load the backend: torch_npu.')")
    found = environment.refused()["found"]
    assert found.startswith("RuntimeError: libopapi.so: cannot open shared object file\n...\n")
    assert found.endswith("Failed to load the backend: torch_npu.")


def test_half_an_answer_is_read_as_far_as_it_goes() -> None:
    told = parse('{"at": "card 0"}\n{"card": {"index": 0, "ok": true}}\n{"at": "card 1"}\n{"card": {"ind')
    assert (told["done"], told["at"], told["cards"]) == (False, "card 1", [{"index": 0, "ok": True}])
    assert parse('7\n[]\nnull\n{"card": 3}\n')["cards"] == []


def test_a_home_for_the_account_is_closed_to_others_and_goes_away(tmp_path: Path) -> None:
    with probe_account.private_home(PROVER.account, str(tmp_path)) as home:
        status = Path(home).stat()
        assert status.st_mode & 0o777 == 0o700
        assert Path(home).parent.name.startswith(f"ascend-fleet-{os.getpid()}-"), "cleared away when we are killed"
        if ROOT:
            assert status.st_uid == NOBODY.pw_uid
        (Path(home) / "log").mkdir()
    assert list(tmp_path.iterdir()) == []
