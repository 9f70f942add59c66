#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write docs/variables.md from the roles' argument specs (make variables)."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "variables.md"
FIRST = ("ascend", "depot", "rollout")  # what most inventories set
HEAD = """# Variables

<!-- Written by `make variables` from roles/*/meta/argument_specs.yml. Edit these. -->

Set them in the inventory. Every playbook checks them first: a misspelt name or a wrong kind of value is an error, and
no node is touched. Roles whose inputs come from the plan are not listed; `roles/*/README.md` describes how to use
them on their own.
"""
FROM_PLAN = ("cann", "change", "python", "system", "torch_npu")  # the rollout fills their inputs from each node's plan


def main() -> int:
    PAGE.write_text(page(), encoding="utf-8")
    return 0


def page() -> str:
    """Return the page's text: one table per role, first those that most inventories set."""
    names = sorted(path.parent.parent.name for path in ROOT.glob("roles/*/meta/argument_specs.yml"))
    order = [*FIRST, *(name for name in names if name not in (*FIRST, *FROM_PLAN))]
    return "\n".join([HEAD, *(line for name in order for line in _section(name))])


def _section(role: str) -> Iterator[str]:
    file = ROOT / "roles" / role / "meta" / "argument_specs.yml"
    spec = yaml.safe_load(file.read_text(encoding="utf-8"))["argument_specs"]["main"]
    if not spec.get("options"):
        return
    yield f"## {role}\n\n{spec['short_description']}.\n"
    yield "| variable | type | default | meaning |\n|---|---|---|---|"
    for name, option in spec["options"].items():
        cells = [f"`{name}`", option["type"], _default(option), _meaning(option)]
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    yield ""


def _default(option: dict[str, Any]) -> str:
    if option.get("required"):
        return "required"
    if option.get("default") in (None, ""):
        return ""
    default = option["default"]
    if isinstance(default, str) and "{{" in default:
        return "derived"
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def _meaning(option: dict[str, Any]) -> str:
    description = option["description"]
    text = " ".join(description if isinstance(description, list) else [description]).strip()
    choices = ", ".join(f"`{choice}`" for choice in option.get("choices", ()))
    return f"{text} One of {choices}." if choices else text


if __name__ == "__main__":
    sys.exit(main())
