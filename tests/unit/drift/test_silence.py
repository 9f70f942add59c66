# SPDX-License-Identifier: Apache-2.0
"""A silent node says why: the most definite reason wins, noise is none, and what is not known is quoted as such."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, strategies as st

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift.silence import (
    is_known,
    said_by,
    silence,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.drift.silence_reasons import REASONS

TEMPORARY = (
    "Failed to create temporary directory. In some cases, you may have been able to authenticate and did not have"
    " permissions on the target directory. Consider changing the remote tmp path in ansible.cfg to a path rooted in"
    ' "/tmp", for more error information use -vvv. Failed command was: ( umask 77 && mkdir -p "` echo'
    ' /root/.ansible/tmp `"&& mkdir "` echo /root/.ansible/tmp/ansible-tmp-1 `" ), exited with result 1'
)
SSH = "Failed to connect to the host via ssh: "

# What was said, whether the node was reached -> the finding's name, words of its problem, words of its remedy.
SAID: list[tuple[str, bool, str, str, str]] = [
    # ansible#17215, #25401, #73179
    (
        'Traceback (most recent call last):\n  File "<stdin>", line 107, in <module>\n  File "/usr/lib/python3.9/'
        "tempfile.py\", line 351, in mkdtemp\nOSError: [Errno 28] No space left on device: '/tmp/x'",
        True,
        "disk-full",
        "full, or has no inodes",
        "df -i",
    ),
    (
        "mkdir: cannot create directory '/root/.ansible/tmp/ansible-tmp-1': No space left on device",
        False,
        "disk-full",
        "full",
        "df -h",
    ),
    (
        f"{TEMPORARY}, stderr output: mkdir: cannot create directory ‘/root/.ansible’: Read-only file system\n",
        False,
        "read-only",
        "read-only",
        "findmnt",
    ),
    (
        f"{TEMPORARY}, stderr output: mkdir: cannot create directory '/nfs/alice/.ansible': Permission denied\n",
        False,
        "home-not-writable",
        "home",
        "ansible_remote_tmp=/tmp",
    ),
    (TEMPORARY, False, "no-temporary-folder", "cannot create", "findmnt"),
    (
        "FileNotFoundError: [Errno 2] No usable temporary directory found in ['/tmp', '/var/tmp', '/root']",
        True,
        "no-temporary-folder",
        "no writable folder for temporary files",
        "df -i /tmp",
    ),
    ("bash: cannot create temp file for here-document: No space left on device", True, "disk-full", "full", "df"),
    ("OSError: [Errno 122] Disk quota exceeded", True, "disk-full", "full", "df"),
    ("OSError: [Errno 5] Input/output error: '/usr/lib/python3.9'", True, "disk-error", "error", "dmesg"),
    ("mkdir: cannot stat '/home/alice': Stale file handle", True, "disk-error", "file server", "dmesg"),
    # ansible#26493, #10874
    (
        "WARNING: Your password has expired.\nPassword change required but no TTY available.",
        True,
        "password-expired",
        "password has expired",
        "chage",
    ),
    (
        f"{SSH}You are required to change your password immediately (administrator enforced)",
        False,
        "password-expired",
        "password has expired",
        "passwd",
    ),
    (
        "Your account has expired; please contact your system administrator.",
        False,
        "account-expired",
        "expired",
        "chage -E",
    ),
    (
        "The account is locked due to 3 failed logins.\n(10 minutes left to unlock)\nalice@192.0.2.1: Permission denied"
        " (password).",
        False,
        "account-locked",
        "locked",
        "faillock",
    ),
    ("This account is currently not available.", True, "no-shell", "no shell", "usermod"),
    (
        '"System is booting up. Unprivileged users are not permitted to log in yet. Please come back later. For'
        ' technical details, see pam_nologin(8)."\nConnection closed by 192.0.2.1 port 22',
        False,
        "nologin",
        "starting",
        "nologin",
    ),
    (
        f"{SSH}Received disconnect from 192.0.2.1 port 22:2: Too many authentication failures\nDisconnected",
        False,
        "too-many-keys",
        "too many keys",
        "IdentitiesOnly=yes",
    ),
    # ansible#20858, #17349
    (
        "sudo: unable to resolve host npu-01: Name or service not known\nsudo: a password is required",
        True,
        "sudo",
        "asks for a password",
        "-K",
    ),
    (
        "sudo: unable to resolve host npu-01: Name or service not known\nOSError: [Errno 28] No space left on device",
        True,
        "disk-full",
        "full",
        "df",
    ),
    (
        "sudo: unable to resolve host npu-01: Temporary failure in name resolution\n"
        "/bin/sh: 1: /usr/bin/python3: not found",
        True,
        "python",
        "no Python",
        "python3",
    ),
    (
        "sudo: setrlimit(RLIMIT_CORE): Operation not permitted\n/bin/sh: fork: retry: Resource temporarily unavailable",
        True,
        "no-process",
        "another process",
        "ulimit -u",
    ),
    (
        "sudo: a terminal is required to read the password; either use the -S option\nsudo: a password is required",
        True,
        "sudo",
        "terminal",
        "requiretty",
    ),
    ("sudo: sorry, you must have a tty to run sudo", True, "sudo", "terminal", "requiretty"),
    ("alice is not in the sudoers file.  This incident will be reported.", True, "sudo", "not allowed", "sudo -n -l"),
    (
        "Sorry, user alice is not allowed to execute '/bin/sh -c echo' as root on npu-01.",
        True,
        "sudo",
        "not allowed",
        "sudo",
    ),
    ("Sorry, user alice may not run sudo on npu-01.", True, "sudo", "not allowed", "sudo"),
    ("sudo: PAM account management error: Permission denied", True, "sudo", "root's rights", "sudo -n -l"),
    ("sudo: account validation failure, is your account locked?", True, "account-locked", "locked", "faillock"),
    ("sudo: /etc/sudoers is world writable", True, "sudo", "root's rights", "/etc/sudoers"),
    (
        "sudo: effective uid is not 0, is /usr/bin/sudo on a file system with the 'nosuid' option set?",
        True,
        "sudo",
        "root's rights",
        "sudo",
    ),
    ("/bin/sh: 1: sudo: not found", True, "sudo", "has no sudo", "ansible_user"),
    ("Incorrect sudo password", True, "sudo", "password", "-K"),
    ("Timeout (12s) waiting for privilege escalation prompt: ", True, "sudo", "root's rights", "sudo"),
    # tidb#37836
    (
        f"{SSH}kex_exchange_identification: Connection closed by remote host\nConnection closed by UNKNOWN port 65535",
        False,
        "dropped",
        "drops the connection",
        "ANSIBLE_FORKS=5",
    ),
    (
        "kex_exchange_identification: read: Connection reset by peer\nConnection reset by 192.0.2.1 port 22",
        False,
        "dropped",
        "drops",
        "MaxStartups",
    ),
    ("ssh_exchange_identification: Connection closed by remote host", False, "dropped", "drops", "MaxStartups"),
    ("kex_exchange_identification: banner line 0: Not allowed at this time", False, "dropped", "drops", "forks"),
    (
        "Connection timed out during banner exchange\nConnection to 192.0.2.1 port 22 timed out",
        False,
        "dropped",
        "drops",
        "",
    ),
    (
        "alice@jump: Permission denied (publickey).\nkex_exchange_identification: Connection closed by remote host\n"
        "Connection closed by UNKNOWN port 65535",
        False,
        "login",
        "jump host",
        "ssh-copy-id",
    ),
    (
        "channel 0: open failed: connect failed: No route to host\nstdio forwarding failed\n"
        "kex_exchange_identification: Connection closed by remote host",
        False,
        "unreachable",
        "no route",
        "ip route",
    ),
    (
        "channel 0: open failed: administratively prohibited: open failed\nstdio forwarding failed\nkex_exchange_"
        "identification: Connection closed by remote host",
        False,
        "unreachable",
        "jump host",
        "sshd -T",
    ),
    (
        "-bash: fork: retry: Resource temporarily unavailable\n-bash: fork: Resource temporarily unavailable",
        True,
        "no-process",
        "another process",
        "ulimit -u",
    ),
    ("-bash: fork: Cannot allocate memory", True, "no-memory", "no memory", "meminfo"),
    ("sh: 1: Cannot fork", True, "no-process", "another process", "loadavg"),
    ("BlockingIOError: [Errno 11] Resource temporarily unavailable", True, "no-process", "another process", ""),
    ("shell request failed on channel 0", False, "no-process", "another process", ""),
    ("RuntimeError: can't start new thread", True, "no-process", "another process", ""),
    (f"{SSH}client_loop: send disconnect: Broken pipe", False, "connection-lost", "broke", "uptime"),
    ("Connection to 192.0.2.1 closed by remote host.", False, "connection-lost", "broke", "uptime"),
    ("Timeout, server 192.0.2.1 not responding.", False, "connection-lost", "broke", ""),
    ("ssh: Could not resolve hostname npu-9: Name or service not known", False, "unreachable", "name", "getent hosts"),
    (
        "ssh: Could not resolve hostname npu-9: Temporary failure in name resolution",
        False,
        "unreachable",
        "name",
        "getent",
    ),
    ("ssh: connect to host 192.0.2.1 port 22: No route to host", False, "unreachable", "no route", "ip route"),
    (
        "ssh: connect to host 192.0.2.1 port 22: Network is unreachable",
        False,
        "unreachable",
        "no route",
        "ip route",
    ),
    ("ssh: connect to host 192.0.2.1 port 22: Connection refused", False, "unreachable", "nothing listens", "sshd"),
    (
        "ssh: connect to host 192.0.2.1 port 22: Connection timed out",
        False,
        "unreachable",
        "does not answer",
        "-m ping",
    ),
    (
        'unix_listener: path "/nfs/a/.ansible/cp/x" too long for Unix domain socket',
        False,
        "control-socket",
        "socket",
        "ANSIBLE_SSH_CONTROL_PATH_DIR=/tmp",
    ),
    (
        "muxserver_listen: link mux listener /nfs/.ansible/cp/a => b: Operation not supported",
        False,
        "control-socket",
        "socket",
        "ANSIBLE_SSH",
    ),
    (
        '@@@@@@@@@@@@\n@ WARNING: UNPROTECTED PRIVATE KEY FILE! @\nLoad key "/k": bad permissions\na@h:'
        " Permission denied (publickey).",
        False,
        "key",
        "private key",
        "chmod 600",
    ),
    (
        "to use the 'ssh' connection type with passwords or pkcs11_provider, you must install the sshpass program",
        False,
        "sshpass",
        "sshpass",
        "apt-get",
    ),
    (
        "Unable to negotiate with 192.0.2.1 port 22: no matching host key type found. Their offer: ssh-rsa",
        False,
        "algorithms",
        "algorithm",
        "ssh-rsa",
    ),
    (
        "alice@192.0.2.1: Permission denied (publickey,gssapi-keyex,password).",
        False,
        "login",
        "refuses the login",
        "-vvv",
    ),
    ("Permission denied, please try again.\nalice@h: Permission denied (password).", False, "login", "refuses", ""),
    ("Host key verification failed.", False, "host-key", "host key", "ssh-keygen -lf"),
    ("/bin/sh: line 1:  4711 Killed                  /usr/bin/python3", True, "killed", "killed", "oom"),
    ("nothing within 120 s, the time limit of the check", True, "timeout", "in time", "dmesg"),
]


@pytest.mark.parametrize(("said", "reached", "name", "problem", "remedy"), SAID)
def test_the_reason(said: str, reached: bool, name: str, problem: str, remedy: str) -> None:
    finding = silence("npu-1", said, reached, "-i inv")
    assert (finding["name"], problem in finding["problem"], remedy in finding["remedy"]) == (name, True, True), finding
    assert finding["found"].split("\n")[0][:20] in said
    assert not finding["found"].startswith(("Failed to connect", "Failed to create temporary directory."))
    assert is_known(finding)


NOISE = [
    "sudo: unable to resolve host npu-01: Name or service not known",
    "sudo: unable to resolve host npu-01: Temporary failure in name resolution",
    "bash: warning: setlocale: LC_ALL: cannot change locale (C.UTF-8): No such file or directory",
    "/bin/sh: warning: setlocale: LC_ALL: cannot change locale (en_US.UTF-8)",
    "perl: warning: Setting locale failed.",
    "ERROR: ld.so: object '/lib64/libonion.so' from /etc/ld.so.preload cannot be preloaded (cannot open shared object"
    " file): ignored.",
    "debug1: Authentications that can continue: publickey,password",
    "debug1: read_passphrase: can't open /dev/tty: No such device or address",
    "mux_client_request_session: session request failed: Session open refused by peer",
    "ControlSocket /root/.ansible/cp/x already exists, disabling multiplexing",
    "Warning: Permanently added '192.0.2.1' (ED25519) to the list of known hosts.",
    "Warning: your password will expire in 3 days",
    "Shared connection to 192.0.2.1 closed.",
    "Last failed login: Mon Jan  5 10:00:00 CST 2026 from 192.0.2.9 on ssh:notty",
    "There were 3 failed login attempts since the last successful login.",
    "Authorized users only. All activities may be monitored and reported.",
    "*** This system is for the use of authorized users only. Access is denied to others. ***",
    "BECOME-SUCCESS-abcdefghijklmnop",
    "[sudo] password for alice: ",
    "OpenSSH_9.2p1 Debian-2+deb12u3, OpenSSL 3.0.15 3 Sep 2024",
]


@given(
    st.sampled_from(SAID), st.lists(st.sampled_from(NOISE), max_size=6), st.lists(st.sampled_from(NOISE), max_size=3)
)
def test_noise_changes_no_reason(case: tuple[str, bool, str, str, str], before: list[str], behind: list[str]) -> None:
    said, reached, name, problem, _ = case
    finding = silence("npu-1", "\r\n".join([*before, said, *behind]), reached, "")
    assert (finding["name"], problem in finding["problem"]) == (name, True), finding


@pytest.mark.parametrize("reached", [True, False])
@pytest.mark.parametrize("said", ["", "KeyError: 'x'", "something else entirely", *NOISE])
def test_what_is_not_known_is_called_so_and_quoted(said: str, reached: bool) -> None:
    finding = silence("npu-1", said, reached, "")
    assert not is_known(finding), finding
    assert "unknown reason" in finding["problem"]
    assert finding["found"] == (" ".join(said.split()) or "no output")


def test_a_banner_decides_nothing_where_the_failure_says_more() -> None:
    banner = "Unauthorized access is prohibited. Users become subject to monitoring. If your disk is full call 4711.\n"
    assert silence("n", banner + "sudo: a password is required", True, "")["name"] == "sudo"
    assert not is_known(silence("n", banner + "Zork", True, ""))


def test_secrets_in_what_was_said_are_masked() -> None:
    said = "Zork: cannot ask http://alice:geheim99@proxy:3128, --token hf_abcd1234"
    finding = silence("n", said, True, "")
    assert finding["found"] == "Zork: cannot ask http://alice:***@proxy:3128, --token ***"
    assert not re.search("geheim99|abcd1234", str(finding))


def test_commands_name_the_node_and_the_inventory_and_are_whole() -> None:
    for reason in REASONS:
        assert all(reason[:1] + reason[2:])
    odd = silence("npu 1;x", "ssh: Could not resolve hostname x: Name or service not known", False, "-i inv")
    assert odd["remedy"].startswith("ansible-inventory -i inv --host 'npu 1;x'")
    full = silence("npu-1", "OSError: [Errno 28] No space left on device", True, "-i inv")
    assert full["remedy"].startswith("ansible npu-1 -i inv -m raw -a 'df -h; df -i'")


def test_what_a_module_printed_on_either_side_counts() -> None:
    result = {
        "module_stderr": "Shared connection to 192.0.2.1 closed.\r\n",
        "module_stdout": "OSError: [Errno 28] No space left on device\r\n",
        "msg": "MODULE FAILURE\nSee stdout/stderr for the exact error",
        "rc": 1,
    }
    assert silence("n", said_by(result), True, "")["name"] == "disk-full"
