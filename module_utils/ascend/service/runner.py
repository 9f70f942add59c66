# SPDX-License-Identifier: Apache-2.0
"""The parent of a program that outlives the module: it keeps the log, forwards the request to end, records the end.

It is a separate file in the service's folder, started as the service's account by systemd or by the module, with the
path of the job: ``{"argv", "env", "cwd", "out", "grace_s", "mark", "peers"}``. Only the standard library.

Programs of one job on several nodes end together. ``peers`` is None or ``{"rank", "count", "address", "port",
"token"}``: each runner keeps a connection to that of rank 0, which tells all of them if one failed or is gone. So
nobody waits for HCCL's time limits, and no control node has to watch.
"""

from __future__ import annotations

import hmac
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import Any, Dict, List, Optional

LOOK_S = 0.2
MEET_S = 600.0  # until all runners are there: nodes begin one after another
LINE = 4096  # bytes of what peers say
END_S = 2.0  # between asking what the program left behind to end and ending it


def main(path: str) -> int:
    """Run the job to its end; return the exit code, 0 if it was asked to end."""
    with open(path, encoding="utf-8") as stream:
        job = json.load(stream)
    os.umask(0o027)
    log = os.open(os.path.join(job["out"], "log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
    os.dup2(log, 1)
    os.dup2(log, 2)
    asked: List[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda signum, _frame: asked.append(signum))
    peers = Peers(job["peers"]) if job.get("peers") else None
    try:
        os.chdir(job["cwd"])
        child = subprocess.Popen(job["argv"], env=job["env"], stdin=subprocess.DEVNULL, start_new_session=True)
    except OSError as error:
        os.write(2, ("cannot be started: %s\n" % error).encode())
        return _ended(job, 127, asked, peers)
    code = _wait(child, asked, peers, job["grace_s"])
    # A rank that waits for others has a session of its own, and would go on.
    _end(marked(job["mark"]))
    return _ended(job, code, asked, peers)


def _wait(child: subprocess.Popen[bytes], asked: List[int], peers: Optional[Peers], grace_s: float) -> int:
    """Wait for the child's end; if asked to end, or if a peer failed, forward that, and after a while kill it."""
    until = None
    while True:
        with suppress(subprocess.TimeoutExpired):
            return child.wait(LOOK_S)
        failed = peers.failed if peers else None
        if (asked or failed) and until is None:
            if failed:
                os.write(2, ("ascend-fleet: ended, because %s\n" % failed["words"]).encode())
            until = time.monotonic() + grace_s
            _send(child.pid, signal.SIGTERM)
        if until is not None and time.monotonic() > until:
            _send(child.pid, signal.SIGKILL)


def _send(group: int, number: int) -> None:
    with suppress(OSError):
        os.killpg(group, number)


def marked(mark: str) -> List[int]:
    """Return the processes that inherited the mark, except this one."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            with suppress(OSError), open("/proc/%s/environ" % name, "rb") as stream:
                if mark.encode() in stream.read().split(b"\0"):
                    found.append(int(name))
    return found


def _end(pids: List[int]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in pids:
            with suppress(OSError):
                os.kill(pid, number)
        until = time.monotonic() + END_S
        while any(os.path.exists("/proc/%d" % pid) for pid in pids) and time.monotonic() < until:
            time.sleep(LOOK_S)


def _ended(job: Dict[str, Any], code: int, asked: List[int], peers: Optional[Peers]) -> int:
    because = peers.failed if peers else None
    place = os.path.join(job["out"], "ended.json")
    value = {"code": code, "at": time.time(), "asked": bool(asked), "because": because}
    with suppress(OSError):  # a full disk: the others have to hear of the end all the same
        with open(place + ".part", "w", encoding="utf-8") as stream:
            stream.write(json.dumps(value))
        os.replace(place + ".part", place)
    if peers:
        peers.leave(code, bool(asked))
    if asked:
        return 0
    return code if code >= 0 else 128 - code


class Peers:
    """The connections between the runners of one job. ``failed``: which rank failed first, ``{"rank", "words"}``."""

    def __init__(self, job: Dict[str, Any]) -> None:
        self.failed: Optional[Dict[str, Any]] = None
        self._job = job
        self._links: Dict[int, socket.socket] = {}
        self._ended: List[int] = []
        self._lock = threading.Lock()
        begin = self._serve if job["rank"] == 0 else self._meet
        threading.Thread(target=begin, daemon=True).start()

    def leave(self, code: int, asked: bool) -> None:
        """Report how this rank's program ended; one that failed, or was asked to end, ends all."""
        rank = self._job["rank"]
        if asked or code != 0:
            self._fail(rank, "rank %d %s" % (rank, "was stopped" if asked else "ended with code %d" % code))
        self._tell({"ended": code, "rank": rank})

    def _fail(self, rank: int, words: str) -> None:
        with self._lock:
            if self.failed:
                return
            self.failed = {"rank": rank, "words": words}
        self._tell({"failed": self.failed})

    def _tell(self, value: Dict[str, Any]) -> None:
        for link in list(self._links.values()):
            with suppress(OSError):  # one that is gone is heard of where its link is read
                link.sendall(json.dumps(value).encode() + b"\n")

    def _serve(self) -> None:
        """As rank 0: listen to each of the others, and forward what matters."""
        family = socket.AF_INET6 if ":" in self._job["address"] else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                server.bind((self._job["address"], self._job["port"]))
            except OSError as error:
                self._fail(
                    0, "rank 0 cannot listen on %s, port %d: %s" % (self._job["address"], self._job["port"], error)
                )
                return
            server.listen(self._job["count"])
            late = threading.Timer(MEET_S, self._require_all)
            late.daemon = True
            late.start()
            while True:
                link = server.accept()[0]
                threading.Thread(target=self._hear, args=(link,), daemon=True).start()

    def _require_all(self) -> None:
        absent = sorted(set(range(1, self._job["count"])) - set(self._links))
        if absent:
            self._fail(absent[0], "the runner of rank %d did not connect within %d s" % (absent[0], MEET_S))

    def _meet(self) -> None:
        until = time.monotonic() + MEET_S
        while True:
            try:
                link = socket.create_connection((self._job["address"], self._job["port"]), 10)
                break
            except OSError as error:
                if time.monotonic() > until:
                    self._fail(0, "the runner of rank 0 does not answer: %s" % error)
                    return
                time.sleep(1)
        link.settimeout(None)
        link.sendall(json.dumps({"rank": self._job["rank"], "token": self._job["token"]}).encode() + b"\n")
        self._links[0] = link
        self._listen(link, 0)

    def _hear(self, link: socket.socket) -> None:
        """Accept a connection; whoever does not know the token is ignored."""
        link.settimeout(30)
        try:
            hello = json.loads(link.makefile("rb").readline(LINE))
            rank, token = int(hello["rank"]), str(hello["token"])
        except (OSError, ValueError, KeyError, TypeError):
            link.close()
            return
        if not hmac.compare_digest(token.encode(), self._job["token"].encode()):
            link.close()
            return
        link.settimeout(None)
        self._links[rank] = link
        if self.failed:
            self._tell({"failed": self.failed})
        self._listen(link, rank)

    def _listen(self, link: socket.socket, rank: int) -> None:
        """Listen to the peer until its end. One that leaves without a message is lost."""
        _keep_alive(link)
        with suppress(OSError, ValueError, KeyError, TypeError):
            for line in link.makefile("rb"):
                heard = json.loads(line)
                if "failed" in heard:
                    self._fail(int(heard["failed"]["rank"]), str(heard["failed"]["words"])[:LINE])
                elif "ended" in heard:
                    self._ended.append(int(heard["rank"]))
        if rank not in self._ended:
            self._fail(rank, "the node of rank %d, or its connection, is gone" % rank)


def _keep_alive(link: socket.socket) -> None:
    """A node that is switched off sends nothing; this detects it within half a minute."""
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 4)):
        link.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
