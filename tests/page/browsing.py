# SPDX-License-Identifier: Apache-2.0
"""A report's page in a real browser, which must ask for nothing but the file and say nothing on its console."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Dialog, Page, sync_playwright

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
VISIBLE_NODES = """() => [...document.querySelectorAll("tr.node")]
    .filter((row) => row.checkVisibility()).map((row) => row.querySelector("th").innerText.split("\\n")[0].trim())"""


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


def visible(tab: Page) -> list[str]:
    """Return the names of the nodes whose rows are seen, from top to bottom."""
    names: list[str] = tab.evaluate(VISIBLE_NODES)
    return names
