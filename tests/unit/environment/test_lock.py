# SPDX-License-Identifier: Apache-2.0
"""Locks: every line a pinned, hashed distribution; a digest that names the content."""

from __future__ import annotations

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.environment import lock
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError

LOCK = """\
# made by uv
Torch_NPU==2.1.0.post3 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via llamafactory
uvicorn[standard]==0.34.0 ; python_version >= "3.9" --hash=sha256:cc
"""


def test_names_are_normalised() -> None:
    assert lock.parse(LOCK) == {"torch-npu": "2.1.0.post3", "uvicorn": "0.34.0"}


@pytest.mark.parametrize(
    "line",
    ["torch", "torch>=2.1 --hash=sha256:aa", "torch==2.1.0", "git+https://example.org/x.git", "-r other.txt", "=="],
)
def test_anything_else_is_refused(line: str) -> None:
    with pytest.raises(AscendError, match="not a pinned, hashed distribution"):
        lock.parse(LOCK + line + "\n")


def test_the_digest_names_the_content_and_not_its_form() -> None:
    first, second = lock.entries(LOCK)
    assert lock.digest(LOCK) == lock.digest(f"# other words\n{second}\n\n{first}\n")
    assert lock.digest(LOCK) != lock.digest(LOCK.replace("sha256:bb", "sha256:bd"))


def test_one_distribution_less() -> None:
    assert lock.parse(lock.without(LOCK, "torch-npu")) == {"uvicorn": "0.34.0"}
    assert lock.parse(lock.without(LOCK, "uvicorn")) == {"torch-npu": "2.1.0.post3"}
    assert lock.parse(lock.without(LOCK, "torch")) == lock.parse(LOCK)
