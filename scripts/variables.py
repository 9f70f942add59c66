#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write docs/variables.md and docs/zh/variables.md (make variables).

The English texts are the roles' argument specs. variables.zh.yml has the Chinese ones, each with the English text that
it translates, so that neither page is written while the two differ.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "collections"))

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError  # noqa: E402  (after the path)

CHINESE = Path(__file__).with_name("variables.zh.yml")
FIRST = ("ascend", "depot", "rollout")  # what most inventories set
FROM_PLAN = ("cann", "change", "python", "system", "torch_npu")  # the rollout fills their inputs from each node's plan
NOTE = "<!-- `make variables` writes it. Edit roles/*/meta/argument_specs.yml and scripts/variables.zh.yml. -->"
LEAD = """\
Set them in the inventory. Every playbook checks them first: a misspelt name or a wrong kind of value is an error, and
no node is touched. Roles whose inputs come from the plan are not listed; `roles/*/README.md` describes how to use
them on their own."""
# The pages' own texts; the others are named after their role or variable.
WORDS = {
    "title": "Variables",
    "lead": LEAD,
    "columns": "variable | type | default | meaning",
    "required": "required",
    "derived": "derived",
    "choices": "{text} One of {choices}.",
    "comma": ", ",
}
Roles = Mapping[str, Mapping[str, Any]]  # role -> the entry point main of its argument spec
Texts = Mapping[str, str]  # a word of the page, a role or a variable -> what the page says there


def main() -> int:
    try:
        written = pages()
    except AscendError as error:
        sys.exit(str(error))
    for path, text in written.items():
        path.write_text(text, encoding="utf-8")
    return 0


def pages() -> dict[Path, str]:
    """Return the text of both pages by path. Raises AscendError if a Chinese text does not follow the English one."""
    roles = _roles()
    english = {**WORDS, **dict(_texts(roles))}
    entries = yaml.safe_load(CHINESE.read_text(encoding="utf-8"))
    wrong = [*_differences(english, entries)]
    if wrong:
        raise AscendError(
            "the Chinese page of variables does not follow the English one",
            wanted="each English text under en, and its Chinese under zh",
            found="".join(f"\n  {line}" for line in wrong) + "\n",
            where="scripts/variables.zh.yml",
            remedy="edit these entries there, then: make variables",
        )
    chinese = {name: entry["zh"].strip("\n") for name, entry in entries.items()}
    docs = ROOT / "docs"
    return {
        docs / "variables.md": _page(roles, english, "[中文](zh/variables.md)"),
        docs / "zh" / "variables.md": _page(roles, chinese, "[English](../variables.md)"),
    }


def _roles() -> Roles:
    """Return the roles with variables of their own, first those that most inventories set."""
    files = {path.parent.parent.name: path for path in sorted(ROOT.glob("roles/*/meta/argument_specs.yml"))}
    order = [*FIRST, *(name for name in files if name not in (*FIRST, *FROM_PLAN))]
    specs = {name: yaml.safe_load(files[name].read_text(encoding="utf-8"))["argument_specs"]["main"] for name in order}
    return {name: spec for name, spec in specs.items() if spec.get("options")}


def _texts(roles: Roles) -> Iterator[tuple[str, str]]:
    for role, spec in roles.items():
        yield role, f"{spec['short_description']}."
        for name, option in spec["options"].items():
            description = option["description"]
            yield name, " ".join(description if isinstance(description, list) else [description]).strip()


def _differences(english: Texts, entries: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    for name, text in english.items():
        entry = entries.get(name, {})
        if not entry.get("zh"):
            yield f"{name}: no Chinese text; in English: {text}"
        elif entry.get("en", "").split() != text.split():
            yield f"{name}: the English text changed: {text}"
    yield from (f"{name}: no such variable any more; remove its entry" for name in entries if name not in english)


def _page(roles: Roles, texts: Texts, twin: str) -> str:
    """Return a page's text: one table per role. ``twin`` is the link to the same page in the other language."""
    sections = (line for role, spec in roles.items() for line in _section(role, spec["options"], texts))
    return "\n".join([f"# {texts['title']}\n\n{twin}\n\n{NOTE}\n\n{texts['lead']}\n", *sections])


def _section(role: str, options: Mapping[str, Any], texts: Texts) -> Iterator[str]:
    yield f"## {role}\n\n{texts[role]}\n"
    yield f"| {texts['columns']} |\n|---|---|---|---|"
    for name, option in options.items():
        cells = [f"`{name}`", option["type"], _default(option, texts), _meaning(name, option, texts)]
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    yield ""


def _default(option: Mapping[str, Any], texts: Texts) -> str:
    if option.get("required"):
        return texts["required"]
    if option.get("default") in (None, ""):
        return ""
    default = option["default"]
    if isinstance(default, str) and "{{" in default:
        return texts["derived"]
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def _meaning(name: str, option: Mapping[str, Any], texts: Texts) -> str:
    text = re.sub(r"\bdocs/([\w-]+\.md)", r"[\1](\1)", texts[name])  # both languages have that page beside this one
    choices = texts["comma"].join(f"`{choice}`" for choice in option.get("choices", ()) if choice)
    return texts["choices"].format(text=text, choices=choices) if choices else text


if __name__ == "__main__":
    sys.exit(main())
