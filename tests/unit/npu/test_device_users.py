# SPDX-License-Identifier: Apache-2.0
"""Who may open the cards, who is let in, who proves, and what the plan makes of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import Account, Result
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu import device_users
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.device_users import DeviceFile
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.probe_account import prover
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.plan import plan
from tests.answers import HANGS, Programs, node
from tests.unit.plan.planner_nodes import converged, steps, wanted

NAMES = ("getent", "id", "gpasswd")
ALICE = {"getent passwd alice": "alice:x:1001:1001:Alice:/home/alice:/bin/bash\n", "id -G alice": "1001\n"}
OWNER = {
    "getent passwd 1000": "HwHiAiUser:x:1000:1000::/home/HwHiAiUser:/usr/sbin/nologin\n",
    "getent group 1000": "HwHiAiUser:x:1000:\n",
}
FILES = ("davinci0", "davinci1", "davinci_manager", "devmm_svm", "hisi_hdc")


@pytest.fixture
def dev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A node's /dev as the driver makes it: 0660 HwHiAiUser:HwHiAiUser, and other files that are no cards."""
    folder = tmp_path / "dev"
    folder.mkdir()
    for name in (*FILES, "davinci_manager_docker", "null"):
        (folder / name).touch()
        (folder / name).chmod(0o660)
    owned(monkeypatch, 1000, 1000)
    return tmp_path


def owned(monkeypatch: pytest.MonkeyPatch, uid: int, gid: int, mode: int = 0o660) -> None:
    real = os.stat

    def stat(path: Any, **options: Any) -> os.stat_result:
        status = real(path, **options)
        if "/dev/" not in str(path):
            return status
        return os.stat_result((0o100000 | mode, *status[1:4], uid, gid, *status[6:]))

    monkeypatch.setattr(os, "stat", stat)


def read(root: Path, users: list[str], answers: dict[str, Any]) -> list[tuple[str, str, Any]]:
    programs = Programs(answers)
    told, findings = device_users.read_users(node(root, programs, NAMES), users, 30)
    assert [finding["found"] for finding in findings] == [user["found"] for user in told if user["state"] != "ok"]
    assert programs.all_asked()
    return [(user["name"], user["state"], user["group"]) for user in told]


def test_nobody_is_asked_for_where_nobody_is_named(dev: Path) -> None:
    assert read(dev, [], {}) == []


def test_an_account_outside_of_the_group_is_shut_out(dev: Path) -> None:
    assert read(dev, ["alice"], {**ALICE, **OWNER}) == [("alice", "shut-out", "HwHiAiUser")]
    told, (finding,) = device_users.read_users(node(dev, Programs({**ALICE, **OWNER}), NAMES), ["alice"], 30)
    assert told[0]["found"] == "/dev/davinci0 is 0660 HwHiAiUser:HwHiAiUser, and 4 more device files"
    assert finding["remedy"] == "gpasswd --add alice HwHiAiUser  # for new sessions"


def test_a_group_of_the_directory_counts(dev: Path) -> None:
    """id knows what LDAP says, /etc/group does not."""
    assert read(dev, ["alice"], {**ALICE, "id -G alice": "1001 70001 1000\n"}) == [("alice", "ok", None)]


def test_words_of_the_loader_are_no_answer(dev: Path) -> None:
    noise = "ERROR: ld.so: object '/lib64/x.so' from /etc/ld.so.preload cannot be preloaded: ignored.\n"
    answers = {command: noise + said for command, said in ALICE.items()}
    assert read(dev, ["alice"], {**answers, "id -G alice": noise + "1001 1000\n"}) == [("alice", "ok", None)]


def test_an_account_that_is_not_there(dev: Path) -> None:
    assert read(dev, ["bob"], {"getent passwd bob": Result(2, "", False)}) == [("bob", "absent", None)]


def test_a_directory_server_that_hangs_is_asked_once_and_nobody_is_called_shut_out(dev: Path) -> None:
    assert read(dev, ["alice", "bob"], {"getent passwd alice": HANGS}) == [
        ("alice", "unread", None),
        ("bob", "unread", None),
    ]


@pytest.mark.parametrize(
    ("uid", "gid", "mode", "state"),
    [
        (1000, 1000, 0o666, "ok"),  # installed for all
        (0, 0, 0o660, "shut-out"),  # nobody joins root's group
        (1000, 1000, 0o600, "shut-out"),  # the group may not open them either
        (1001, 7, 0o600, "ok"),  # its own
        (1001, 1001, 0o060, "shut-out"),  # the first class that fits decides
    ],
)
def test_rights_and_what_no_group_helps(
    dev: Path, monkeypatch: pytest.MonkeyPatch, uid: int, gid: int, mode: int, state: str
) -> None:
    owned(monkeypatch, uid, gid, mode)
    answers: dict[str, Any] = dict(ALICE)
    if state == "shut-out":
        answers[f"getent passwd {uid}"] = answers[f"getent group {gid}"] = Result(2, "", False)
    assert read(dev, ["alice"], answers) == [("alice", state, None)]


def test_may_open_is_what_the_kernel_says(tmp_path: Path) -> None:
    """Held to open(2) itself, in a process of that account."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another account")
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        parent.chmod(parent.stat().st_mode | 0o005)
    account = Account("x", 4001, 4002, (4002, 4003))
    for uid, gid in ((4001, 9), (9, 4002), (9, 4003), (9, 9), (4001, 4002)):
        for mode in (0o660, 0o600, 0o606, 0o640, 0o666, 0o220):
            path = tmp_path / f"{uid}-{gid}-{mode:o}"
            path.touch()
            os.chown(path, uid, gid)
            path.chmod(mode)
            file = DeviceFile(str(path), uid, gid, mode)
            assert device_users.may_open(account, file) == opened(account, path), path.name


def opened(account: Account, path: Path) -> bool:
    child = os.fork()
    if child == 0:
        os.setgroups(account.groups)
        os.setgid(account.gid)
        os.setuid(account.uid)
        try:
            os.open(path, os.O_RDWR)
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


class Group:
    """A node on which gpasswd works, or says why not."""

    def __init__(self, refusal: str = "") -> None:
        self.refusal = refusal
        self.groups = "1001"
        self.ran: list[str] = []

    def run(self, argv: list[str], timeout_s: float) -> Result:
        assert timeout_s
        words = " ".join([Path(argv[0]).name, *argv[1:]])
        if words == "gpasswd --add alice HwHiAiUser":
            self.ran.append(words)
            self.groups = self.groups if self.refusal else "1001 1000"
            return Result(1 if self.refusal else 0, self.refusal, False)
        answers = {**ALICE, **OWNER, "id -G alice": self.groups + "\n", "id -G HwHiAiUser": "1000\n"}
        return Result(0, answers[words], False)


def test_an_account_joins_the_group_once(dev: Path) -> None:
    there = Group()
    where = node(dev, None, NAMES)._replace(run=there.run)
    assert device_users.admit(where, ["alice"], check=True) == [{"name": "alice", "group": "HwHiAiUser"}]
    assert there.ran == []
    assert device_users.admit(where, ["alice"], check=False) == [{"name": "alice", "group": "HwHiAiUser"}]
    assert device_users.admit(where, ["alice"], check=False) == []
    assert there.ran == ["gpasswd --add alice HwHiAiUser"]


def test_a_group_that_cannot_be_changed_is_told(dev: Path) -> None:
    there = Group("gpasswd: group 'HwHiAiUser' does not exist in /etc/group")
    with pytest.raises(AscendError, match=r"alice still cannot open the cards.*does not exist in /etc/group"):
        device_users.admit(node(dev, None, NAMES)._replace(run=there.run), ["alice"], check=False)


def test_who_proves(dev: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    owner = {**OWNER, "id -G HwHiAiUser": "1000\n"}

    def chosen(users: list[str], answers: dict[str, Any]) -> tuple[str, str, bool]:
        found = prover(node(dev, Programs(answers), NAMES), users)
        return found.name, found.why, found.account is None

    assert chosen(["alice"], ALICE) == ("alice", "of ascend_users", False)
    assert chosen([], owner) == ("HwHiAiUser", "the owner of the device files; ascend_users names nobody", False)
    name, why, _ = chosen(["bob"], {**owner, "getent passwd bob": Result(2, "", False)})
    assert (name, "bob" in why) == ("HwHiAiUser", True)
    assert chosen([], {"getent passwd 1000": Result(2, "", False)})[::2] == ("root", True)
    owned(monkeypatch, 0, 0)
    assert chosen([], {}) == (
        "root",
        "/dev/davinci_manager belongs to root: name the accounts that train in ascend_users",
        True,
    )
    for name in (*FILES, "davinci_manager_docker"):
        (dev / "dev" / name).unlink()
    assert chosen([], {})[0] == "root"


def found(**user: Any) -> dict[str, Any]:
    node = converged()
    alice: Any = {"name": "alice", "state": "shut-out", "group": None, "found": "why", **user}
    node["driver"]["users"] = [alice]
    node["findings"] = [] if alice["state"] == "ok" else [device_users.finding_of(alice)]
    return node


def test_the_plan_lets_accounts_in_before_the_environment_is_proven() -> None:
    assert steps(found(group="HwHiAiUser")) == [("users", "repair")]
    (step,) = plan(found(group="HwHiAiUser"), wanted())["steps"]
    assert step["reason"] == "accounts cannot open the cards: alice is not in the group HwHiAiUser"
    node = found(group="HwHiAiUser")
    node["environments"]["current"] = None
    assert steps(node) == [("users", "repair"), ("current", "switch")]


@pytest.mark.parametrize(
    ("state", "kind", "words"),
    [
        ("absent", "refusals", "useradd --create-home alice"),
        ("shut-out", "refusals", "install the driver"),
        ("unread", "remarks", "time id alice"),
    ],
)
def test_what_the_plan_says_of_an_account(state: str, kind: str, words: str) -> None:
    planned: Any = plan(found(state=state), wanted())
    told = {key: [each["check"] for each in planned[key]] for key in ("refusals", "warnings", "remarks")}
    assert told == {"refusals": [], "warnings": [], "remarks": [], kind: [f"device-user-{state}"]}
    assert planned["steps"] == []
    (said,) = planned[kind]
    assert (said["component"], "alice" in said["problem"], words in said["remedy"]) == ("cards", True, True)


def test_accounts_that_may_open_the_cards_need_nothing() -> None:
    assert plan(found(state="ok"), wanted()) == {"steps": [], "refusals": [], "warnings": [], "remarks": []}
