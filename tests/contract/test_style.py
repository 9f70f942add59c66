# SPDX-License-Identifier: Apache-2.0
"""The linters, with no exception list: what `make lint` runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.tree import ROOT, committed, passes

pytestmark = pytest.mark.lint


def test_ansible_lint_production() -> None:
    passes(["ansible-lint", "--offline", "--nocolor", "--strict", "--profile", "production"])


def test_yamllint() -> None:
    passes(["yamllint", "--strict", "--format", "parsable", "."])


def test_ruff_check() -> None:
    passes(["ruff", "check", "--quiet", "."])


def test_ruff_format() -> None:
    passes(["ruff", "format", "--check", "--diff", "--quiet", "."])


def test_mypy_strict() -> None:
    passes(["mypy", "collections/ansible_collections/ascend/fleet/plugins", "scripts", "sim", "tests"])


BASH = [path for path in committed() if path.read_bytes().startswith(b"#!/usr/bin/env bash")]


@pytest.mark.parametrize("script", BASH, ids=lambda path: str(path.relative_to(ROOT)))
def test_bash_reads(script: Path) -> None:
    passes(["bash", "-n", script])


def test_linters_are_not_told_to_look_away() -> None:
    settings = (ROOT / ".ansible-lint").read_text()
    assert "skip_list" not in settings
    assert "warn_list" not in settings
    assert "profile: production" in settings
