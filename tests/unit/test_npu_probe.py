# SPDX-License-Identifier: Apache-2.0
"""What torch-npu answers, and what its failures mean."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.ascend.command import Result
from ansible.module_utils.ascend.errors import AscendError
from ansible.module_utils.ascend.npu import npu_probe

VERSIONS = {"torch": "2.1.0", "llamafactory": "0.9.1"}
BANNER = "----\n| Welcome to LLaMA Factory, version 0.9.1  |\n----\n"


def card(index: int, **changes: Any) -> dict[str, Any]:
    return {"index": index, "ok": True, "name": "Ascend910B3", "memory_total_mb": 65536, "error": None, **changes}


def answer(**changes: Any) -> Result:
    said = {"available": True, "count": 2, "cards": [card(0), card(1)], "versions": VERSIONS, **changes}
    return Result(0, "a warning\n" + npu_probe.MARK + json.dumps(said) + "\n", False)


class Program:
    """A fake ``run``: the probe's answer, then llamafactory-cli's."""

    def __init__(self, probe: Result, cli: Result | None = None) -> None:
        self.answers = [probe, cli or Result(0, BANNER, False)]
        self.seen: list[tuple[list[str], dict[str, str]]] = []

    def __call__(self, argv: list[str], timeout_s: float, env: dict[str, str]) -> Result:
        assert timeout_s == 60
        self.seen.append((argv, env))
        return self.answers[len(self.seen) - 1]


def check(program: Program) -> dict[str, Any]:
    return npu_probe.check(program, "/usr/local/bin/ascend-env", "/opt/ascend/env/x", 2, VERSIONS, 60)


def test_all_is_well() -> None:
    program = Program(answer())
    result = check(program)
    assert [one["index"] for one in result["cards"]] == [0, 1]
    assert result["llamafactory"] == "0.9.1"
    (probe, environment), (cli, _) = program.seen
    assert probe[:3] == ["/usr/local/bin/ascend-env", "python", "-c"]
    assert json.loads(probe[4]) == sorted(VERSIONS)
    assert cli[1:] == ["llamafactory-cli", "version"]
    assert set(environment) == {"PATH", "HOME", "ASCEND_FLEET_ENVIRONMENT"}, "nothing of the caller's"


def test_cards_in_use_are_left_alone() -> None:
    program = Program(answer(available=None, count=0, cards=[]))
    result = npu_probe.check(program, "/usr/local/bin/ascend-env", "/opt/ascend/env/x", 2, VERSIONS, 60, False)
    assert result["cards"] == []
    assert program.seen[0][0][-1] == "import"


@pytest.mark.parametrize(
    ("probe", "words"),
    [
        (answer(available=False, count=0, cards=[]), r"is_available\(\) False, 0 devices"),
        (answer(count=1, cards=[card(0)]), r"wanted: is_available\(\) True, 2 devices.*1 devices"),
        (answer(cards=[card(0), card(1, ok=False, error="RuntimeError: 507008")]), "held by another.*card 1"),
        (answer(versions={**VERSIONS, "torch": "2.2.0"}), "torch is not the locked version.*found: 2.2.0"),
        (answer(versions={**VERSIONS, "torch": None}), "torch is not the locked version.*found: None"),
        (Result(1, "ImportError: libhccl.so: cannot open shared object file", False), "CANN's libraries are not found"),
        (Result(1, "ImportError: libascend_hal.so: cannot open", False), "a library of the NPU driver"),
        (Result(1, "ModuleNotFoundError: No module named 'yaml'", False), "has no such module"),
        (Result(139, "", False), "exit code 139"),
        (Result(-9, "", True), "an answer within 60 s"),
    ],
)
def test_failures_and_what_they_mean(probe: Result, words: str) -> None:
    with pytest.raises(AscendError, match=words):
        check(Program(probe))


def test_the_cause_at_the_head_of_a_chain_is_told() -> None:
    chain = "Traceback (most recent call last):\nRuntimeError: libopapi.so: cannot open shared object file\n"
    chain += "\nThe above exception was the direct cause of the following exception:\n\n"
    chain += "".join(f'  File "torch/x{number}.py", line 1\n' for number in range(9))
    chain += "RuntimeError: Failed to load the backend extension: torch_npu.\n"
    with pytest.raises(AscendError) as raised:
        check(Program(Result(1, chain, False)))
    assert raised.value.found.startswith("RuntimeError: libopapi.so: cannot open shared object file\n...\n")
    assert raised.value.found.endswith("Failed to load the backend extension: torch_npu.")


def test_a_failing_card_says_what_helps() -> None:
    bad = card(
        1, ok=False, error="RuntimeError: SetDevice(device_id_), error code is 507033\nFailed to start the device."
    )
    with pytest.raises(AscendError) as failure:
        check(Program(answer(cards=[card(0), bad])))
    said: dict[str, Any] = failure.value.as_dict()
    first, second = said["cards"]
    assert (first["ok"], first["error"], first["symptom"], first["remedy"]) == (True, None, None, None)
    assert (second["error"], second["symptom"]) == (bad["error"], "device-start-failed")
    assert "driver" in second["remedy"]
    assert (said["symptom"], said["remedy"]) == ("device-start-failed", second["remedy"])
    assert "the driver and CANN do not match" in said["problem"]
    assert bad["error"] in said["found"], "its own words"


def test_a_card_with_unknown_words_keeps_them() -> None:
    with pytest.raises(AscendError, match=r"torch-npu does not see every card.*card 0: back as") as failure:
        check(Program(answer(cards=[card(0, ok=False, error="back as [0.0]"), card(1)])))
    said: dict[str, Any] = failure.value.as_dict()
    assert (said["symptom"], said["cards"][0]["symptom"], said["cards"][0]["remedy"]) == (None, None, None)


def test_what_cann_prints_beside_the_answer_says_why_there_is_no_card() -> None:
    none = answer(available=False, count=0, cards=[])
    noise = "[ERROR] RUNTIME(7,python): GetDeviceCount:Call drvGetDevNum, drvRetCode=87\n"
    with pytest.raises(AscendError, match=r"held by another.*0 devices.*drvRetCode=87"):
        check(Program(Result(0, noise + none.output, False)))


def test_every_card_of_a_good_check_has_the_same_fields() -> None:
    for one in check(Program(answer()))["cards"]:
        assert set(one) == {"index", "ok", "name", "memory_total_mb", "error", "symptom", "remedy"}


@pytest.mark.parametrize(
    ("cli", "words"),
    [
        (Result(0, BANNER.replace("0.9.1", "0.9.0"), False), "another version.*wanted: 0.9.1.*found: 0.9.0"),
        (Result(1, "Traceback", False), "llamafactory-cli does not run"),
        (Result(0, "no banner", False), "llamafactory-cli does not run"),
    ],
)
def test_llamafactory_itself(cli: Result, words: str) -> None:
    with pytest.raises(AscendError, match=words):
        check(Program(answer(), cli))
