# SPDX-License-Identifier: Apache-2.0
"""Pages in Chinese are level with the English ones: as many headings, the same commands, tables of the same form."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import pytest

from tests.contract.tree import ROOT, committed

ENDING = ".zh-CN.md"
FOLDER = ROOT / "docs" / "zh"
PAGES = [path for path in committed() if path.name.endswith(ENDING) or path.parent == FOLDER]


def outline(page: Path) -> dict[str, list[str]]:
    """What both languages share: levels of headings, commands without comments, links, columns of tables, code."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^ *```\w*\n.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    return {
        "headings": [line.split()[0] for line in prose.splitlines() if line.startswith("#")],
        "commands": [re.sub(r" *#.*", "", line).strip() for block in blocks for line in block.splitlines()],
        "tables": [str(line.count("|")) for line in prose.splitlines() if line.startswith("|")],
        "code": sorted(set(re.findall(r"`([^`\n]+)`", prose))),
        "links": sorted(_target(link) for link in re.findall(r"\]\(([^)]+)\)", prose)),
    }


def english_of(page: Path) -> Path:
    top = FOLDER.parent if page.parent == FOLDER else page.parent
    return top / page.name.replace(ENDING, ".md")


def _target(link: str) -> str:
    """Return where a link leads, whatever folder and language it stands in: anchors are those of a language."""
    return link if "://" in link else PurePosixPath(link.partition("#")[0]).name.replace(ENDING, ".md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_it_says_what_the_english_page_says(page: Path) -> None:
    assert outline(page) == outline(english_of(page))


def test_there_are_some() -> None:
    assert PAGES
