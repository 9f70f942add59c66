# SPDX-License-Identifier: Apache-2.0
"""The drift check by an account that may run one program as root: it sees what root sees, and gets nothing else.

``holes`` tries what a hostile holder of the account would; each defect that is planted opens the one that is named.
"""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.places import HELPER, HELPER_CONFIG, HELPER_RULE
from tests.change.fleet import Fleet, sh

pytestmark = pytest.mark.whole  # three minutes

ACCOUNT = "ascend-drift"
HOME = "/var/lib/ascend-drift"
NODE = "ascend-account-1"
SECRET = "marked-secret"
# A user's home full of links and pipes, files that are root's own, and modules in the place of Python's.
HOSTILE = f"""
mkdir -p /root/private /tmp/evil
printf 'export PYTHONPATH=/{SECRET}/one\\n' >/root/private/one; chmod 600 /root/private/one
printf 'export LD_PRELOAD=/{SECRET}/two\\n' >/root/private/two; chmod 600 /root/private/two
printf 'LD_LIBRARY_PATH=/{SECRET}/three\\n' >/root/private/three; chmod 644 /root/private/three; chmod 700 /root/private
id mallory >/dev/null 2>&1 || useradd --create-home mallory
cd /home/mallory; rm -f .bashrc .profile .zshrc .config; printf '. /root/private/two\\n' >.profile
ln -s /root/private/one .bashrc; mkfifo .zshrc; mkdir -p /tmp/evil/environment.d
ln -s /root/private/three /tmp/evil/environment.d/x.conf; ln -s /tmp/evil .config; chown -R -h mallory .
for name in sitecustomize usercustomize json fcntl shutil; do
  printf 'open("/tmp/evil/ran", "w")\\nraise ImportError\\n' >/tmp/evil/$name.py
done
"""


class Account(Fleet):
    def inventory(self, release: str = "8.0.RC1") -> Path:
        nodes = json.loads((self.state / "fleet.json").read_text(encoding="utf-8"))["nodes"]
        hosts = {name: node["vars"] for name, node in nodes.items()}
        variables = {"ascend_depot_dir": str(self.state / "depot"), "ascend_release": release}
        path = self.state / "inventory.json"
        path.write_text(json.dumps({"ascend": {"hosts": hosts, "vars": variables}}), encoding="utf-8")
        return path

    def setup(self) -> dict[str, int]:
        run = self.playbook("playbooks/drift_account.yml", "-e", f"drift_account_public_key={self.state}/drift.pub")
        assert run.code == 0, run.output[-4000:]
        return run.recap[NODE]

    def drift(self, name: str, *arguments: str) -> dict[str, Any]:
        """The node in the report of a check; each has a folder of its own, so that none is compared with another."""
        folder = self.state / name
        run = self.playbook("playbooks/drift.yml", "-e", f"drift_dir={folder}", *arguments)
        (node,) = json.loads((folder / "latest" / "fleet.json").read_text())["nodes"]
        node.pop("seconds", None)
        for finding in node["findings"]:
            finding.pop("first_seen")
        assert run.code, run.output[-3000:]  # the node is bare: it is drifted, or could not be checked
        return {**node, "exit": run.code}

    def by_helper(self, name: str, *arguments: str) -> dict[str, Any]:
        reached = {"ansible_user": ACCOUNT, "ansible_ssh_private_key_file": str(self.state / "drift")}
        extra = json.dumps({**reached, "drift_by_helper": True})
        return self.drift(name, "-e", extra, *arguments)

    def ssh(self, command: str) -> str:
        argv = ["ssh", "-i", str(self.state / "drift"), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"]
        argv += ["-o", f"UserKnownHostsFile={self.known_hosts()}", f"{ACCOUNT}@{self.address(NODE)}", command]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120)
        return done.stdout

    def known_hosts(self) -> Path:
        return self.state / "known_hosts"


@pytest.fixture(scope="module", params=[(), ("--profile", "hardened")], ids=["plain", "hardened"])
def fleet(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    state = tmp_path_factory.mktemp("account") / "state"
    made = Account("ascend-account", state, state)
    made.command("down")
    made.command("up", "--nodes", "1", *request.param)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(state / "drift")], check=True)
    sh(NODE, HOSTILE)
    made.setup()
    yield made
    made.command("down")


def by_account(script: str, terminal: bool = False) -> str:
    """With a terminal, too: a sudo that wants one would refuse all for the lack of it."""
    shell = ["script", "-qec", script, "/dev/null"] if terminal else ["sh", "-c", script]
    return f"(cd /tmp; exec runuser -u {ACCOUNT} -- {shlex.join(shell)}) </dev/null"


FACTS = f"sudo -n {HELPER}"
OWN = (("helper", HELPER), ("config", HELPER_CONFIG), ("rule", HELPER_RULE), ("key", f"{HOME}/.ssh/authorized_keys"))
# What the account tries, by the hole that is open where it succeeds; what is opened for writing is not written to.
TRIED = [
    *(("argument", f"{FACTS} {argument}") for argument in ("x", "--help", "-c id", "''")),
    *(("shell", f"sudo -n {what}") for what in ("sh -c id", "-i id", "-s id", f"-e {HELPER_CONFIG}")),
    ("variable", f"sudo -n PYTHONPATH=/tmp/evil {HELPER}"),
    ("variable", f"PYTHONPATH=/tmp/evil sudo -n -E {HELPER}"),
    *((name, f": >>{path}") for name, path in OWN),
    *((name, f"mv {path} {path}.x && mv {path}.x {path}") for name, path in OWN),
    *(("read", f"cat {path}") for path in (HELPER_CONFIG, HELPER_RULE, "/root/private/one")),
    ("home", f": >{HOME}/.profile && rm {HOME}/.profile"),
]
# The facts, asked for in the worst of surroundings.
HOSTILE_CALL = (
    "cd /tmp/evil; umask 0; ulimit -c unlimited; echo nonsense | PYTHONPATH=/tmp/evil PYTHONHOME=/tmp/evil"
    f" PYTHONINSPECT=1 LD_PRELOAD=/tmp/evil/x.so TMPDIR=/nowhere {FACTS}"
)


def holes(fleet: Account) -> set[str]:
    """What the account gets beside the facts."""
    tried = [f"{by_account(script, terminal=True)} >/dev/null 2>&1 && echo {name}" for name, script in TRIED]
    found = set(sh(NODE, "\n".join([*tried, "true"])).split())
    script = f"rm -f /tmp/evil/ran; chmod -R a+rwX /tmp/evil; {by_account(HOSTILE_CALL)} 2>&1; ls /tmp/evil"
    said = sh(NODE, script)
    signs = {"preload": "ld.so", "environment": "\nran\n", "secret": SECRET}
    found |= {name for name, sign in signs.items() if sign in said}
    found |= set() if '"facts"' in said else {"no facts"}
    return found | (set() if '"helper"' in fleet.ssh("id") else {"login"})


def test_the_account_reports_what_root_does(fleet: Account) -> None:
    by_root, by_helper = fleet.drift("root"), fleet.by_helper("helper")
    assert by_root["findings"], "nothing was compared"
    assert by_helper == by_root
    assert fleet.setup()["changed"] == 0


def test_it_may_run_one_program_and_gets_nothing_else(fleet: Account) -> None:
    said = sh(NODE, by_account("sudo -n -l", terminal=True))
    rules = said.partition("may run the following commands")[2].splitlines()[1:]
    assert [rule.strip() for rule in rules if rule.strip()] == [f'(root) NOPASSWD: {HELPER} ""']
    assert holes(fleet) == set()


def test_it_leaves_nothing_behind(fleet: Account) -> None:
    sh(NODE, "touch /tmp/before; sleep 0.1")
    assert '"facts"' in sh(NODE, by_account(FACTS))
    new = sh(NODE, "find / -xdev -type f -newer /tmp/before -not -path '/proc/*' -not -path '/var/log/*'").split()
    assert [path for path in new if not path.startswith("/run/")] == []


DEFECTS = {
    "argument": f"sed -i 's| \"\"$||' {HELPER_RULE}",
    "shell": f"echo '{ACCOUNT} ALL=(root) NOPASSWD: ALL' >>{HELPER_RULE}",
    "variable": f"sed -i 's/NOPASSWD:/NOPASSWD:SETENV:/' {HELPER_RULE}",
    "environment": f"sed -i '1s/ -IS/    /' {HELPER}; echo 'Defaults!{HELPER} env_keep += PYTHONPATH' >>{HELPER_RULE}",
    "no facts": f"sed -i '1s/ -IS/    /' {HELPER}",
    "helper": f"chmod o+w {HELPER}",
    "config": f"chmod o+w {HELPER_CONFIG}",
    "read": f"chmod o+r {HELPER_CONFIG}",
    "key": f"chown {ACCOUNT} {HOME}/.ssh/authorized_keys",
    "home": f"chown {ACCOUNT} {HOME}",
    "login": f'sed -i \'s/command="[^"]*" //; s/restrict,//\' {HOME}/.ssh/authorized_keys',
    # Root reads what lies in homes as root: a word of the archive, of the same length.
    "secret": f"sed -i 's/os.geteuid() != 0:/os.geteuid() == 0:/' {HELPER}",
}


@pytest.mark.parametrize("hole", DEFECTS)
def test_a_defect_is_seen(fleet: Account, hole: str) -> None:
    places = f"{HELPER} {HELPER_CONFIG} {HELPER_RULE} {HOME}"
    sh(NODE, f"tar -C / -cpf /root/whole.tar {places}")
    try:
        sh(NODE, DEFECTS[hole])
        assert hole in holes(fleet)
    finally:
        sh(NODE, "tar -C / --overwrite -xpf /root/whole.tar")
    assert sh(NODE, f"stat -c %U:%a {HELPER} {HELPER_CONFIG} {HELPER_RULE} {HOME}").split() == [
        "root:755",
        "root:600",
        "root:440",
        "root:755",
    ]


SAID = {
    "the helper is not on the node": f"rm {HELPER}",
    "sudo does not let the account run the helper": f"rm {HELPER_RULE}",
    "the helper is from another version of ascend-fleet": f"sed -i 's/^main(\"..../main(\"0000/' {HELPER}",
    "the helper was set up with values other than the inventory's": f"sed -i 's|/opt/ascend|/opt/x|' {HELPER_CONFIG}",
    "others can write the helper's settings": f"chmod 666 {HELPER_CONFIG}",
}


@pytest.mark.parametrize("problem", SAID)
def test_what_it_cannot_see_is_said(fleet: Account, problem: str) -> None:
    sh(NODE, SAID[problem])
    node = fleet.by_helper("said")
    (finding,) = node["findings"]
    assert (node["exit"], node["state"], finding["name"], finding["problem"]) == (3, "unchecked", "helper", problem)
    assert f"playbooks/drift_account.yml -i {fleet.state}/inventory.json --limit {NODE}" in finding["remedy"]
    assert fleet.setup()["changed"] == 1
    assert fleet.by_helper("said")["state"] == "drifted"


def test_the_deep_form_and_another_inventory_are_refused(fleet: Account) -> None:
    for arguments, words in (
        (["-e", "drift_deep=true"], "the helper cannot run a deep check"),
        (["-e", '{"ascend_cards_out": [3]}'], "the helper was set up with values other than the inventory's"),
    ):
        (finding,) = fleet.by_helper("other", *arguments)["findings"]
        assert finding["problem"] == words


def test_everything_of_it_is_removed_but_the_account(fleet: Account) -> None:
    run = fleet.playbook("playbooks/remove.yml", "-e", "remove_everything=true")
    assert run.code == 0, run.output[-4000:]
    assert not sh(NODE, f"ls -d {HELPER} {HELPER_CONFIG} {HELPER_RULE} $(dirname {HELPER}) 2>/dev/null", check=False)
    assert sh(NODE, f"id -u {ACCOUNT}").strip()
    assert fleet.setup()["changed"] > 0
