# SPDX-License-Identifier: Apache-2.0
"""What can go wrong while a node is led from the older release to the newer one: every step, ended at every point."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.change.fleet import OLD

STOP = "/var/lib/ascend-fleet/stop-at"
RECORD = "/etc/Ascend/ascend_cann_install.info"
ENV = "/opt/ascend/env/current/lib/python3.10/site-packages"
# Waits for a program whose command line holds a text, and ends it, or the module that started it.
AMBUSH = """cat >/tmp/ambush.py <<'END'
import glob, os, signal, sys, time
seen, whom = sys.argv[1:]
while True:
    for folder in glob.glob("/proc/[0-9]*"):
        try:
            words = open(folder + "/cmdline").read().replace(chr(0), " ")
            parent = int(open(folder + "/stat").read().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if seen in words and "ambush" not in words:
            os.kill(parent if whom == "module" else int(folder[6:]), signal.SIGKILL)
            sys.exit()
    time.sleep(0.05)
END
setsid python3 /tmp/ambush.py '{seen}' {whom} >/dev/null 2>&1 </dev/null &"""
# Waits until the programs of a run, once it has the lock, have been at work for a while, and ends all at once: every
# process of the node but its SSH service, the shells that this started (else Ansible would try again), and the job.
MOMENT = """cat >/tmp/moment.py <<'END'
import glob, os, signal, sys, time
stay = {{os.getsid(0), 1}}
if os.path.exists("/tmp/job/pid"):
    stay.add(int(open("/tmp/job/pid").read()))
def at_work():
    found, shells = {{}}, set()
    for folder in glob.glob("/proc/[0-9]*"):
        try:
            words = open(folder + "/stat").read()
        except OSError:
            continue
        _, parent, _, session = words.rpartition(")")[2].split()[:4]
        if "(sshd" in words:
            shells.add(int(folder[6:]))
        elif int(session) not in stay:
            found[int(folder[6:])] = int(parent)
    return [pid for pid, parent in found.items() if parent not in shells]
left, last = float(sys.argv[1]), time.monotonic()
while left > 0:
    time.sleep(0.02)
    now, there = time.monotonic(), os.path.exists("/var/lib/ascend-fleet/run")
    left, last = left - (now - last if there and at_work() else 0), now
for pid in at_work():
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
END
setsid python3 /tmp/moment.py {seconds} >/dev/null 2>&1 </dev/null &"""
# A node whose clock stands still in the year before, for the Python that Ansible is told to use.
LATE = """mkdir -p /tmp/late && cat >/tmp/late/sitecustomize.py <<'END'
import time
_now = time.time
time.time = lambda: _now() - 400 * 86400
END
printf '#!/bin/sh\nPYTHONPATH=/tmp/late exec /usr/bin/python3 "$@"\n' >/tmp/late/python && chmod +x /tmp/late/python"""


@dataclass(frozen=True)
class Fault:
    """One node's fate.

    At ``point`` (change/fault_points.py), or ``after_s`` from the taking of the lock, ``ended`` is ended as
    kill -9 does: the module there, the run on the control node, the whole node, its power (with what its ``disk``,
    ext4 or xfs, has not got yet), or the network between them; or the room on the disk of the place ``full`` is. Other
    faults are made by ``settings`` (ascend-sim), ``arrange`` (a script in the node), ``mount`` (options and place) or
    ``depot`` (a damaged depot, depots.py), and taken away by ``cure``. ``words`` are in what the run says of the node;
    ``repair`` is a fault while the current release is repaired, when no environment may be current for a while;
    ``perhaps`` is one that may come too late, when the run has ended well.
    """

    name: str
    point: str = ""
    ended: str = "module"
    after_s: float = 0
    perhaps: bool = False
    disk: str = "ext4"
    full: str = ""
    settings: tuple[str, ...] = ()
    arrange: str = ""
    cure: str = ""
    mount: tuple[str, str] = ("", "")
    depot: str = ""
    host: dict[str, Any] = field(default_factory=dict)
    words: str = ""
    repair: bool = False
    often: bool = False  # one of each kind: what `make test` has; `make test-all` has all

    @property
    def off(self) -> bool:
        """Whether the node is started again, and what ran on it is gone."""
        return self.ended in ("node", "power")

    @property
    def alone(self) -> bool:
        """Whether it needs a run of its own, since it ends that, or waits for it, or must not be late."""
        return self.ended != "module" or self.perhaps


KILLED = "rc: 137"


def killed(point: str, often: bool = False, **more: Any) -> Fault:
    where = " of a repair" if more.get("repair") else ""
    return Fault(f"module killed at {point}{where}", point, often=often, words=KILLED, **more)


MODULE_KILLED = (
    killed("run.taken"),
    killed("file.fetching"),
    killed("file.fetched"),
    killed("file.arrived", host={"ascend_depot_url": ""}),
    killed("python.unpacked"),
    killed("python.moved-away", arrange="install -d /opt/ascend/python/@PYTHON@/bin"),
    killed("python.in-place"),
    killed("toolkit.ready"),
    killed("toolkit.installer-ended"),
    killed("toolkit.recording"),
    killed("toolkit.recorded"),
    killed("kernels.ready"),
    killed("kernels.installer-ended"),
    killed("kernels.recording"),
    killed("kernels.recorded"),
    killed("environment.begun"),
    killed("environment.made"),
    killed("environment.cleared"),
    killed("environment.filled"),
    killed("environment.ready"),
    killed("environment.recorded"),
    killed("current.prepared"),
    killed("current.remembered"),
    killed("current.switched"),
    killed("run.journalled"),
)
EXTRA = f"touch {ENV}/sitecustomize.py"
LOST = f"rm /usr/local/Ascend/ascend-toolkit/{OLD}/opp/content/part3.bin"
# A newer CANN of the users', as a copy of ours under another name, to which `latest` leads.
BESIDE = f"""cd /usr/local/Ascend/ascend-toolkit && cp -a {OLD} 8.1.RC1 &&
grep -rlIF {OLD} 8.1.RC1 | xargs sed -i 's/{OLD}/8.1.RC1/g' && bash 8.1.RC1/create_version_softlink.sh &&
cd / && {LOST}"""
OLD_RELEASE = {"ascend_release": OLD}
IN_A_REPAIR = (
    killed("current.set-aside", arrange=EXTRA, host=OLD_RELEASE, repair=True),
    killed("environment.cleared", often=True, arrange=EXTRA, host=OLD_RELEASE, repair=True),
    killed("toolkit.installer-ended", arrange=LOST, host=OLD_RELEASE, repair=True),
    killed("latest.led-back", arrange=BESIDE, host=OLD_RELEASE, repair=True),
)
MORE_ENDED = (
    Fault("run killed while the installer is at work", "toolkit.installer-ended", "run"),
    Fault("run killed while the environment is filled", "environment.filled", "run"),
    Fault("run killed before the switch", "current.remembered", "run"),
    Fault("run killed after the switch", "current.switched", "run", often=True),
    Fault("node lost power while Python is unpacked", "python.unpacked", "node"),
    Fault("node lost power after the installer's end", "toolkit.installer-ended", "node"),
    Fault("node lost power in the switch", "current.prepared", "node"),
    Fault("power cut once Python is in place", "python.in-place", "power"),
    Fault("power cut once the toolkit's installer ended", "toolkit.installer-ended", "power"),
    Fault("power cut once the toolkit is recorded", "toolkit.recorded", "power"),
    Fault("power cut once the kernels' installer ended", "kernels.installer-ended", "power"),
    Fault("power cut once the environment is recorded", "environment.recorded", "power", often=True),
    Fault("power cut after the switch", "current.switched", "power"),
    Fault("power cut on XFS once Python is in place", "python.in-place", "power", disk="xfs"),
    Fault("power cut on XFS once the toolkit's installer ended", "toolkit.installer-ended", "power", disk="xfs"),
    Fault("power cut on XFS after the switch", "current.switched", "power", disk="xfs"),
    Fault("network cut while the toolkit is installed", "toolkit.recording", "network", often=True),
    Fault("network cut while the environment is built", "environment.made", "network"),
    Fault("network silent while the environment is filled", "environment.filled", "packets"),
)
AT_SOME_MOMENT = (
    *(
        Fault(f"all killed after {seconds} s of work", arrange=MOMENT.format(seconds=seconds), perhaps=True)
        for seconds in (0.2, 0.5, 1, 1.5, 2, 3, 4, 5, 7, 9, 12, 16)
    ),
    *(
        Fault(f"node lost power {seconds} s after the lock", after_s=seconds, ended="node", perhaps=True)
        for seconds in (0.3, 3, 8, 20)
    ),
)
NO_ROOM = "No space left on device"
DISK_FULL = (
    Fault(
        "disk full while a package comes", "file.fetching", ended="disk", full="/var/cache/ascend-fleet", words=NO_ROOM
    ),
    Fault("disk full before Python is unpacked", "file.fetched", ended="disk", full="/opt/ascend", words=NO_ROOM),
    Fault(
        "disk full before the installer",
        "toolkit.ready",
        ended="disk",
        full="/usr/local/Ascend",
        words=NO_ROOM,
    ),
    Fault("disk full before the wheels", "environment.made", ended="disk", full="/opt/ascend", words=NO_ROOM),
    Fault("disk full in the switch", "current.prepared", ended="disk", full="/var/lib/ascend-fleet", words=NO_ROOM),
)
INSTALLERS = (
    Fault("installer killed in runtime", settings=("installer=dies:runtime",), words="half-installed"),
    Fault("installer killed in compiler", settings=("installer=dies:compiler",), words="half-installed"),
    Fault("installer killed in opp", settings=("installer=dies:opp",), words="half-installed"),
    Fault("installer killed in pyACL", settings=("installer=dies:pyACL",), words="half-installed"),
    Fault("installer of the kernels killed", settings=("installer=dies:opp_kernel",), words="kernels-910b"),
    Fault(
        "installer hangs", settings=("installer=hang",), host={"cann_timeout_s": 15}, words="did not end within 15 s"
    ),
    Fault("installer exits 0 having installed nothing", settings=("installer=silent",), words="installed nothing"),
    Fault("installer exits 1", settings=("installer=exit:1",), words="ended with code 1"),
    Fault(
        "module killed, its installer works on",
        settings=("installer=hang",),
        arrange=AMBUSH.format(seen="--install-for-all", whom="module"),
        words=KILLED,
        often=True,
    ),
    Fault("module killed, its uv works on", arrange=AMBUSH.format(seen=" pip sync ", whom="module"), words=KILLED),
    Fault("uv killed", arrange=AMBUSH.format(seen=" pip sync ", whom="program"), words="uv ended with code -9"),
)
PACKAGES = (
    Fault("package with another sha256", depot="sha256", words="differs from the control node's"),
    Fault("package damaged in its middle", depot="damaged", words="SHA256"),
    Fault("package cut off", depot="truncated", words="code 2"),
    Fault("package for another machine", depot="architecture", words="No packages to install"),
    Fault("kernels for another chip", depot="chip", words="another chip"),
    Fault("Python without pip3", depot="pip3", words="pip3"),
)
REFUSED = (
    Fault(
        "record in /etc/Ascend is a folder",
        arrange=f"mv {RECORD} /tmp/record && mkdir {RECORD}",
        cure=f"rmdir {RECORD} && mv /tmp/record {RECORD}",
        words=RECORD,
    ),
    Fault(
        "record in /etc/Ascend names another place",
        arrange=f"cp -a {RECORD} /tmp/record && echo Toolkit_InstallPath=/data/Ascend >{RECORD}",
        cure=f"mv /tmp/record {RECORD}",
        words="/data/Ascend",
    ),
    Fault("CANN's place is read-only", mount=("ro", "/usr/local/Ascend"), words="read-only"),
    Fault("the state folder is read-only", mount=("ro", "/var/lib/ascend-fleet"), words="read-only"),
    Fault("the cache's disk is full", mount=("size=10m", "/var/cache/ascend-fleet"), words="too little room"),
    Fault("the disk to unpack on has no inodes", mount=("nr_inodes=50,size=9g", "/var/tmp"), words="inodes"),
    Fault(
        "clock a year behind",
        arrange=LATE,
        host={"ansible_python_interpreter": "/tmp/late/python"},
        words="clock",
    ),
    Fault(
        "driver too old",
        settings=("driver_version=23.0.3",),
        cure="ascend-sim set driver_version=25.2.0",
        words="older",
    ),
)
FAULTS = MODULE_KILLED + IN_A_REPAIR + MORE_ENDED + AT_SOME_MOMENT + DISK_FULL + INSTALLERS + PACKAGES + REFUSED
