# SPDX-License-Identifier: Apache-2.0
"""What we put on nodes: nobody else can write it, and no name of a temporary file can be guessed beforehand.

Read from the code that runs on nodes, or is sent to them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.tree import ROOT

OTHERS = 0o002
MADE_BY = {"mkdir", "makedirs", "chmod", "fchmod", "lchmod", "mkfifo", "mknod", "open", "touch"}
# A name in a folder that everybody may write; one that begins a name which mkdtemp ends is given apart from the folder.
GUESSED = re.compile(r"(?<![\w.])/(?:var/tmp|tmp|dev/shm)/(?![*?]|[\w.-]*X{6})[\w.%{$-]")
OPENED = re.compile(
    r"chmod\s+(?:-\w+\s+)*(?:[0-7]*[2367]\b|[ugo]*[oa]+[ugo]*[+=][rxXst]*w|[+=][rxXst]*w)|\bumask\s+0*[0-7]?[0145]\b"
)
GUESSING = re.compile(r"\bmktemp\s+(?:-\w+\s+)*-\w*u")
SHELL = (ROOT / "roles" / "torch_npu" / "files" / "ascend-env",)
# What stands in words for a person or a table of symptoms, and is no file of ours.
WORDS = {"symptom_table.py": ("/tmp/",), "silence_reasons.py": ("/tmp/.",)}


def in_text(text: str) -> Iterator[str]:
    """What is wrong with a shell's words, or a path."""
    for pattern in (GUESSED, OPENED, GUESSING):
        yield from (match[0] for match in pattern.finditer(text))


def in_python(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.JoinedStr):
            yield from in_text(
                "".join(str(each.value) if isinstance(each, ast.Constant) else "{" for each in node.values)
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from in_text(node.value)
        elif isinstance(node, ast.Call):
            yield from in_call(node)


def in_call(call: ast.Call) -> Iterator[str]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name not in {*MADE_BY, "umask", "mktemp"}:
        return
    given = [*call.args, *(each.value for each in call.keywords if each.arg == "mode")]
    numbers = [each.value for each in given if isinstance(each, ast.Constant) and type(each.value) is int]
    wrong = name == "mktemp" or (name in MADE_BY and any(number & OTHERS for number in numbers))
    wrong |= name == "umask" and any(not number & OTHERS for number in numbers)
    wrong |= name == "open" and len(call.args) == 2 and "O_CREAT" in ast.unparse(call.args[1])
    if wrong:
        yield ast.unparse(call)


def in_yaml(text: str) -> Iterator[str]:
    yield from in_values(yaml.safe_load(text))


def in_values(value: Any, key: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from in_values(part, str(name))
    elif isinstance(value, list):
        for part in value:
            yield from in_values(part, key)
    elif key == "mode" and re.fullmatch(r"[0-7]+", str(value)) and int(str(value), 8) & OTHERS:
        yield f"mode: {value}"
    elif isinstance(value, str):
        yield from in_text(value)


READ_BY = {".py": in_python, ".yml": in_yaml}


def shipped() -> list[Path]:
    tops = [ROOT / name for name in ("library", "module_utils", "plugins", "roles", "playbooks")]
    found = [path for top in tops for path in top.rglob("*") if path.suffix in (*READ_BY, ".j2") or path in SHELL]
    return sorted(path for path in found if path.is_file() and not {"meta", "__pycache__"} & set(path.parts))


def problems(path: Path, text: str) -> list[str]:
    allowed = WORDS.get(path.name, ())
    found = READ_BY.get(path.suffix, in_text)(text)
    return [each for each in found if not each.startswith(allowed or ("\0",))]


def test_what_is_put_on_nodes_is_writable_for_its_owner_alone() -> None:
    found = {str(path.relative_to(ROOT)): problems(path, path.read_text(encoding="utf-8")) for path in shipped()}
    assert len(found) > 300
    assert {path: each for path, each in found.items() if each} == {}


PLANTED = [
    ("x.py", "os.makedirs(path, mode=0o777)"),
    ("x.py", "os.mkdir(path, 0o1777)"),
    ("x.py", "os.chmod(path, 0o666)"),
    ("x.py", "os.open(path, os.O_WRONLY | os.O_CREAT, 0o666)"),
    ("x.py", "os.open(path, os.O_WRONLY | os.O_CREAT)"),
    ("x.py", "Path(path).touch(mode=0o606)"),
    ("x.py", "os.umask(0)"),
    ("x.py", "os.umask(0o70)"),
    ("x.py", "tempfile.mktemp()"),
    ("x.py", "open('/tmp/ascend-fleet.lock', 'w')"),
    ("x.py", "'/var/tmp/ascend-%d' % os.getpid()"),
    ("x.py", "f'/dev/shm/{name}'"),
    ("x.py", "run(['sh', '-c', 'chmod 0777 /opt/ascend'])"),
    ("x.yml", "- ansible.builtin.file: {path: /opt/x, state: directory, mode: '0777'}"),
    ("x.yml", "- ansible.builtin.copy: {dest: /tmp/ascend-fleet.json, content: x, mode: '0600'}"),
    ("x.yml", "- ansible.builtin.command: chmod -R a+rwX /opt/ascend"),
    ("ascend-env", "umask 000"),
    ("ascend-env", "out=$(mktemp -u)"),
    ("ascend-env", "echo $$ >/tmp/ascend-env.$$"),
]
FINE = [
    ("x.py", "os.chmod(path, 0o755); os.umask(0o027); os.open(path, os.O_RDWR | os.O_CREAT, 0o600)"),
    ("x.py", "tempfile.mkdtemp(prefix='ascend-', dir='/var/tmp')"),
    ("x.yml", "- ansible.builtin.command: chmod -R o+rX /opt/ascend"),
    ("ascend-env", "umask 022; cd /tmp; mktemp /tmp/x.XXXXXX"),
]


@pytest.mark.parametrize(("name", "text"), PLANTED)
def test_what_others_could_write_or_guess_is_seen(name: str, text: str) -> None:
    assert problems(Path(name), text)


@pytest.mark.parametrize(("name", "text"), FINE)
def test_what_is_right_is_not(name: str, text: str) -> None:
    assert problems(Path(name), text) == []
