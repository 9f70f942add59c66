# SPDX-License-Identifier: Apache-2.0
"""One browser a test file: Playwright keeps an event loop running, which other tests must not find."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.page.browsing import Shower, chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def show(browser: Browser, tmp_path: Path) -> Iterator[Shower]:
    shower = Shower(browser, tmp_path)
    yield shower
    shower.close()
    assert shower.wrong == []
