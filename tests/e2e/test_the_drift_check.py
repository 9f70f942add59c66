# SPDX-License-Identifier: Apache-2.0
"""The drift check over real SSH: it finds what site.yml --check reports and nothing else, and loses no node."""

from __future__ import annotations

import json
import random
import re
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import jsonschema
import pytest
import yaml

from tests.contract.tree import ROOT
from tests.e2e.conftest import NODE, Fleet, files
from tests.e2e.test_node_facts import LATEST, SITE_PACKAGES, TOOLKIT, moved, put, sim
from tests.playbook_run import Run

pytestmark = pytest.mark.e2e

SCHEMA = jsonschema.Draft202012Validator(json.loads((ROOT / "docs" / "fleet.schema.json").read_text()))
ENVIRONMENT = "/opt/ascend/env/current"
PYTHON = "/opt/ascend/python/3.10.*/lib/python3.10"

# name -> (damage, its end), the components that drift
DAMAGE: dict[str, tuple[tuple[str, str], set[str]]] = {
    "an old driver": (sim("driver_version=23.0.6"), {"driver"}),
    "old firmware": (sim("firmware_version=7.1.0.5.220"), {"driver"}),
    "a silent driver": (sim("npu_smi=fail:dcmi module initialize failed. ret is -8005"), {"driver"}),
    "a sick card": (sim("health.6=Critical", "error.6=80E01801 too hot"), {"cards"}),
    "a card fell off": (sim("card_count=7", "device_nodes=8"), {"cards"}),
    "a card is lost": (sim("card_count=7"), {"cards"}),
    "less memory": (sim("hbm_total_mb=32768"), {"cards"}),
    "a link is down": (sim("net_link.2=DOWN"), {"network"}),
    "no address": (sim("net_address.5=none"), {"network"}),
    "time runs free": (sim("time=unsynchronised"), {"system"}),
    "a lost file of the toolkit": (moved(f"{TOOLKIT}/compiler/content/part3.bin"), {"cann"}),
    "half a toolkit": (moved(f"{TOOLKIT}/compiler/version.info"), {"cann"}),
    "no kernels": (moved(f"{TOOLKIT}/opp_kernel"), {"cann"}),
    "CANN's folder is another's": (("chown 65534 /usr/local/Ascend", "chown 0 /usr/local/Ascend"), {"cann"}),
    "latest is mixed": (
        (f"ln -sfn ../8.0.RC2/hccl {LATEST}/hccl", f"ln -sfn ../8.0.RC1/hccl {LATEST}/hccl"), {"cann"},
    ),
    "no Python": (
        ("mv /opt/ascend/python/3* /opt/ascend/kept", "mv /opt/ascend/kept /opt/ascend/python/$(cat /opt/ascend/v)"),
        {"python", "env"},
    ),
    "a Python with a lost file": (
        (f"cd {PYTHON}/json && mv decoder.py away", f"cd {PYTHON}/json && mv away decoder.py"), {"python"},
    ),
    "a distribution is gone": (moved(f"{SITE_PACKAGES}/fire-0.7.0.dist-info"), {"env"}),
    "an extra distribution": (
        (f"mkdir {SITE_PACKAGES}/leftover-1.0.dist-info && cd {SITE_PACKAGES}/leftover-1.0.dist-info"
         " && printf 'Metadata-Version: 2.1\\nName: leftover\\nVersion: 1.0\\n' > METADATA && echo uv > INSTALLER"
         " && printf 'leftover-1.0.dist-info/METADATA,,\\nleftover-1.0.dist-info/RECORD,,\\n' > RECORD",
         f"rm -r {SITE_PACKAGES}/leftover-1.0.dist-info"), {"env"},
    ),
    "a leak": (put(f"{ENVIRONMENT}/lib/python3.10/site-packages/x.pth", "/opt/elsewhere"), {"env"}),
    "another ascend-env": (
        ("cp -p /usr/local/bin/ascend-env /opt/ascend-env.kept && echo '# mine' >> /usr/local/bin/ascend-env",
         "mv /opt/ascend-env.kept /usr/local/bin/ascend-env"), {"env"},
    ),
    "the link leads elsewhere": (
        ("mv /opt/ascend/env/current /opt/ascend/env-kept; ln -s 8.0.RC1-older /opt/ascend/env/current",
         "mv -T /opt/ascend/env-kept /opt/ascend/env/current"), {"env"},
    ),
    "a profile sets PYTHONPATH": (put("/etc/profile.d/x.sh", "export PYTHONPATH=/opt/x"), {"env"}),
}  # fmt: skip
# Damages of one place: together they could not be undone.
EXCLUSIVE = [
    {"a silent driver", "an old driver"},
    {"no Python", "the link leads elsewhere"},
    {"no Python", "a Python with a lost file"},
]
# Of what a silent driver hides, nobody can tell.
HIDES = {"a silent driver": {"cards", "network"}}


def side_by_side() -> list[list[str]]:
    """All damages in as few runs as can be: none of a run touches a component of another, so each is told alone."""
    groups: list[list[str]] = []
    for name in DAMAGE:
        group = next((group for group in groups if not touched([name]) & touched(group)), None)
        groups.append([name]) if group is None else group.append(name)
    return groups


def at_random(seed: int) -> list[str]:
    """Three damages, of one component too, but not of one place."""
    names = random.Random(seed).sample(sorted(DAMAGE), 3)
    for pair in EXCLUSIVE:
        names = [name for name in names if name not in pair or name == min(pair & set(names))]
    return names


def touched(names: list[str]) -> set[str]:
    return set().union(*(DAMAGE[name][1] | HIDES.get(name, set()) for name in names))


def done(node: Any, command: str) -> None:
    """Run a command in the node, which must succeed."""
    result = node.run(command)
    assert result.rc == 0, f"{command}: {result.stderr}"


class Drift:
    """Drift checks of the fleet, their reports in one folder."""

    def __init__(self, fleet: Fleet, folder: Path) -> None:
        self.fleet = fleet
        self.folder = folder

    def check(self, *arguments: str) -> Run:
        return self.fleet.playbook("playbooks/drift.yml", "-e", f"drift_dir={self.folder}", *arguments)

    def report(self) -> dict[str, Any]:
        """The last report, held against the schema."""
        report: dict[str, Any] = json.loads((self.folder / "latest" / "fleet.json").read_text(encoding="utf-8"))
        SCHEMA.validate(report)
        return report

    def node(self, name: str = NODE) -> dict[str, Any]:
        (node,) = [node for node in self.report()["nodes"] if node["name"] == name]
        return dict(node)


@pytest.fixture(scope="module")
def drift(fleet: Fleet, node: Any, tmp_path_factory: pytest.TempPathFactory) -> Drift:
    run = fleet.site()
    assert run.code == 0, run.output
    done(node, "ls /opt/ascend/python > /opt/ascend/v")
    return Drift(fleet, tmp_path_factory.mktemp("drift") / "reports")


def test_a_converged_node_is_clean_and_untouched(drift: Drift, node: Any) -> None:
    before = files(node)
    run = drift.check()
    assert run.code == 0, run.output
    assert files(node) == before
    assert (drift.node()["state"], drift.node()["findings"]) == ("clean", [])
    assert set(drift.node()["components"].values()) == {"clean"}
    assert re.search(r"match(es)? the inventory\.", run.output)
    assert len(run.output.splitlines()) < 40
    names = {path.name for path in (drift.folder / "latest").iterdir()}
    assert names == {"fleet.json", "index.html", "junit.xml", "fleet.prom"}


@pytest.mark.parametrize(
    "names",
    [
        *side_by_side(),
        *(pytest.param([name], marks=pytest.mark.whole) for name in DAMAGE if [name] not in side_by_side()),
        *(pytest.param(at_random(seed), marks=pytest.mark.whole) for seed in range(4)),
    ],
    ids=", ".join,
)
def test_drift_is_what_site_would_change_or_refuse(drift: Drift, node: Any, names: list[str]) -> None:
    for name in names:
        done(node, DAMAGE[name][0][0])
    try:
        run, checked = drift.check(), drift.fleet.site("--check")
    finally:
        for name in reversed(names):
            done(node, DAMAGE[name][0][1])
    assert run.code == 2, run.output
    require_the_same(drift.node()["findings"], checked)
    hidden = set().union(*(HIDES.get(name, set()) for name in names))
    assert {finding["component"] for finding in drift.node()["findings"]} == touched(names) - hidden
    assert all(drift.node()["components"][component] == "unknown" for component in hidden)


def require_the_same(findings: list[dict[str, str]], checked: Run) -> None:
    """Each finding is reported by site.yml --check, and whatever that reports is a finding."""
    text = " ".join(checked.output.split())
    for finding in findings:
        assert finding["problem"] in text or finding["level"] == "change", (finding, checked.output)
    levels = {finding["level"] for finding in findings}
    assert ("refusal" in levels) == (checked.code == 2), checked.output
    assert ("change" in levels) == bool(checked.steps), checked.output
    assert ("warning" in levels) == ("warning: " in checked.output), checked.output


def test_after_all_damage_the_node_is_clean_again(drift: Drift) -> None:
    run = drift.check()
    assert run.code == 0, run.output
    changes = drift.report()["changes"]
    assert (changes["new"], changes["still"]) == ([], 0)
    assert changes["gone"], "the last damage is gone"


def test_a_finding_is_new_once_and_then_still_there(drift: Drift, node: Any) -> None:
    done(node, "ascend-sim set net_link.2=DOWN")
    try:
        drift.check()
        (first,) = [each for each in drift.node()["findings"] if each["name"] == "network-link-down"]
        drift.check()
        (second,) = [each for each in drift.node()["findings"] if each["name"] == "network-link-down"]
    finally:
        done(node, "ascend-sim unset net_link.2")
    assert (first["status"], second["status"]) == ("new", "still")
    assert (first["id"], first["first_seen"]) == (second["id"], second["first_seen"])


class Webhook(BaseHTTPRequestHandler):
    """Takes whatever it is told."""

    told: ClassVar[list[dict[str, Any]]] = []

    def do_POST(self) -> None:
        self.told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def webhook() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Webhook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/secret-token"
        server.shutdown()


def test_a_change_is_told_once(drift: Drift, node: Any, webhook: str) -> None:
    tell = ("-e", json.dumps({"notify_webhooks": [{"form": "json", "url": webhook, "label": "operators"}]}))
    assert drift.check(*tell).code == 0
    Webhook.told.clear()
    done(node, "ascend-sim set net_link.2=DOWN")
    try:
        first, second = drift.check(*tell), drift.check(*tell)
    finally:
        done(node, "ascend-sim unset net_link.2")
    assert "notifications: sent to operators" in first.output, first.output
    assert "notifications:" not in second.output
    (body,) = Webhook.told
    assert [each["name"] for each in body["changes"]["new"]] == [each["name"] for each in drift.node()["findings"]]
    assert "secret-token" not in first.output + (drift.folder / "latest" / "fleet.json").read_text(encoding="utf-8")
    drift.check(*tell)
    assert [(each["changes"]["new_count"], each["changes"]["gone_count"] > 0) for each in Webhook.told[1:]] == [
        (0, True)
    ]


def test_components_can_be_chosen(drift: Drift, node: Any) -> None:
    done(node, "ascend-sim set net_link.2=DOWN")
    try:
        run = drift.check("-e", "drift_components=cann,env")
        wrong = drift.check("-e", "drift_components=kann")
    finally:
        done(node, "ascend-sim unset net_link.2")
    assert run.code == 0, run.output
    assert drift.report()["components"] == ["access", "cann", "env"]
    assert wrong.code == 2
    assert "unknown component: kann" in wrong.output


@pytest.mark.whole  # whatever it would find is looked for below, too
def test_the_deep_form_of_a_converged_node_finds_nothing(drift: Drift) -> None:
    assert drift.check("-e", "drift_deep=true").code == 0


def test_the_deep_form_reads_files_and_runs_torch(drift: Drift, node: Any) -> None:
    done(node, "ascend-sim set device_error.3=507033")
    try:
        fast, deep = drift.check(), drift.check("-e", "drift_deep=true")
    finally:
        done(node, "ascend-sim unset device_error.3")
    assert (fast.code, deep.code) == (0, 2), deep.output
    (finding,) = drift.node()["findings"]
    assert (finding["component"], finding["level"]) == ("env", "refusal")
    assert "card 3" in finding["found"]


@pytest.fixture(scope="module")
def silent(drift: Drift, node: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An inventory of nodes that cannot be checked, each for another reason: the one node under other names."""
    folder = tmp_path_factory.mktemp("silent")
    (described,) = json.loads((drift.fleet.state / "fleet.json").read_text(encoding="utf-8"))["nodes"].values()
    address, key = described["address"], str(drift.fleet.state / "id_ed25519")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "other")], check=True)
    public = (folder / "other.pub").read_text(encoding="utf-8")
    (folder / "known_hosts").write_text(f"{address} {public}", encoding="utf-8")
    done(node, "printf '#!/bin/sh\\nexec sleep 60\\n' > /usr/local/bin/slow && chmod +x /usr/local/bin/slow")
    done(node, "printf '#!/bin/sh\\nkill -SEGV $$\\n' > /usr/local/bin/crash && chmod +x /usr/local/bin/crash")
    done(node, "useradd -m -d /srv/nobodys nobodys && install -d -m 0700 -o nobodys /srv/nobodys/.ssh")
    done(node, "install -m 0600 -o nobodys /root/.ssh/authorized_keys /srv/nobodys/.ssh/authorized_keys")
    # One node under several names: no connection may be shared.
    checked = "-o ControlPath=none -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes -o UserKnownHostsFile="
    known = {"ansible_host": address, "ansible_user": "root", "ansible_ssh_private_key_file": key,
             "ansible_ssh_common_args": f"{checked}{drift.fleet.state / 'known_hosts'}"}  # fmt: skip
    hosts = {
        "npu-gone": {**known, "ansible_port": 1},
        "npu-key": {**known, "ansible_ssh_common_args": f"{checked}{folder / 'known_hosts'}"},
        "npu-login": {**known, "ansible_ssh_private_key_file": str(folder / "other")},
        "npu-sudo": {**known, "ansible_user": "nobodys"},
        "npu-python": {**known, "ansible_python_interpreter": "/usr/bin/python9"},
        "npu-slow": {**known, "ansible_python_interpreter": "/usr/local/bin/slow", "drift_timeout_s": 2},
        "npu-crash": {**known, "ansible_python_interpreter": "/usr/local/bin/crash"},
    }
    file = folder / "hosts.yml"
    file.write_text(yaml.safe_dump({"ascend": {"hosts": hosts}}), encoding="utf-8")
    return file


REASONS = {
    "npu-gone": "unreachable", "npu-key": "host-key", "npu-login": "login", "npu-sudo": "sudo", "npu-python": "python",
    "npu-slow": "timeout", "npu-crash": "crashed",
}  # fmt: skip


def test_every_node_is_in_the_report(drift: Drift, silent: Path) -> None:
    run = drift.check("-i", str(silent))
    assert run.code == 3, run.output
    report = drift.report()
    assert {node["name"]: node["state"] for node in report["nodes"]} == {
        NODE: "clean",
        **dict.fromkeys(REASONS, "unchecked"),
    }
    reasons = {node["name"]: [each["name"] for each in node["findings"]] for node in report["nodes"]}
    # On a busy machine ssh may end before Ansible has written to it, and says nothing but that.
    reasons["npu-gone"] = ["unreachable" if name == "connection-lost" else name for name in reasons["npu-gone"]]
    assert reasons == {NODE: [], **{name: [reason] for name, reason in REASONS.items()}}, report
    for name in REASONS:
        (finding,) = drift.node(name)["findings"]
        assert all(finding[key] for key in ("problem", "wanted", "found", "where", "remedy")), finding
    assert "8 nodes" in run.output or "of 8" in run.output
    assert drift.check("-i", str(silent), "-e", "drift_accept_unchecked=true").code == 0


def test_a_limit_is_a_partial_report(drift: Drift, silent: Path) -> None:
    run = drift.check("-i", str(silent), "--limit", "npu-gone")
    assert run.code == 3, run.output
    report = drift.report()
    assert [node["name"] for node in report["nodes"]] == ["npu-gone"]
    assert (report["partial"], report["limit"]) == (True, "npu-gone")


def test_an_inventory_without_nodes_is_not_green(tmp_path: Path) -> None:
    run = Fleet(tmp_path).playbook("playbooks/drift.yml", "-e", f"drift_dir={tmp_path / 'reports'}")
    assert run.code != 0, run.output
    assert "no node" in run.output
