#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Build the documents as a site into build/site (make docs), without a network.

Pages are copied to build/pages, each at the place that it has in the checkout, so that a relative link points to the
same page here and on GitHub. Files that they link to are copied, too. Each module gets a page made from its
documentation.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from antsibull_docs_parser import dom
from antsibull_docs_parser.md import to_md
from antsibull_docs_parser.parser import Context, parse

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "build" / "pages"
SITE = ROOT / "build" / "site"
WORKER = Path(__file__).with_name("site_worker.js")
MODULES = "docs/modules"
NAMESPACE = "ascend.fleet."
# What the theme would fetch so that its search works from file://: ours stands in its place.
_FETCHED = "https://unpkg.com/iframe-worker/shim"
# How a page leads to the first one: a folder, of which a browser shows a list where no web server is.
_FOLDER = re.compile(r'href="(\.{1,2}(?:/\.\.)*)"')
# Backslashes that CommonMark takes away, and Python-Markdown shows.
_NEEDLESS = re.compile(r"\\(?=[\"$%&',/:;=?@^~<])")
_LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)\s]*)?\)|(?:src|srcset)=\"([^\":]+)\"")
# ansible-doc's word for a type -> a reader's.
_TYPES = {"str": "text", "int": "integer", "bool": "true or false", "dict": "mapping", "list": "list", "path": "path"}


def main() -> int:
    if PAGES.exists():  # a page that went must not stay in the site
        shutil.rmtree(PAGES)
    copy_pages()
    write_modules(documented())
    build = [
        str(Path(sys.executable).parent / "zensical"),
        "build",
        "--clean",
        "--strict",
        "--config-file",
        "mkdocs.yml",
    ]
    # A terminal's colours are a sequence for each letter of a line that is quoted.
    code = subprocess.run(build, cwd=ROOT, env={**os.environ, "NO_COLOR": "1"}, check=False).returncode
    if not code:
        keep_at_home()
    return code


def keep_at_home() -> None:
    """Replace the only script that pages would fetch with our file, so that they open without a web server."""
    shutil.copyfile(WORKER, SITE / "assets" / WORKER.name)
    for page in SITE.rglob("*.html"):
        ours = f"{os.path.relpath(SITE, page.parent)}/assets/{WORKER.name}"
        content = _FOLDER.sub(r'href="\1/index.html"', text(page).replace(_FETCHED, ours))
        page.write_text(content, encoding="utf-8")


def copy_pages() -> None:
    """Copy the pages of the top folder and of docs/, and whatever they link to, page by page."""
    waiting = [*sorted(ROOT.glob("*.md")), *sorted(path for path in (ROOT / "docs").rglob("*") if path.is_file())]
    while waiting:
        path = waiting.pop()
        target = PAGES / path.relative_to(ROOT)
        if target.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        waiting += linked(path) if path.suffix == ".md" else []


def linked(page: Path) -> list[Path]:
    """Return the files of the checkout to which a page links; the build reports missing ones."""
    targets = [Path(os.path.normpath(page.parent / (match[1] or match[2]))) for match in _LINK.finditer(text(page))]
    return [target for target in targets if target.is_file() and target.is_relative_to(ROOT)]


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def documented() -> dict[str, dict[str, Any]]:
    """Return module -> ansible-doc's answer: ``{"doc", "examples", "return"}``."""
    names = sorted(NAMESPACE + path.stem for path in (ROOT / "library").glob("*.py") if not path.name.startswith("_"))
    command = [str(Path(sys.executable).parent / "ansible-doc"), "--type", "module", "--json", *names]
    answer = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "ANSIBLE_CONFIG": "ansible.cfg"}, stdout=subprocess.PIPE, check=True
    ).stdout
    found: dict[str, dict[str, Any]] = json.loads(answer)
    return found


def write_modules(modules: dict[str, dict[str, Any]]) -> None:
    folder = PAGES / MODULES
    folder.mkdir(parents=True)
    rows = []
    for name, module in modules.items():
        short = name.removeprefix(NAMESPACE)
        (folder / f"{short}.md").write_text(module_page(name, module), encoding="utf-8")
        rows.append(f"| [{short}]({short}.md) | {marked(name, module['doc']['short_description'])} |")
    lines = ["# Modules", "", "| module | what it does |", "|---|---|", *rows]
    (folder / "index.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def module_page(name: str, module: dict[str, Any]) -> str:
    doc = module["doc"]
    parts = [f"# {name.removeprefix(NAMESPACE)}", f"`{name}`: {marked(name, doc['short_description'])}."]
    parts += [marked(name, paragraph) for paragraph in listed(doc["description"])]
    parts += ["## Options", *fields(name, doc.get("options") or {}, "option")]
    parts += [f"## {word}" for word in ["Modes"] if doc.get("attributes")]
    for attribute, says in (doc.get("attributes") or {}).items():
        details = " ".join(marked(name, line) for line in listed(says["description"]))
        parts.append(f"`{attribute}`\n:   {says['support']}. {details}")
    parts += [f"- {marked(name, note)}" for note in listed(doc.get("notes"))]
    if module.get("examples"):
        parts += ["## Examples", f"```yaml\n{module['examples'].strip()}\n```"]
    if module.get("return"):
        parts += ["## What it returns", *fields(name, module["return"], "return")]
    return "\n\n".join(parts) + "\n"


def fields(module: str, options: dict[str, Any], kind: str, above: str = "") -> Iterator[str]:
    """Yield a definition for each option or returned value; those of a mapping come below it, indented."""
    for name, option in options.items():
        path = f"{above}/{name}" if above else name
        head = f'<span id="{kind}-{path}">`{name}`</span> <small>{", ".join(traits(option))}</small>'
        body = [marked(module, paragraph) for paragraph in listed(option.get("description"))]
        body += fields(module, option.get("suboptions") or option.get("contains") or {}, kind, path)
        yield f"{head}\n:   " + textwrap.indent("\n\n".join(body), "    ").lstrip()


def traits(option: dict[str, Any]) -> Iterator[str]:
    """Yield what an option is, before what it means."""
    kind = _TYPES.get(option.get("type", "str"), option.get("type", "str"))
    yield f"list of {_TYPES.get(option['elements'], option['elements'])}" if option.get("elements") else kind
    if option.get("required"):
        yield "required"
    if option.get("choices"):
        yield "one of " + ", ".join(f"`{choice}`" for choice in option["choices"])
    if option.get("default") is not None:
        yield f"default `{json.dumps(option['default'])}`"
    if option.get("returned"):
        yield f"returned: {option['returned']}"


def listed(words: Any) -> Sequence[str]:
    return [words] if isinstance(words, str) else words or []


def marked(module: str, words: str) -> str:
    """Return Ansible's markup (C(...), O(...)) as Markdown."""
    here = dom.PluginIdentifier(fqcn=module, type="module")
    return _NEEDLESS.sub("", to_md(parse(words, Context(current_plugin=here)), current_plugin=here))


if __name__ == "__main__":
    sys.exit(main())
