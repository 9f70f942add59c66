# SPDX-License-Identifier: Apache-2.0
"""docs/variables.md and docs/zh/variables.md are what `make variables` writes, and say the same."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import yaml


@pytest.fixture
def variables(root: Path) -> Any:
    spec = importlib.util.spec_from_file_location("variables", root / "scripts" / "variables.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_of_variables_are_up_to_date(variables: Any) -> None:
    for path, text in variables.pages().items():
        assert path.read_text(encoding="utf-8") == text, "make variables"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"drift_dir": {"en": "The reports.", "zh": "报告。"}}, "drift_dir: the English text changed: The folder of"),
        ({"drift_dir": None}, "drift_dir: no Chinese text; in English: The folder of"),
        ({"drift_dir": {"en": "The folder"}}, "drift_dir: no Chinese text"),
        ({"drift_folder": {"en": "", "zh": ""}}, "drift_folder: no such variable any more"),
        ({"rack": {"en": "Test racks.", "zh": "测试机柜。"}}, "rack: the English text changed: Test nodes"),
        ({"lead": None}, "lead: no Chinese text; in English: Set them"),
    ],
)
def test_a_text_that_does_not_follow_is_named(
    variables: Any, change: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = {**yaml.safe_load(variables.CHINESE.read_text(encoding="utf-8")), **change}
    texts = tmp_path / "texts.yml"
    texts.write_text(yaml.safe_dump({name: entry for name, entry in entries.items() if entry}), encoding="utf-8")
    monkeypatch.setattr(variables, "CHINESE", texts)
    with pytest.raises(variables.AscendError) as raised:
        variables.pages()
    assert raised.value.found.count("\n  ") == 1
    assert said in str(raised.value)
    assert "make variables" in raised.value.remedy
