# SPDX-License-Identifier: Apache-2.0
"""A program: takes files from other nodes, and gives them what it has, until it is ended. ``python3 peer.py JOB``.

It is a single file that uses only libtorrent, whose files are in a folder that ``JOB`` names. That is a JSON file::

    {"client": folder, "torrent": path, "folder": where the files go, "port": 6881, "allowed": [address],
     "peers": [address], "status": path, "lease": path,
     "files": [name]}                      what is wanted, on a node
    {..., "seed": {name: path}, "playbook": [pid, start time]}   where the files are, on the control node

It answers nobody but who is allowed, knows no file but the torrent's, and asks no tracker, no table of others and
nobody in its network. What comes is checked by the torrent's own sums (sha256, BEP 52).
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
from typing import Any, Dict, List, Optional

EVERYBODY = (("0.0.0.0", "255.255.255.255"), ("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"))
DEPOT = "ascend-fleet depot"  # by this name nodes know the control node's
LEASE_S = 60 * 60  # without a question by a playbook
ALONE_S = 60  # without the depot, or without any node, once it was connected
LOOK_S = 1.0
FLUSH_S = 2.5  # who ends it waits 3 seconds
TROUBLES = ("file_error_alert", "listen_failed_alert", "torrent_error_alert")

Job = Dict[str, Any]


def settings(lt: Any, job: Job) -> Dict[str, Any]:
    """Return libtorrent's settings (https://libtorrent.org/reference-Settings.html) that differ from its own."""
    seed = "seed" in job
    return {
        # The control node calls, and is not called.
        "listen_interfaces": "" if seed else "0.0.0.0:%d,[::]:%d" % (job["port"], job["port"]),
        "user_agent": DEPOT if seed else "ascend-fleet node",
        "enable_dht": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "enable_incoming_utp": False,
        "enable_outgoing_utp": False,
        "allow_multiple_connections_per_ip": False,
        # Files of public packages, which every node may have: their sums protect them.
        "in_enc_policy": int(lt.enc_policy.pe_disabled),
        "out_enc_policy": int(lt.enc_policy.pe_disabled),
        # Nodes begin within seconds of each other: who is not up yet is asked again soon.
        "min_reconnect_time": 2,
        "max_failcount": 1000,
        "peer_connect_timeout": 5,
        "connection_speed": 100,
        "unchoke_interval": 2,  # seconds until who asks is given anything
        # A node that has all goes on giving, and stays in touch with the depot, which knows every node of the batch.
        "close_redundant_connections": False,
        "peer_turnover": 0,
        "connections_limit": 5000 if seed else 200,
        "alert_mask": int(lt.alert.category_t.error_notification) | int(lt.alert.category_t.storage_notification),
    }


def session(lt: Any, job: Job) -> Any:
    """Return a session that talks only to allowed peers."""
    made = lt.session(settings(lt, job))
    only = lt.ip_filter()
    for first, last in EVERYBODY:
        only.add_rule(first, last, 1)
    for address in job["allowed"]:
        only.add_rule(address, address, 0)
    made.set_ip_filter(only)
    return made


def names(torrent: Any) -> List[str]:
    """Return the names of the torrent's files, by number; padding to a whole piece has one, too."""
    layout = torrent.layout()
    return [os.path.basename(layout.file_path(number)) for number in range(layout.num_files())]


def added(lt: Any, made: Any, job: Job) -> Any:
    """Add the torrent to the session; return its handle."""
    params = lt.load_torrent_file(job["torrent"])
    params.save_path = job["folder"]
    flags = lt.torrent_flags
    params.flags = flags.disable_dht | flags.disable_lsd | flags.disable_pex | flags.apply_ip_filter
    seed = job.get("seed")
    if seed is None:
        params.file_priorities = [4 if name in job["files"] else 0 for name in names(params.ti)]
    else:
        # Each piece leaves the depot once, while nodes give it to each other.
        params.flags |= flags.seed_mode | flags.super_seeding
        params.renamed_files = {number: seed[name] for number, name in enumerate(names(params.ti)) if name in seed}
    handle = made.add_torrent(params)
    for address in job["peers"]:
        handle.connect_peer((address, job["port"]))
    return handle


class Life:
    """Says why it is time to end, or nothing yet."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.met: Optional[float] = None  # when whom it lives for was last connected

    def end(self, depot: bool, now: float, nodes: int = 0) -> str:
        """``depot`` is whether the depot is connected, ``nodes`` how many peers are, ``now`` the time in seconds."""
        seed = "seed" in self.job
        if nodes if seed else depot:
            self.met = now
        if seed and started(self.job["playbook"][0]) != self.job["playbook"][1]:
            return "the playbook has ended"
        if self.met is not None and now - self.met > ALONE_S:
            return "the nodes are gone" if seed else "the depot is gone"
        if seed:
            return ""
        return "no playbook is waiting any more" if time.time() - os.stat(self.job["lease"]).st_mtime > LEASE_S else ""


def started(pid: int) -> Optional[int]:
    """Return when a process started, in clock ticks; None if it is gone. Like change/process.py."""
    try:
        with open("/proc/%d/stat" % pid, encoding="utf-8", errors="replace") as stream:
            fields = stream.read().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[19]) if fields[0] not in ("Z", "X") else None


def write(path: str, value: Dict[str, Any]) -> None:
    """Write the progress atomically, so readers find a complete file."""
    with open(path + ".new", "w", encoding="utf-8") as stream:
        json.dump(value, stream)
    os.rename(path + ".new", path)


def main() -> str:
    with open(sys.argv[1], encoding="utf-8") as stream:
        job: Job = json.load(stream)
    sys.path.insert(0, job["client"])
    lt = importlib.import_module("libtorrent")  # its place is known only now
    made = session(lt, job)
    handle = added(lt, made, job)
    # Whoever ends it takes in what came: that has to be on the disk.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    try:
        return lived(made, handle, job)
    finally:
        flush(made, handle)


def flush(made: Any, handle: Any) -> None:
    """Write what arrived to disk; libtorrent keeps some of it in memory, and loses it at its end."""
    handle.flush_cache()
    until = time.monotonic() + FLUSH_S
    while time.monotonic() < until:
        made.wait_for_alert(100)
        if any(type(alert).__name__ == "cache_flushed_alert" for alert in made.pop_alerts()):
            return


def lived(made: Any, handle: Any, job: Job) -> str:
    """Report the progress until it is time to end; return why it ends."""
    life, problem = Life(job), ""
    while True:
        status = handle.status()
        troubles = [alert.message() for alert in made.pop_alerts() if type(alert).__name__ in TROUBLES]
        problem = next(iter(troubles), problem)
        depot = any(peer.client == DEPOT.encode() for peer in handle.get_peer_info())
        far = {"done": status.total_wanted_done, "wanted": status.total_wanted, "given": status.total_payload_upload}
        far.update(finished=bool(status.is_finished), peers=status.num_peers, checking="checking" in str(status.state))
        reason = life.end(depot, time.monotonic(), status.num_peers)
        if reason:
            return reason
        write(job["status"], {**far, "problem": status.errc.message() if status.errc.value() else problem})
        time.sleep(LOOK_S)


if __name__ == "__main__":
    sys.stderr.write(main() + "\n")
