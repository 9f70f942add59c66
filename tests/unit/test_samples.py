# SPDX-License-Identifier: Apache-2.0
"""Of what was pasted, the parsers are given what the tool printed."""

from __future__ import annotations

import pytest

from tests.samples import answers, as_printed


@pytest.mark.parametrize(
    ("pasted", "printed"),
    [
        ("> | 0 > 1 |\n>\n>| a |\n", "| 0 > 1 |\n\n| a |\n"),
        (" > > ret is -8005\r\n", "ret is -8005\r\n"),
        ("```shell\nret is -8005\n```", "ret is -8005"),
        ("ｒｅｔ　is－8005", "ret is-8005"),
        (">>> import torch\ndone", ">>> import torch\ndone"),
        ("bash: npu-smi：未找到命令", "bash: npu-smi：未找到命令"),
        ("a > b\n", "a > b\n"),
        ("", ""),
    ],
)
def test_what_was_printed(pasted: str, printed: str) -> None:
    assert as_printed(pasted) == printed


def test_answers_of_a_record() -> None:
    text = "# hccn_tool -i 0 -ip -g\nipaddr:192.0.2.1\n\n[root@node ~]# /opt/x/hccn_tool -i 1 -ip -g\n"
    assert answers(text) == [("hccn_tool -i 0 -ip -g", "ipaddr:192.0.2.1\n\n"), ("hccn_tool -i 1 -ip -g", "")]
