# SPDX-License-Identifier: Apache-2.0
"""The forms of what crosses a border as JSON: a node's facts (docs/facts.md explains each field), and findings.

Only for mypy, because nodes run Python 3.7, which has no TypedDict. Import it below ``if TYPE_CHECKING``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Optional

if TYPE_CHECKING:
    from typing_extensions import NotRequired, TypedDict

    class Finding(TypedDict):
        """Something that is wrong with a node, as in its facts (finding.py)."""

        subset: str
        name: str
        problem: str
        wanted: str
        found: str
        where: str
        remedy: str

    class Cause(TypedDict):
        """One thing that a step of the plan cures."""

        name: str
        subject: str
        problem: str
        wanted: str
        found: str

    class Refusal(TypedDict):
        """What forbids a change, or what the operator is warned of."""

        component: str
        check: str
        subject: str
        problem: str
        wanted: str
        found: str
        where: str
        remedy: str

    class Disk(TypedDict):
        path_measured: str
        free_mb: int
        total_mb: Optional[int]
        device: int
        read_only: Optional[bool]
        noexec: Optional[bool]
        free_inodes: Optional[int]

    class Folder(TypedDict):
        path: str
        exists: bool
        uid: Optional[int]
        mode: Optional[str]

    class DropIns(TypedDict):
        kernel_settings: Dict[str, str]
        limits: Dict[str, Dict[str, int]]

    class NodeSettings(TypedDict):
        drop_ins: DropIns
        limits_elsewhere: Dict[str, Dict[str, int]]

    class HostCertificate(TypedDict):
        path: str
        valid_after_s: Optional[int]
        valid_before_s: Optional[int]

    class PerhapsCertified(TypedDict, total=False):
        host_certificate: HostCertificate

    class System(NodeSettings, PerhapsCertified):
        architecture: str
        kernel: str
        glibc: Optional[str]
        distribution: Optional[str]
        distribution_version: Optional[str]
        container: Optional[str]
        disk: Dict[str, Disk]
        paths: List[Folder]
        limits: Dict[str, List[int]]
        kernel_settings: Dict[str, Optional[str]]
        lacking: List[str]
        package_manager: Optional[str]
        time_synchronised: Optional[bool]
        time_keepers: List[str]
        time_s: int

    # "from" is a word of Python.
    Change = TypedDict(
        "Change",
        {"began": str, "who": str, "control": str, "run": str, "action": str, "from": str, "to": str},
    )

    class Drained(TypedDict):
        began: str
        who: str
        control: str
        run: str

    class PerhapsDrained(TypedDict, total=False):
        drained: Drained

    class Changes(PerhapsDrained):
        running: Optional[Change]
        last: Optional[Dict[str, str]]  # change/journal.py

    class User(TypedDict):
        name: str
        state: str
        group: Optional[str]
        found: str

    class Driver(TypedDict):
        state: str
        path: Optional[str]
        version: Optional[str]
        firmware_version: Optional[str]
        device_nodes: int
        modules_loaded: int
        users: NotRequired[List[User]]

    class Device(TypedDict):
        npu_id: int
        chip_id: Optional[int]
        name: str
        health: str
        errors: List[str]
        device_id: Optional[int]
        phy_id: Optional[int]
        bus_id: Optional[str]
        power_w: Optional[float]
        temperature_c: Optional[int]
        aicore_percent: Optional[int]
        memory_used_mb: Optional[int]
        memory_total_mb: Optional[int]
        hbm_used_mb: Optional[int]
        hbm_total_mb: Optional[int]

    class Process(TypedDict):
        pid: int
        name: str
        user: Optional[str]
        command: Optional[str]
        container: Optional[str]
        chips: List[List[Optional[int]]]

    class Npu(TypedDict):
        answered: bool
        tool_version: Optional[str]
        driver_version: Optional[str]
        devices: List[Device]
        processes: List[Process]
        process_count: int
        processes_from: str
        unclear: List[int]
        unread: List[str]

    class Address(TypedDict):
        address: Optional[str]
        netmask: Optional[str]
        gateway: Optional[str]

    class Port(Address):
        device: int
        npu_id: int
        chip_id: Optional[int]
        link: Optional[str]
        net_health: Optional[str]
        configured: Optional[Address]
        multi_node: Optional[bool]
        reasons: List[str]

    class Network(TypedDict):
        tool: Optional[str]
        roce: Optional[bool]
        cards: List[Port]

    class Package(TypedDict):
        """A package of CANN."""

        state: str
        problems: List[str]
        problem_count: int
        closed: NotRequired[str]

    class CannVersion(TypedDict):
        """``ours``: whether this project installed it."""

        path: str
        layout: str
        ours: bool
        version: Optional[str]
        inner_version: Optional[str]
        arch: Optional[str]
        toolkit: Package
        kernels: Dict[str, Package]

    class Repairing(TypedDict):
        repaired: str
        latest: str

    class Elsewhere(TypedDict):
        path: str
        version: Optional[str]
        why: str

    class Cann(TypedDict):
        root: str
        latest: Optional[str]
        latest_state: str
        latest_beside: Optional[str]
        repairing: Optional[Repairing]
        versions: Dict[str, CannVersion]
        elsewhere: List[Elsewhere]
        elsewhere_count: int
        record: Optional[str]

    class Python(TypedDict):
        path: str
        state: str
        problem: NotRequired[str]
        closed: NotRequired[str]

    class SystemPython(TypedDict):
        path: str
        lacks: List[str]

    class Difference(TypedDict):
        """From a lock: missing (name -> wanted), other (name -> [found, wanted]), extra (name -> found)."""

        missing: Dict[str, str]
        other: Dict[str, List[str]]
        extra: Dict[str, str]

    class Checkout(TypedDict):
        path: str
        commit: Optional[str]
        recorded_commit: Optional[str]
        archive: Optional[str]
        recorded: bool
        edited: List[str]
        edited_count: int

    class Damage(TypedDict):
        """A problem of an environment; ``name`` and ``subject`` say which, whatever the text ``problem`` says."""

        name: str
        subject: str
        problem: str

    class Environment(TypedDict):
        path: str
        state: str
        release: Optional[str]
        python: Optional[str]
        cann_home: Optional[str]
        lock_digest: Optional[str]
        distribution_count: int
        versions: Dict[str, str]
        distributions: NotRequired[Dict[str, str]]
        difference: Difference
        difference_count: int
        editable: Dict[str, str]
        commit: Dict[str, str]
        sources: Dict[str, Checkout]
        examples: Optional[str]
        problems: List[Damage]
        problem_count: int
        closed: NotRequired[str]

    class Environments(TypedDict):
        current: Optional[str]
        previous: Optional[str]
        all: Dict[str, Environment]

    class Program(TypedDict):
        path: str
        sha256: Optional[str]

    class Closed(TypedDict):
        """A folder or file of ours, or on the way to it, that others cannot use."""

        path: str
        mode: str
        ours: bool

    class Served(TypedDict):
        """A model that serve.yml started: where it answers, from which environment, and what it is (a sum)."""

        name: str
        account: str
        address: str
        port: int
        devices: List[int]
        environment: str
        digest: str
        state: str
        why: str
        altered: str

    class Facts(TypedDict, total=False):
        """What ``facts.collect`` returns; the subsets decide which keys exist."""

        schema: int
        findings: List[Finding]
        system: System
        changes: Changes
        services: List[Served]
        driver: Driver
        npu: Npu
        network: Network
        cann: Cann
        pythons: Dict[str, Python]
        system_pythons: Dict[str, SystemPython]
        environments: Environments
        ascend_env: Program
        closed: List[Closed]
else:  # names for annotations that a node's Python reads
    Finding = Cause = Refusal = Checkout = Damage = Difference = Dict[str, Any]
