# SPDX-License-Identifier: Apache-2.0
"""Versions that install well together and fail on a card."""

from __future__ import annotations

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.environment import known_traps

GOOD = {"torch": "2.1.0", "torch-npu": "2.1.0.post3", "numpy": "1.26.4", "setuptools": "75.6.0"}
TRAPS = [
    ({}, []),
    ({"torch": "2.1.0+cpu"}, []),
    ({"torch": "2.1.0a0+git7bcf7da"}, []),
    ({"torch": "2.1", "torch-npu": "2.1.0"}, []),
    ({"torch": "2.1.0+cu121", "torch-npu": "2.1.0.post3+standin"}, []),
    ({"torch": "2.1.2"}, ["environment-torch-pair"]),
    ({"torch-npu": "2.1.0.post3", "torch": "2.10.0"}, ["environment-torch-pair"]),
    ({"torch": "2.4.0", "torch-npu": "2.4.0rc1"}, []),
    ({"torch": None}, ["environment-torch-pair"]),
    ({"torch-npu": None}, []),
    ({"numpy": "1.9"}, []),
    ({"numpy": "2.0.0rc1"}, ["environment-numpy-2"]),
    ({"numpy": "10.0"}, ["environment-numpy-2"]),
    ({"numpy": None}, []),
    ({"numpy": "nonsense"}, []),
    ({"setuptools": "69.5.1"}, []),
    ({"setuptools": "70.0"}, ["environment-setuptools"]),
    ({"setuptools": "70.0.0.post1"}, ["environment-setuptools"]),
    ({"setuptools": "70.1.0"}, []),
    ({"setuptools": "81.0.0"}, []),
    ({"setuptools": "82.0.1"}, ["environment-setuptools"]),
    ({"setuptools": None}, ["environment-setuptools"]),
    ({"torch": "2.5.1", "torch-npu": "2.5.1", "setuptools": None}, []),
    ({"torch": "2.5.1", "torch-npu": "2.5.1", "setuptools": "82.0.0"}, []),
    ({"torch": None, "torch-npu": None, "setuptools": None}, []),
    ({"numpy": "2.0", "torch": "2.2", "setuptools": "99"}, ["environment-numpy-2", "environment-torch-pair"]),
]


@pytest.mark.parametrize(("changes", "wanted"), TRAPS)
def test_traps(changes: dict[str, str | None], wanted: list[str]) -> None:
    versions = {name: version for name, version in {**GOOD, **changes}.items() if version}
    found = known_traps.find(versions)
    assert [trap.problem.name for trap in found] == wanted
    assert all(trap.problem.words for trap in found)
