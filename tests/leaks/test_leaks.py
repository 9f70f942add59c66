# SPDX-License-Identifier: Apache-2.0
"""A secret in every place where an operator can put one, and a run of everything at -vvvv: none is seen elsewhere.

What sees is tried, too: one of the secrets, ``planted``, is leaked to every place that is looked at.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.leaks.world import MODEL, PORT, PYTHON, ROOT, USER, World

pytestmark = [pytest.mark.e2e, pytest.mark.whole]  # a quarter of an hour

FOLDER = "/var/lib/ascend-fleet"
HOME = f"/home/{USER}"
# Who may have which secret, where: (path, owner, mode), each of them the account's alone, which needs it.
KEPT = {
    (f"node:{FOLDER}/train/tiny/job.json", "fleet", "0400"): {"train"},
    (f"node:{FOLDER}/train/tiny/config.yaml", "fleet", "0400"): {"config"},
    (f"node:{FOLDER}/serve/tiny/job.json", "ascend-serve", "0400"): {"serve", "served"},
    (f"node:{FOLDER}/serve/tiny/config.yaml", "ascend-serve", "0400"): {"hub"},
}
# What the test itself put there, as an operator or a user of the node does.
GIVEN = (
    rf"node:{HOME}/\.profile",
    r"node:/etc/ascend-sim/password",
    r"control:(given-\d+\.json|vault_password|msmtprc|fleet/(fleet\.json|password_.*|id_ed25519)|train\.yaml)",
)
# A user's own program shows what it was started with; a simulated node's processes are this machine's, too.
OWN = {"argv": ("control:node-processes", "control:node-execs", "control:watched-processes")}
# Every place that is looked at, and where in it a secret is planted.
PLACES = {
    "terminal": "control:terminal",
    "ansible.log": "control:ansible.log",
    "syslog of the node": "control:node-syslog",
    "syslog of the control node": "control:watched-syslog",
    "processes of the node": "control:node-processes",
    "programs begun on the node": "control:node-execs",
    "processes of the control node": "control:watched-processes",
    "programs begun on the control node": "control:watched-execs",
    "fact cache": "control:facts/",
    "reports, packed": "control:out/drift/planted.json.gz",
    "reports, in base64": "control:out/drift/planted.html",
    "captures": "control:out/records/planted.txt",
    "sshd's log": "control:node-sshd",
    "the product's journal": f"node:{FOLDER}/planted.json",
    "units": "node:/etc/systemd/system/planted.service",
    "histories of the node": f"node:{HOME}/.bash_history",
    "temporary files of the node, cut": "node:/tmp/planted",
    "a file's name": "node:/var/tmp/",
    "histories of the control node": "control:home/.bash_history",
    "temporary files of the control node": "control:tmp/planted",
}
TRAIN = """
model_name_or_path: %s
stage: sft
do_train: true
finetuning_type: lora
lora_target: all
dataset_dir: /opt/ascend/env/current/share/llamafactory/data
dataset: identity
template: default
output_dir: saves
overwrite_output_dir: true
per_device_train_batch_size: 2
max_steps: 5
logging_steps: 1
report_to: none
hf_hub_token: %s
"""


# Of a node that systemd boots: what it keeps in binary files, and what everybody may ask it.
OF_BOOTED = {"the journal's files": "node:/var/log/journal/", "units, as systemd shows them": "control:node-units"}


@pytest.fixture(scope="module", params=["sessions", "systemd"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Iterator[World]:
    import demo

    assert demo.packages() == 0
    made = World(tmp_path_factory.mktemp("leaks"), cache_dir, booted=request.param == "systemd")
    try:
        made.begin()
        everything(made)
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def seen(world: World) -> dict[str, dict[str, Any]]:
    return world.seen()


def everything(world: World) -> None:
    """The whole life of a node; a step that does not end as it should keeps none from the next."""
    for step in (enroll, fill, refuse, provision, train, serve, look, plant):
        try:
            step(world)
        except AssertionError as error:
            world.failed[step.__name__] = str(error)[-6000:]


def enroll(world: World) -> None:
    run = world.play("playbooks/enroll.yml", ansible_user="ascend-fleet")
    assert run.code == 0, run.output


def fill(world: World) -> None:
    """A depot is filled from an index, through a proxy, and from a git server: neither has what is asked for."""
    mark, place = world.marks, f"depot.example:{world.server.port}"
    env = {
        "HTTP_PROXY": f"http://fleet:{mark['web']}@127.0.0.1:{world.server.port}",
        "UV_DEFAULT_INDEX": f"http://fleet:{mark['index']}@{place}/index/simple",
        "no_proxy": "",
    }
    shutil.copytree(world.cache / "depot", world.state / "depot", ignore=shutil.ignore_patterns("wheels"))
    own: dict[str, Any] = {"ascend_depot_dir": str(world.state / "depot")}
    own["depot_extra_index"] = f"http://fleet:{mark['extra']}@{place}/extra"
    locks = {"x86_64": str(ROOT / "releases/8.0.RC1/lock-x86_64.txt")}  # it names a +cpu build
    assert world.play("playbooks/depot.yml", env, **own, ascend_locks=locks).code == 2
    source = {"url": f"http://fleet:{mark['git']}@127.0.0.1:{world.server.port}/git/lf.git", "version": "v0.9.1"}
    own["ascend_depot_dir"] = str(world.cache / "depot")
    assert world.play("playbooks/depot.yml", llamafactory_source=source, **own).code == 2


def refuse(world: World) -> None:
    """A change in vain, twice: the scheduler refuses, and says why; then the depot does."""
    say = world.program("drain", 'echo "refused: SCHEDULER_TOKEN=$SCHEDULER_TOKEN"; exit 1')
    refused = world.play("site.yml", rollout_drain_command=str(say), rollout_resume_command=str(resume(world)))
    assert (refused.code, "refused: SCHEDULER_TOKEN=***" in refused.output) == (2, True), refused.output
    wrong = f"http://fleet:{world.marks['depot_wrong']}@{world.gateway}:{world.server.port}/depot"
    assert world.play("site.yml", ascend_depot_url=wrong).code == 2


def resume(world: World) -> Path:
    return world.program("resume", 'test -n "$SCHEDULER_TOKEN"')


def provision(world: World) -> None:
    command = str(resume(world))
    run = world.play("site.yml", rollout_drain_command=command, rollout_resume_command=command)
    assert run.code == 0, run.output


def train(world: World) -> None:
    """A run on the CPU, and beside it a user's program and a profile, which the facts quote."""
    mark, config = world.marks, world.state / "train.yaml"
    world.sh(f"cat >>{HOME}/.profile", f"export LD_LIBRARY_PATH=/none HF_TOKEN={mark['profile']}\n")
    # Not by runuser, which says so in the journal, and journald adds the whole command line of whoever says something.
    as_user = f"setpriv --reuid {USER} --regid {USER} --init-groups"
    program = f"setsid {as_user} {PYTHON} -c 'import time; time.sleep(3600)' --hub_token $token"
    shown = "ascend-sim set process.7=$!:python3:100"
    world.sh(f"token=$(cat)\n{program} >/dev/null 2>&1 </dev/null &\n{shown}", mark["argv"])
    make = "ASCEND_RT_VISIBLE_DEVICES= ascend-env python $(ascend-env --examples)/tiny/make_model.py"
    world.sh(f"{make} {MODEL} && chmod --recursive a+rX {MODEL}")
    config.write_text(TRAIN % (MODEL, mark["config"]))
    devices = list(range(7))
    run = world.play(
        "playbooks/train.yml",
        train_config=str(config),
        train_name="tiny",
        train_follow=True,
        train_devices=devices,
    )
    assert run.code == 0, run.output


def serve(world: World) -> None:
    run = world.play("playbooks/serve.yml")
    assert run.code == 0, run.output
    asked = json.dumps({"model": "tiny", "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 4})
    script = "import json,sys,urllib.request as u;g=json.load(sys.stdin);"
    script += "r=u.Request('http://127.0.0.1:8000/v1/chat/completions',g['body'].encode(),g['head']);"
    script += "print(u.urlopen(r).status)"
    head = {"Authorization": f"Bearer {world.marks['serve']}", "Content-Type": "application/json"}
    assert world.sh(f'{PYTHON} -c "{script}"', json.dumps({"body": asked, "head": head})) == "200\n"


def look(world: World) -> None:
    """What only looks, while a model is served; the nightly check, without systemd, prints what to do."""
    for name in ("drift", "record", "serve_status", "train_status", "train_fetch", "nightly", "preflight"):
        run = world.play(f"playbooks/{name}.yml", train_name="tiny", nightly_user="root")
        assert run.code == 0 or name in ("drift", "preflight"), run.output[-3000:]
    assert "notifications: sent to" in world.terminal


def plant(world: World) -> None:
    """Leak one secret to every place, in several writings."""
    mark, out = world.marks["planted"], world.state / "out"
    files = {
        f"{FOLDER}/planted.json": json.dumps({"x": mark}) + "\n",
        "/etc/systemd/system/planted.service": f"[Service]\nEnvironment=X={mark}\nExecStart=sleep 3600\n",
        f"{HOME}/.bash_history": quote(f"x {mark}", safe="").replace("K", "%4B") + "\n",
        "/tmp/planted": f"{mark[:9]}\\\n  {mark[9:]}\n",
        f"/var/tmp/{mark}": "\n",
    }
    here = {"delegate_to": "localhost", "become": False, "vars": {"ansible_connection": "local"}}
    argv = ["sh", "-c", "sleep 1", mark]
    copied = {"content": "{{ item.value }}", "dest": "{{ item.key }}"}
    tasks: list[dict[str, Any]] = [
        {"ansible.builtin.debug": {"msg": f"a word {mark}"}},
        {"ansible.builtin.command": {"argv": argv}},
        {"ansible.builtin.command": {"argv": argv}, **here},
        {"ansible.builtin.set_fact": {"x": mark, "cacheable": True}},
        {"ansible.builtin.copy": copied, "loop": "{{ files | dict2items }}"},
    ]
    if world.booted:
        tasks.append({"ansible.builtin.systemd_service": {"name": "planted", "state": "started"}})
    play = {"hosts": "ascend", "gather_facts": False, "become": True, "tasks": tasks, "vars": {"files": files}}
    (world.state / "given-0.json").write_text(json.dumps([play]))
    run = world.play(str(world.state / "given-0.json"))
    assert run.code == 0, run.output[-4000:]
    subprocess.run(["sh", "-c", f"gzip >{out}/drift/planted.json.gz"], input=mark.encode(), check=True)
    (out / "drift" / "planted.html").write_text("data:x;base64," + base64.b64encode(b"ab" + mark.encode()).decode())
    (out / "records" / "planted.txt").write_text(mark[:14] + "...")
    (world.home / ".bash_history").write_bytes(mark.encode().hex().encode())
    (world.tmp / "planted").write_text(mark, encoding="utf-16")
    argv = ["ssh", "-p", str(PORT), "-o", f"UserKnownHostsFile={world.state}/known_hosts", "-o", "BatchMode=yes"]
    subprocess.run([*argv, "-l", mark, world.address, "true"], check=False, capture_output=True)


def test_each_step_ended_as_it_should(world: World) -> None:
    assert world.failed == {}


def test_every_secret_was_used(world: World, seen: dict[str, dict[str, Any]]) -> None:
    wanted = "depot proxy web index extra git webhook wecom signing mail"
    assert world.server.used >= set(wanted.split()), set(wanted.split()) - world.server.used
    assert world.mailbox.received
    assert "Accepted password for admin" in world.sh("cat /leaks/sshd")
    assert "argv" in seen["control:node-processes"]["marks"]


def test_what_is_planted_is_seen_in_every_place(world: World, seen: dict[str, dict[str, Any]]) -> None:
    found = [path for path, about in seen.items() if "planted" in about["marks"]]
    places = {**PLACES, **(OF_BOOTED if world.booted else {})}
    assert {place: path for place, path in places.items() if not any(one.startswith(path) for one in found)} == {}


def test_no_secret_is_seen_where_it_is_not_kept(seen: dict[str, dict[str, Any]]) -> None:
    leaks = {}
    for path, about in seen.items():
        kept = KEPT.get((path, about["owner"], about["mode"]), set())
        own = {name for name, paths in OWN.items() if path in paths}
        given = any(re.fullmatch(pattern, path) for pattern in GIVEN)
        left = set(about["marks"]) - kept - own - {"planted"}
        if left and not given:
            leaks[path] = (sorted(left), about["owner"], about["mode"])
    assert leaks == {}


def test_what_has_to_be_kept_is_the_accounts_alone(seen: dict[str, dict[str, Any]]) -> None:
    for (path, owner, mode), names in KEPT.items():
        about = seen[path]
        assert (set(about["marks"]) - {"planted"}, about["owner"], about["mode"]) == (names, owner, mode)


def test_what_is_ended_leaves_none(world: World) -> None:
    for name in ("serve_stop", "train_stop"):
        assert world.play(f"playbooks/{name}.yml", train_name="tiny").code == 0
    time.sleep(1)
    kept = {path for path in world.seen() if path.startswith(f"node:{FOLDER}")}
    assert kept <= {path for path, _, _ in KEPT if "/train/" in path} | {PLACES["the product's journal"]}
