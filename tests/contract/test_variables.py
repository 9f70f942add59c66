# SPDX-License-Identifier: Apache-2.0
"""docs/variables.md is what `make variables` writes."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def test_the_page_of_variables_is_up_to_date(root: Path) -> None:
    spec = importlib.util.spec_from_file_location("variables", root / "scripts" / "variables.py")
    assert spec
    assert spec.loader
    variables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(variables)
    assert variables.PAGE.read_text(encoding="utf-8") == variables.page(), "make variables"
