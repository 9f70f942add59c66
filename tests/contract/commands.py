# SPDX-License-Identifier: Apache-2.0
"""The commands that pages show, and what is wrong with one: each is read as its own program would read it."""

from __future__ import annotations

import contextlib
import difflib
import io
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import ansible.modules
import yaml
from ansible.cli.adhoc import AdHocCLI
from ansible.cli.doc import DocCLI
from ansible.cli.galaxy import GalaxyCLI
from ansible.cli.inventory import InventoryCLI
from ansible.cli.playbook import PlaybookCLI
from ansible.cli.vault import VaultCLI
from ansible.inventory.manager import split_host_pattern
from ansible.parsing.splitter import parse_kv

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.inventory import spelling, values
from tests.contract.tree import ROOT, documentation

FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
SHELL = ("", "bash")  # languages of fences that may have commands; one without may be output as well
_ASSIGNMENT = re.compile(r"[A-Z_]+=")
_PATTERN = re.compile(r"[!&]?(\w[\w.-]*|\*)([*\w.-]|\[[\d:-]+\])*|@\S+")
_PLACES = ("playbooks/", "roles/", "scripts/", "releases/", "sim/", "tests/", "inventory/prod")
_MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
GROUPS = ("depot_mirrors",)  # of hosts, with names like those of variables
_VERSION = ("ansible-playbook [core", "ansible-core ")  # output
_TAGS = ("stage", "always", "never")
# Programs of others before ours on a line of a fence that may be output.
FOREIGN = {"cd", "export", "git", "sudo", "."}


def shown(text: str) -> Iterator[str]:
    """Yield the commands of a page: lines of its fences, and code within its text that begins with one of ours."""
    for language, block in FENCE.findall(text):
        for line in block.replace("\\\n", " ").splitlines() if language in SHELL else ():
            if _is_command(line, language):
                yield line.strip().removeprefix("$ ")
    for span in re.findall(r"`([^`\n]+)`", FENCE.sub("", text)):
        if " " in span and span.split()[0] in CHECKS and not span.startswith(_VERSION):
            yield span


def _is_command(line: str, language: str) -> bool:
    """A fence without a language may be output: a line of it counts that has one of our programs, or almost one."""
    programs = [words[0] for words in _simple(line) if words]
    if not programs or line.strip().startswith(_VERSION):
        return False
    begins = programs[0] in FOREIGN or programs[0] in CHECKS or _is_almost_ours(programs[0])
    return language == "bash" or (begins and any(name in CHECKS or _is_almost_ours(name) for name in programs))


def _is_almost_ours(name: str) -> bool:
    long = [program for program in CHECKS if len(program) > 6]
    return bool(re.fullmatch(r"[\w./-]+", name) and difflib.get_close_matches(name, long, cutoff=0.85))


def _simple(line: str) -> Iterator[list[str]]:
    """Yield the words of each simple command of a line, without assignments before it and what it is redirected to."""
    lexer = shlex.shlex(line.strip().removeprefix("$ "), posix=True, punctuation_chars="();<>|&")
    lexer.whitespace_split, lexer.commenters = True, ""
    words: list[str] = []
    try:
        for word in lexer:
            if word.startswith("#"):
                break
            if set(word) <= set(";|&()<>"):
                yield _bare(words)
                words = [">"] if set(word) <= set("<>") else []
            else:
                words.append(word)
    except ValueError:
        return  # output with an apostrophe
    yield _bare(words)


def _bare(words: list[str]) -> list[str]:
    if words[:1] == [">"]:
        return []
    while words and (_ASSIGNMENT.match(words[0]) or words[0] == "sudo"):
        words = words[1:]
    return words


def problems(line: str) -> list[str]:
    """Return what is wrong with a line of commands, in words."""
    found = []
    for words in _simple(line):
        if words and (check := CHECKS.get(words[0])):
            found += check(words)
        elif words and _is_almost_ours(words[0]):
            found.append(f"there is no program {words[0]}")
    return [f"{line}: {problem}" for problem in found]


def _parsed(cli: Any, words: list[str]) -> tuple[Any, list[str]]:
    """Return the options as Ansible's own parser reads them, and its refusal."""
    reader = cli([word for word in words if word != "..."])
    reader.init_parser()
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return reader.parser.parse_args([word for word in words[1:] if word != "..."]), []
    except SystemExit:
        return None, [said.getvalue().strip().splitlines()[-1]]


def _playbook(words: list[str]) -> list[str]:
    options, found = _parsed(PlaybookCLI, words if "..." not in words else [*words, "site.yml"])
    if options is None:
        return found
    found += [f"there is no playbook {name}" for name in options.args if not _is_playbook(name)]
    found += [f"there is no tag {tag}" for tag in options.tags or () if tag not in _TAGS]
    return found + _hosts(options.subset) + _inventories(options.inventory) + _variables(options.extra_vars)


def _is_playbook(name: str) -> bool:
    own = name.removeprefix("ascend.fleet.")
    return (ROOT / "playbooks" / f"{own}.yml" if own != name else ROOT / name).is_file()


def _hosts(pattern: str | None) -> list[str]:
    parts = split_host_pattern(pattern) if pattern and " " not in pattern else [pattern or "all"]
    return [f"{part!r} is no pattern of hosts" for part in parts if not _PATTERN.fullmatch(part)]


def _inventories(paths: Any) -> list[str]:
    paths = [paths] if isinstance(paths, str) else paths or []
    return [f"there is no {path}" for path in paths if path.startswith("inventory/") and not (ROOT / path).exists()]


def _variables(given: list[str] | None) -> list[str]:
    found = []
    for text in given or ():
        if text.startswith("@"):
            continue
        pairs = yaml.safe_load(text) if text.startswith("{") else parse_kv(text)
        for name, value in pairs.items():
            option = values.specs().get(name)
            if option is None and not name.startswith("ansible_"):
                found.append(f"there is no variable {name}")
            elif option and value != "..." and (problem := values.wrong(value, option)):
                found.append(f"{name}: {problem}")
    return found


def misspelt(text: str) -> list[str]:
    """Return the names in a page's code that are a slip away from a variable of ours."""
    names = set(re.findall(r"`([a-z]+(?:_[a-z0-9]+)+)(?:: [^`]*|=[^`]*)?`", text))
    known = {**values.specs(), **dict.fromkeys(GROUPS)}
    return [f"{name}: {meant} is meant" for name in sorted(names) if (meant := spelling.meant(name, known))]


def _adhoc(words: list[str]) -> list[str]:
    if words[1:] == ["--version"] or words[1].startswith("-"):
        return []
    options, found = _parsed(AdHocCLI, words)
    if options is None:
        return found
    found += _hosts(options.args) + _inventories(options.inventory) + _variables(options.extra_vars)
    name = options.module_name.removeprefix("ansible.builtin.")
    ours = ROOT / "library" / f"{name.removeprefix('ascend.fleet.')}.py"
    if name.startswith("ascend.fleet.") and ours.is_file():
        known = documentation(ours)["options"]
        return found + [f"{name} has no option {key}" for key in parse_kv(options.module_args) if key not in known]
    folder = Path(next(iter(ansible.modules.__path__)))
    return found if (folder / f"{name}.py").is_file() else [*found, f"there is no module {name}"]


def _by(cli: Any) -> Callable[[list[str]], list[str]]:
    return lambda words: _parsed(cli, words)[1]


def _doc(words: list[str]) -> list[str]:
    found = _parsed(DocCLI, words)[1]
    named = [word.removeprefix("ascend.fleet.") for word in words if word.startswith("ascend.fleet.")]
    return found + [f"there is nothing named {name}" for name in named if not any(ROOT.glob(f"[rl][oi]*/{name}*"))]


def _make(words: list[str]) -> list[str]:
    found = []
    for word in words[1:]:
        name, sign, _ = word.partition("=")
        if sign and not re.search(rf"\$\({name}\b|{name} \?=", _MAKEFILE):
            found.append(f"the Makefile takes no {name}")
        elif not sign and word != "..." and not re.search(rf"^{re.escape(word)}:", _MAKEFILE, re.MULTILINE):
            found.append(f"the Makefile has no target {word}")
    return found


def _program(words: list[str]) -> list[str]:
    """A script of the checkout: it is there, and its text has the flags."""
    if not words[0].startswith(_PLACES):
        return []
    path = ROOT / words[0]
    if not path.is_file():
        return [f"there is no {words[0]}"]
    text = path.read_text(encoding="utf-8")
    flags = [word.partition("=")[0] for word in words[1:] if word.startswith("--")]
    passed_on = '"$@"' in text
    return [f"{words[0]} has no {flag}" for flag in flags if not passed_on and not _has_word(text, flag)]


def _has_word(text: str, word: str) -> bool:
    return bool(re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text))


def _python(words: list[str]) -> list[str]:
    return _program(words[1:]) if len(words) > 1 else []


def _pytest(words: list[str]) -> list[str]:
    return [f"there is no {word}" for word in words[1:] if word.startswith("tests/") and not (ROOT / word).exists()]


@cache
def _ascend_env_text() -> str:
    return (ROOT / "roles" / "torch_npu" / "files" / "ascend-env").read_text(encoding="utf-8")


def _ascend_env(words: list[str]) -> list[str]:
    if len(words) > 1 and words[1].startswith("-"):
        return [] if _has_word(_ascend_env_text(), words[1]) else [f"ascend-env has no {words[1]}"]
    share = ROOT / "roles" / "torch_npu" / "files" / "share" / "llamafactory"
    files = [word for word in words[2:] if word.startswith("examples/")]
    return [f"no environment brings {name}" for name in files if not (share / name).exists()]


def _installed(words: list[str]) -> list[str]:
    return [] if shutil.which(words[0]) else [f"there is no program {words[0]}"]


def _runner(words: list[str]) -> list[str]:
    name = words[words.index("-p") + 1]
    return _installed(words) + ([] if _is_playbook(name) else [f"there is no playbook {name}"])


CHECKS: dict[str, Callable[[list[str]], list[str]]] = {
    "ansible": _adhoc,
    "ansible-builder": _installed,
    "ansible-doc": _doc,
    "ansible-galaxy": _by(GalaxyCLI),
    "ansible-inventory": _by(InventoryCLI),
    "ansible-playbook": _playbook,
    "ansible-runner": _runner,
    "ansible-sign": _installed,
    "ansible-vault": _by(VaultCLI),
    "ascend-env": _ascend_env,
    "/usr/local/bin/ascend-env": _ascend_env,
    "make": _make,
    "pytest": _pytest,
    "python": _python,
    "python3": _python,
    ".venv/bin/python": _python,
    **{f"scripts/{path.name}": _program for path in (ROOT / "scripts").iterdir() if path.is_file()},
}
