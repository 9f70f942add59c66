# SPDX-License-Identifier: Apache-2.0
"""A report's page in a real browser, which must ask for nothing but the file and say nothing on its console."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Dialog, Locator, Page, sync_playwright

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift import page

TEMPLATES = Path(__file__).resolve().parents[2] / "roles" / "drift" / "templates"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
VISIBLE_NODES = """() => [...document.querySelectorAll("details.node")]
    .filter((node) => node.checkVisibility()).map((node) => node.querySelector("summary b").textContent)"""
# Text that is cut, or longer than its place, or beyond the window.
CUT = """() => [...document.querySelectorAll("body *")].filter((each) => {
    if (!each.checkVisibility() || !each.textContent.trim() || each.closest("i, svg, .unseen")) return false;
    const style = getComputedStyle(each), clips = style.overflowX !== "visible" || style.overflowY !== "visible";
    const box = style.display !== "inline";
    return (box && each.scrollWidth > each.clientWidth + 1) || (clips && each.scrollHeight > each.clientHeight + 1)
        || style.textOverflow === "ellipsis" || style.webkitLineClamp !== "none"
        || each.getBoundingClientRect().right > innerWidth + 1;
}).map((each) => each.outerHTML.slice(0, 120))"""


def rendered(fleet: dict[str, Any]) -> str:
    return page.render(fleet, TEMPLATES)


@contextmanager
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium")
    assert path, "the tests of the page need chromium: scripts/system-packages"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


class Shower:
    """Opens reports and keeps what the browser complains about, or asks the network for."""

    def __init__(self, browser: Browser, folder: Path) -> None:
        self.browser = browser
        self.path = folder / "index.html"
        self.wrong: list[str] = []

    def __call__(self, fleet: dict[str, Any], fragment: str = "", **options: Any) -> Page:
        """Open the page of ``fleet`` at ``#fragment``; ``options`` are those of a browser context."""
        self.path.write_bytes(rendered(fleet).encode("utf-8", "replace"))
        context = self.browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        context.set_default_timeout(10_000)
        tab = context.new_page()
        tab.on("console", lambda message: self.wrong.append(f"console {message.type}: {message.text}"))
        tab.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        tab.on("dialog", self._dialog)
        context.on("request", lambda request: self._asked(request.url))
        tab.goto(self.path.as_uri() + (f"#{fragment}" if fragment else ""))
        return tab

    def _dialog(self, dialog: Dialog) -> None:
        self.wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _asked(self, url: str) -> None:
        if url.partition("#")[0] != self.path.as_uri():
            self.wrong.append(f"request: {url}")

    def close(self) -> None:
        for context in self.browser.contexts:
            context.close()


def node_of(tab: Page, name: str) -> Locator:
    return tab.locator("details.node").filter(has=tab.locator("summary b", has_text=re.compile(f"^{re.escape(name)}$")))


def open_all(tab: Page) -> None:
    tab.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")


def open_one_of_each(tab: Page) -> None:
    """Open the first of each kind: axe-core looks at every word, and takes minutes over all of them."""
    kinds = (".where", ".all", ".more", ".rack", ".node", ".node.clean", ".set", "#gone")
    tab.evaluate("(kinds) => kinds.forEach((each) => ((document.querySelector(each) || {}).open = true))", list(kinds))


def violations(tab: Page, *rules: str) -> list[tuple[str, str]]:
    """Return what axe-core has against the page, by all of its rules or by these: the rule, and the first element."""
    answer = (
        Axe().run(tab, options={"resultTypes": ["violations"], **({"runOnly": list(rules)} if rules else {})}).response
    )
    return [(each["id"], each["nodes"][0]["html"][:120]) for each in answer["violations"]]


def visible(tab: Page) -> list[str]:
    """Return the names of the nodes that are seen, from top to bottom."""
    names: list[str] = tab.evaluate(VISIBLE_NODES)
    return names
