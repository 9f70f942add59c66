# SPDX-License-Identifier: Apache-2.0
"""The documents as a site: built without a warning, whole, and without anything from a network."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import pytest

from tests.contract.tree import ROOT, modules, passes
from tests.page.browsing import chromium

SITE = ROOT / "build" / "site"
CONFIG = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
PICTURE = ROOT / "docs" / "images" / "architecture.dot"
# Files that a reader's browser takes by itself, as opposed to a link that somebody follows.
TAKEN = {("img", "src"), ("script", "src"), ("link", "href"), ("source", "srcset"), ("iframe", "src")}


@pytest.fixture(scope="module")
def site() -> Path:
    assert "No issues found" in passes([sys.executable, "scripts/site.py"])
    return SITE


class Page(HTMLParser):
    """What a page takes, to what it links, and its anchors."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.taken: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value and (tag, name) in TAKEN and ("rel", "canonical") not in attrs:
                self.taken.append(value)
            if value and (tag, name) == ("a", "href"):
                self.links.append(value)
            if value and name == "id":
                self.anchors.add(value)


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in site.rglob("*.html") if path.name != "404.html"}


def inside(path: Path, links: list[str]) -> Iterator[tuple[Path, str]]:
    for link in links:
        target, _, anchor = unquote(link).partition("#")
        if not re.match(r"\w+:", target):
            yield (path.parent / target).resolve() if target else path, anchor


def test_every_link_of_the_site_leads_somewhere(pages: dict[Path, Page]) -> None:
    lost = [
        f"{path.relative_to(SITE)}: {target.name}#{anchor}"
        for path, page in pages.items()
        for target, anchor in inside(path, [*page.links, *page.taken])
        if not (target.is_file() and (target.suffix != ".html" or not anchor or anchor in pages[target].anchors))
    ]
    assert lost == []


def test_nothing_is_taken_from_a_network(pages: dict[Path, Page]) -> None:
    assert {link for page in pages.values() for link in page.taken if re.match(r"(\w+:)?//", link)} == set()


def test_every_page_and_module_is_in_it(pages: dict[Path, Page]) -> None:
    named = set(re.findall(r"[\w./-]+\.md", CONFIG))
    documents = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert documents - named == set(), "mkdocs.yml: nav lacks these"
    built = {path.relative_to(SITE / "docs" / "modules").stem for path in (SITE / "docs" / "modules").glob("*.html")}
    assert built == {"index", *(path.stem for path in modules())}


def test_a_page_in_chinese_has_its_english_one() -> None:
    chinese = {path.name for path in (ROOT / "docs" / "zh").glob("*.md")}
    assert chinese - {path.name for path in (ROOT / "docs").glob("*.md")} == set()


def test_a_module_page_has_every_option_and_what_it_says(pages: dict[Path, Page]) -> None:
    page = pages[SITE / "docs" / "modules" / "cann_package.html"]
    assert {"option-state", "option-cann_root", "return-package"} <= page.anchors
    text = (SITE / "docs" / "modules" / "cann_package.html").read_text(encoding="utf-8")
    assert "CANN's" in text.replace("&#39;", "'")
    assert not re.search(r"\\[,'=:]|\b[COVMLUBIE]\([^)]*\)", re.sub(r"<pre.*?</pre>", "", text, flags=re.DOTALL))


def test_the_search_works_from_a_file(site: Path) -> None:
    asked: list[str] = []
    with chromium() as browser:
        context = browser.new_context()
        context.on("request", lambda request: asked.append(request.url))
        tab = context.new_page()
        tab.on("pageerror", lambda error: asked.append(f"error: {error}"))
        tab.goto((site / "docs" / "troubleshooting.html").as_uri() + "#card-lost")
        assert tab.locator("#card-lost").is_visible()
        tab.keyboard.press("Control+k")
        tab.get_by_placeholder("Search").last.fill("card-lost")
        tab.get_by_role("option").first.filter(has_text="card-lost").wait_for(timeout=30_000)
        found = [option.get_attribute("href") or "" for option in tab.get_by_role("option").all()[:2]]
        assert {(Path(urlsplit(url).path).parent.name, urlsplit(url).fragment) for url in found} == {
            ("docs", "card-lost"),
            ("zh", "card-lost"),
        }
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:", "about:"))] == []


def test_the_picture_is_what_its_text_draws(tmp_path: Path) -> None:
    """By words and arrows: another graphviz, or other fonts, lay it out a little differently."""
    passes(["dot", "-Tsvg", PICTURE, "-o", tmp_path / "drawn.svg"])
    drawn, shown = (parts(path) for path in (tmp_path / "drawn.svg", PICTURE.with_suffix(".svg")))
    assert drawn == shown, f"dot -Tsvg {PICTURE.relative_to(ROOT)} -o {PICTURE.with_suffix('.svg').relative_to(ROOT)}"
    assert ("edge", "site->software") in drawn


def parts(picture: Path) -> list[tuple[str, str]]:
    """Return kind and title of each part, and its words."""
    space = "{http://www.w3.org/2000/svg}"
    found = []
    for group in ElementTree.parse(picture).iter(f"{space}g"):
        found.append((group.get("class", ""), group.findtext(f"{space}title", "")))
        found += [("text", text.text or "") for text in group.findall(f".//{space}text")]
    return sorted(found)


def test_the_glossary_has_the_words_of_the_architecture() -> None:
    section = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").split("## Words")[1].split("\n## ")[0]
    glossary = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    words = {word for row in re.findall(r"^\| ([^|]+) \| ", section, re.MULTILINE) for word in row.split(", ")}
    told = {word for row in re.findall(r"^\| ([^|]+) \| ", glossary, re.MULTILINE) for word in row.split(", ")}
    assert len(words) > 30
    assert words - told == set()


@pytest.mark.parametrize(
    ("planted", "says"),
    [("[x](nowhere.md)\n", "page does not exist"), ("[x](drift.md#nowhere)\n", "anchor")],
    ids=["a page", "an anchor"],
)
def test_a_lost_link_ends_the_build(site: Path, tmp_path: Path, planted: str, says: str) -> None:
    config = CONFIG.partition("\nnav:")[0].replace("build/", "")
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "index.md").write_text(planted.replace("drift.md", "other.md"))
    (tmp_path / "pages" / "other.md").write_text("# Other\n")
    (tmp_path / "mkdocs.yml").write_text(config)
    build = [str(Path(sys.executable).parent / "zensical"), "build", "--strict", "--config-file", "mkdocs.yml"]
    done = subprocess.run(build, cwd=tmp_path, env={"NO_COLOR": "1"}, capture_output=True, text=True, check=False)
    assert done.returncode
    assert says in done.stdout + done.stderr
