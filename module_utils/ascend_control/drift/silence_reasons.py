# SPDX-License-Identifier: Apache-2.0
"""The reasons why a node is silent, the most definite first, and what else programs print.

Messages: OpenSSH's client and server, PAM's modules (pam_unix, pam_faillock, pam_nologin), sudo's plugins, bash, dash,
coreutils, CPython, Ansible's connection, shell and become code.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Reason(NamedTuple):
    """A reason, the words by which it is known, and what to do. NODE stands for the node, with the inventory."""

    name: str
    words: str
    problem: str
    wanted: str
    remedy: str


# Lines that report no failure and can precede one.
NOISE = re.compile(
    r"mux_client_|debug\d:|OpenSSH_\d|ControlSocket .* already exists|Control socket connect|Shared connection to"
    r"|Connection to \S+ closed\.?$|Warning: Permanently added|@{10}|BECOME-SUCCESS|MODULE FAILURE"
    r"|See stdout/stderr for the exact error|\[sudo[^\]]*\]|\*\*\*"
    r"|sudo: (?:unable to resolve host|setrlimit|unable to send audit message|problem with defaults entries)"
    r"|We trust you have received the usual lecture|Administrator\. It usually boils down|#\d\) "
    r"|.*warning: setlocale|.*(?:cannot|can't) (?:change|set) locale|perl: warning:|locale: Cannot set"
    r"|\s*(?:LANGUAGE|LC_\w+|LANG) = |\s*are supported and installed|manpath: can't set the locale"
    r"|ERROR: ld\.so: object .*ignored|.*[Pp]assword will expire|.*password expires in|Last (?:failed )?login:"
    r"|There (?:was|were) \d+ failed login|X11 forwarding request failed|/usr/bin/xauth:|.*Could not chdir to home"
    r"|stty: |tput: |mesg: |bash: no job control|bash: cannot set terminal process group"
)
FOLDER = "Failed to create temporary directory"
# What Ansible prints before the words of the node or of ssh.
PREFACE = re.compile(
    r"Failed to connect to the host via ssh: |Data could not be sent to remote host \"[^\"]*\"\. Make sure this host"
    r" can be reached over ssh: |Failed to create temporary directory\..*?exited with result \d+"
    r"(?:, std(?:out|err) output: )?",
    re.DOTALL,
)

_RAW = "ansible NODE -m raw -a "
_NOT_WRITABLE = (
    _RAW + "'ls -ld ~; findmnt -T ~'  # then another folder: ansible NODE -m ping -e ansible_remote_tmp=/tmp/.ansible"
)

REASONS = (
    # Ansible's words for a task that misses its time limit, from 2.19 on and before.
    Reason(
        "task-timeout",
        r"^(?:task failed: )?timed out after \d[\d.]* second|failed to execute in the expected time frame",
        "the node did not finish the task in time",
        "a task that ends within its time limit",
        _RAW
        + "'ps -eo pid,stat,wchan:30,args | grep \" D\"; dmesg | tail'  # what hangs? then run the same command again",
    ),
    Reason(
        "host-key",
        r"host key verification failed|host identification has changed|host key is known for|host key for \S+ has"
        r" changed",
        "the node's host key is not the one in known_hosts",
        "the host key in known_hosts",
        "was the node reinstalled? compare on its console: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub",
    ),
    Reason(
        "password-expired",
        r"password has expired|password change required|required to change your password|password is expired"
        r"|must change your password|authentication token is no longer valid",
        "the account's password has expired",
        "an account whose password does not expire, or a new password",
        "chage -l ACCOUNT; chage -M -1 ACCOUNT  # on the node's console, or: passwd ACCOUNT",
    ),
    Reason(
        "account-expired",
        r"account has expired|account expired|user account is expired",
        "the account has expired",
        "an account that is valid",
        "chage -l ACCOUNT; chage -E -1 ACCOUNT  # on the node's console",
    ),
    Reason(
        "account-locked",
        r"account (?:is |has been |was )?(?:temporarily )?locked|locked due to \d+ failed|account is locked"
        r"|minutes? left to unlock|pam_(?:faillock|tally2?)\b.*(?:lock|denied)",
        "the account is locked, for example after too many wrong passwords",
        "an account that is not locked",
        "faillock --user ACCOUNT; faillock --user ACCOUNT --reset  # on the node's console; or passwd -S ACCOUNT",
    ),
    Reason(
        "no-shell",
        r"this account is currently not available|this account is (?:currently )?disabled|/s?bin/(?:nologin|false)\b",
        "the account has no shell to log in with",
        "a login shell",
        "getent passwd ACCOUNT; usermod -s /bin/bash ACCOUNT  # on the node's console; or set ansible_user",
    ),
    Reason(
        "nologin",
        r"system is (?:booting up|going down)|unprivileged users are not permitted to log in|pam_nologin"
        r"|logins? (?:are|is) (?:currently )?(?:disabled|not allowed)",
        "the node lets nobody log in: it is starting or shutting down, or /run/nologin was left behind",
        "a node that has started",
        "ansible NODE -m ping  # in a minute; if it still fails, on its console: cat /run/nologin; systemctl list-jobs",
    ),
    Reason(
        "too-many-keys",
        r"too many authentication failures",
        "the node rejects the login because the ssh agent offers too many keys",
        "the fleet's key, offered first",
        "ansible NODE -m ping -e \"ansible_ssh_common_args='-o IdentitiesOnly=yes'\" --private-key KEY  # ssh-add -l",
    ),
    Reason(
        "no-memory",
        r"fork: (?:retry: )?cannot allocate memory|cannot fork: cannot allocate|\[errno 12\]",
        "the node has no memory left to start a process",
        "free memory",
        _RAW + "'cat /proc/meminfo'  # if that fails, on its console; who uses it? ps aux --sort=-rss",
    ),
    Reason(
        "no-process",
        r"fork: (?:retry: )?|(?:cannot|can't|unable to) fork|fork failed|blockingioerror|can't start new thread"
        r"|pthread_create failed|(?:shell|exec|pty allocation) request failed on channel",
        "the node cannot start another process: the account's limit, or the node's, is reached",
        "room for another process",
        _RAW + "'ulimit -u; cat /proc/loadavg'  # if that fails, on its console: ps -eLf | awk '{print $1}'"
        " | sort | uniq -c | sort -n | tail",
    ),
    Reason(
        "disk-full",
        r"no space left on device|disk quota exceeded|not enough space left|\[errno (?:28|122)\]",
        "a disk of the node is full, or has no inodes left",
        "space and inodes for what Ansible writes",
        _RAW + "'df -h; df -i'  # free some space, then try again",
    ),
    Reason(
        "read-only",
        r"read-only file system|\[errno 30\]",
        "a file system of the node is read-only",
        "a writable file system",
        _RAW + "'findmnt -o TARGET,SOURCE,OPTIONS; dmesg | tail -n 30'  # did disk errors make it read-only?",
    ),
    Reason(
        "disk-error",
        r"input/output error|structure needs cleaning|stale (?:nfs )?file handle|\[errno (?:5|116|117)\]",
        "a disk of the node, or its file server, returns an error",
        "files that can be read and written",
        _RAW + "'dmesg | tail -n 30; findmnt'  # then repair the disk or the file server",
    ),
    Reason(
        "no-temporary-folder",
        r"no usable temporary directory",
        "the node has no writable folder for temporary files: all are full, read-only or not permitted",
        "a writable folder such as /tmp",
        _RAW + "'ls -ld /tmp /var/tmp; df -h /tmp /var/tmp; df -i /tmp /var/tmp; findmnt -T /tmp'",
    ),
    Reason(
        "home-not-writable",
        r"cannot (?:create|make) directory .{1,300}(?:permission denied|operation not permitted|no such file)"
        r"|can't create directory .{1,300}permission denied|unable to create .{1,200}\.ansible"
        r"|\.ansible\S*: permission denied",
        "the account cannot write to its home on the node, for example because NFS squashes root",
        "a folder for Ansible's files",
        _NOT_WRITABLE,
    ),
    Reason(
        "no-temporary-folder",
        "failed to create temporary directory",
        "Ansible cannot create its folder on the node: the disk is full or read-only, or another account owns the home",
        "a folder for Ansible's files",
        _RAW + "'ls -ld ~; df -h ~; df -i ~; findmnt -T ~'",
    ),
    Reason(
        "sudo",
        r"(?:sorry, )?you must have a tty|no tty present|a terminal is required|must be run from a terminal",
        "sudo needs a terminal or a password",
        "sudo without requiretty, and without a password or with ansible_become_password",
        "ansible NODE -m ping --become -K  # if that fails, on the node: visudo, Defaults !requiretty",
    ),
    Reason(
        "sudo",
        r"a password is required|missing (?:sudo|su|become) password|incorrect (?:sudo|su|become) password"
        r"|incorrect password attempt|sorry, try again|su: authentication failure",
        "the node's sudo asks for a password, or rejects the one that it was given",
        "sudo without a password, or ansible_become_password",
        "ansible NODE -m ping --become -K  # if that works: ansible_become_password in Vault, or NOPASSWD by visudo",
    ),
    Reason(
        "sudo",
        r"not in the sudoers|may not run sudo|is not allowed to (?:execute|run)|not allowed to run sudo",
        "the account is not allowed to use sudo on the node",
        "an account with all of root's rights",
        "ansible NODE -m raw -a 'id; sudo -n -l'  # then visudo on its console, or set ansible_user",
    ),
    Reason(
        "sudo",
        r"(?:sudo|su|doas|pkexec): (?:command )?not found|sudo: no such file",
        "the node has no sudo",
        "sudo, or a login as root",
        "ansible NODE -m raw -a 'command -v sudo su'  # install sudo on the node, or set ansible_user: root",
    ),
    Reason(
        "sudo",
        r"sudo: (?:pam|account validation|.*sudoers|effective uid|.*must be owned by|.*parse error|.*syntax error"
        r"|unable to|error|fatal|\d)|privilege escalation|>>> /etc/sudoers",
        "sudo on the node does not give root's rights",
        "sudo that works for the account",
        "ansible NODE -m raw -a 'sudo -n -l; ls -l /etc/sudoers /etc/sudoers.d'  # then visudo on its console",
    ),
    Reason(
        "key",
        r"unprotected private key file|bad permissions|load key .{1,200}|invalid format|error in libcrypto"
        r"|sign_and_send_pubkey: .*(?:failed|refused)|no such identity|identity file .{1,200} not accessible",
        "this control node cannot use the private key for the login",
        "a private key that only its owner can read",
        "ssh-keygen -y -f KEY; ls -l KEY  # KEY: ansible_ssh_private_key_file, or --private-key; chmod 600 KEY",
    ),
    Reason(
        "sshpass",
        r"install the sshpass program|sshpass: ",
        "the login needs a password, and this control node has no sshpass",
        "a login with a key, or sshpass",
        "ssh-copy-id HOST  # a key; or sshpass on the control node: apt-get install sshpass || dnf install sshpass",
    ),
    Reason(
        "login",
        r"permission denied (?:\(|, please)|permission denied, please|authentication fail(?:ed|ure)"
        r"|authentication refused"
        r"|invalid/incorrect (?:username/)?password|no more authentication methods|no supported authentication methods",
        "the node, or a jump host, refuses the login",
        "a login with the fleet's key",
        "ansible NODE -m ping -vvv  # which host, user and key? then: ssh-copy-id",
    ),
    Reason(
        "algorithms",
        r"unable to negotiate|no matching (?:host key type|key exchange|cipher|mac)",
        "the node's ssh server and this control node have no algorithm in common",
        "an algorithm that both support",
        "ssh -Q HostKeyAlgorithms; ansible NODE -m ping -e \"ansible_ssh_common_args='-o HostKeyAlgorithms=+ssh-rsa'\"",
    ),
    Reason(
        "control-socket",
        r"too long for unix domain socket|controlpath .{0,300}too long|unix_listener|cannot bind to path"
        r"|muxserver_listen"
        r"|bind: .{0,200}\.ansible/cp",
        "this control node cannot create the socket over which ssh shares its connection",
        "a short path in a folder of this account, on a local disk",
        "ANSIBLE_SSH_CONTROL_PATH_DIR=/tmp/.ansible-cp ansible NODE -m ping  # if that works, set it for every run",
    ),
    Reason(
        "control-limit",
        r"too many open files",
        "too many files are open for this account, here or on the node",
        "a higher limit, or fewer forks",
        "ANSIBLE_FORKS=10 ansible NODE -m ping; ulimit -n  # then: ulimit -n 4096",
    ),
    Reason(
        "unreachable",
        r"could not resolve hostname|name or service not known|temporary failure in name resolution"
        r"|nodename nor servname|no address associated with hostname",
        "the name of the node or the jump host cannot be resolved here",
        "a name that resolves, or ansible_host with an address",
        "ansible-inventory --host NODE; getent hosts NAME  # of ansible_host; then /etc/hosts or the name server",
    ),
    Reason(
        "unreachable",
        r"administratively prohibited",
        "the jump host does not forward connections",
        "AllowTcpForwarding in the jump host's ssh server",
        "ssh -G HOST | grep -i proxyjump  # then on the jump host: sshd -T | grep -i -e forwarding -e permitopen",
    ),
    Reason(
        "unreachable",
        r"no route to host|network is unreachable|host is unreachable|host is down",
        "the node cannot be reached: it is down, or the network has no route to it",
        "a node that answers",
        "ansible NODE -m ping  # is it up? is the address right? then: ip route get ADDRESS",
    ),
    Reason(
        "unreachable",
        r"connection refused",
        "nothing listens for ssh at the node's address",
        "a running sshd",
        "ansible NODE -m ping  # is it up? is the port right? on its console: systemctl status sshd",
    ),
    Reason(
        "dropped",
        r"(?:kex|ssh)_exchange_identification|exceeded maxstartups|not allowed at this time|during banner exchange"
        r"|connection (?:closed|reset) by (?:remote host|peer|\S+ port \d+|authenticating user|invalid user)"
        r"|ssh_dispatch_run_fatal|error in kex",
        "the ssh server, or a jump host, drops the connection before the login",
        "a server that accepts as many logins at once as there are forks",
        "ANSIBLE_FORKS=5 ansible NODE -m ping  # if that works, use fewer forks or MaxStartups 100:30:200",
    ),
    Reason(
        "unreachable",
        r"connection timed out|operation timed out|timed out|ssh: connect to host",
        "the node does not answer over SSH",
        "an answer over SSH",
        "ansible NODE -m ping  # is it up? is the address right? does a firewall drop it?",
    ),
    Reason(
        "connection-lost",
        r"broken pipe|connection (?:reset|aborted)|closed by remote host|server \S+ not responding|send disconnect"
        r"|packet_write_wait|software caused connection abort",
        "the connection broke during the check",
        "a connection that lasts until the answer",
        "ansible NODE -m ping; ansible NODE -m raw -a 'uptime'  # did it restart? does the network lose packets?",
    ),
    Reason(
        "python",
        r"python\S*: (?:command )?(?:not found|permission denied|cannot execute)|no such file or directory.*python"
        r"|python.*no such file or directory|minimum of python version|no python interpreters? found"
        r"|the module interpreter|python\S*: error while loading shared libraries",
        "the node has no Python that Ansible can use",
        "/usr/bin/python3, of a version in README.md",
        "apt-get install python3 || dnf install python3  # on the node; or set ansible_python_interpreter",
    ),
    Reason(
        "killed",
        r"(?:^|\n)(?:\S+: )?(?:line \d+: +)?(?:\d+ )?killed\b|out of memory: kill|oom-kill",
        "the check was killed on the node, usually by the kernel because memory is short",
        "a check that runs to its end",
        _RAW + "'dmesg | grep -i -e oom -e killed | tail; free -m'",
    ),
    Reason(
        "timeout",
        r"time limit of the check",
        "the node did not answer in time",
        "facts within the time limit",
        "ansible NODE -m ascend.fleet.ascend_facts --become  # does a file system or npu-smi hang? dmesg | tail",
    ),
)
UNREACHABLE = Reason(
    "unreachable",
    "",
    "the node cannot be reached for an unknown reason",
    "an answer over SSH",
    "ansible NODE -m ping -vvv  # is it up? is the address right? report what it says",
)
CRASHED = Reason(
    "crashed",
    "",
    "the check ended on the node for an unknown reason",
    "facts",
    "ansible NODE -m ascend.fleet.ascend_facts --become -vvv  # and report what it says",
)
