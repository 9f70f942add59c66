# SPDX-License-Identifier: Apache-2.0
"""A model is served with the real LLaMA-Factory: the guide's own curl is answered, a wrong key is not; it ends."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.conftest import Fleet
from tests.e2e.serving import FOLDER, KEY, TINY, ask, make_model, playbook
from tests.playbook_run import Run

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def served(fleet: Fleet, node: Any) -> Run:
    assert fleet.site().code == 0
    make_model(node)
    run = playbook(fleet, "serve", TINY)
    assert run.code == 0, run.output
    return run


def test_the_guides_request_is_answered(served: Run, node: Any) -> None:
    assert "tiny: serving, http://127.0.0.1:8000/v1, cards 0, as ascend-serve" in served.output
    asked: list[dict[str, Any]] = [{"do_sample": False}, {}]
    for more in asked:
        code, answer = ask(node, **more)
        assert (code, answer["choices"][0]["message"]["role"]) == (200, "assistant")
        assert answer["usage"]["completion_tokens"] > 0
    # Without a word about sampling it does not sample: the same question, the same answer.
    first, second = (ask(node)[1]["choices"][0]["message"]["content"] for _ in range(2))
    assert first == second
    assert ask(node, key="guessed")[0] == 401
    for each in ("ps -eo args", f"cat {FOLDER}/serve.json {FOLDER}/began.json {FOLDER}/config.yaml"):
        assert KEY not in node.run(each).stdout
    assert KEY not in served.output, "at -vvvv"
    assert served.output.count("<") > 10, "which says what is sent to the node"
    looked = "/var/log /etc /run /tmp /var/tmp /root/.ansible /var/lib/ascend-fleet --exclude=job.json"
    assert node.run(f"grep --recursive --files-with-matches --no-messages {KEY} {looked}").stdout == ""


@pytest.mark.usefixtures("served")
def test_it_is_no_ones_but_its_accounts(node: Any) -> None:
    owners = node.run("ps -eo user:20,args | grep 'llamafactory-cl[i] api'").stdout.split()
    assert owners[0] == "ascend-serve"
    assert node.file(f"{FOLDER}/job.json").mode == 0o400
    assert node.run("runuser -u nobody -- cat %s/config.yaml", FOLDER).rc != 0
    turned = node.run(
        "cp %s/out/log /tmp/before; logrotate --force --state /tmp/state /etc/logrotate.d/ascend-serve", FOLDER
    )
    assert (turned.rc, turned.stderr) == (0, "")
    assert node.file(f"{FOLDER}/out/log").size == 0
    assert node.run("zcat %s/out/log.1.gz | cmp - /tmp/before", FOLDER).rc == 0
    assert ask(node)[0] == 200
    assert node.file(f"{FOLDER}/out/log").size > 0, "it goes on to write there"


@pytest.mark.usefixtures("served")
def test_a_second_run_leaves_it_at_work_and_another_config_begins_it_anew(fleet: Fleet, node: Any) -> None:
    began = node.file(f"{FOLDER}/began.json").content_string
    again = playbook(fleet, "serve", TINY)
    assert (again.code, again.changed) == (0, 0), again.output
    assert node.file(f"{FOLDER}/began.json").content_string == began
    other = {**TINY, "port": 8001, "config": {**TINY["config"], "repetition_penalty": 1.1}}
    changed = playbook(fleet, "serve", other)
    assert (changed.code, changed.changed) == (0, 1), changed.output
    assert ask(node, port=8001)[0] == 200
    wrong = playbook(fleet, "serve", {**other, "config": {**other["config"], "top_pp": 1}})
    assert wrong.code == 2
    assert "does not know the key top_pp" in wrong.output
    assert ask(node, port=8001)[0] == 200, "what is refused changes nothing"


@pytest.mark.usefixtures("served")
def test_the_node_is_busy_and_its_facts_say_why_it_does_not_answer(fleet: Fleet, node: Any) -> None:
    facts = fleet.facts("gather_subset=npu,system")
    assert [(each["name"], each["state"]) for each in facts["services"]] == [("tiny", "serving")]
    assert "serving tiny" in [each["name"] for each in facts["npu"]["processes"]]
    node.run_test("pkill -9 -u ascend-serve -f llamafactory-cli")
    shown = playbook(fleet, "serve_status")
    assert "tiny: down" in shown.output, shown.output
    assert "its program has ended" in shown.output
    (down,) = fleet.facts("gather_subset=system")["services"]
    assert (down["state"], down["why"]) == ("down", "its program has ended")


@pytest.mark.whole  # tests/unit/serve has it with a small server
@pytest.mark.usefixtures("served")
def test_what_cannot_load_is_told_with_its_first_error(fleet: Fleet, node: Any) -> None:
    node.run_test("mkdir -p /srv/broken && echo '{}' > /srv/broken/config.json")
    broken = {**TINY, "name": "broken", "config": {**TINY["config"], "model_name_or_path": "/srv/broken"}}
    run = playbook(fleet, "serve", broken)
    assert run.code == 2, run.output
    assert "broken ended before it answered" in run.output
    assert "the first error: " in run.output


@pytest.mark.usefixtures("served")
def test_what_is_ended_leaves_no_secret(fleet: Fleet, node: Any) -> None:
    stopped = playbook(fleet, "serve_stop")
    assert stopped.code == 0, stopped.output
    assert "services" in fleet.facts("gather_subset=system")
    assert fleet.facts("gather_subset=system")["services"] == []
    secret = "-name job.json -o -name config.yaml -o -name serve.json"
    left = node.run(f"pgrep -u ascend-serve; find /var/lib/ascend-fleet/serve {secret}")
    assert left.stdout == ""
    assert (playbook(fleet, "serve_stop").changed, playbook(fleet, "serve").changed) == (0, 0)
