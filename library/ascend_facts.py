#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Ansible module: what a node is (driver, cards, CANN, Pythons, environments)."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ascend_facts
short_description: Report driver, cards, CANN, Pythons and environments of an Ascend node
version_added: "0.1.0"
description:
  - Observes an Ascend node in one round trip and changes nothing.
  - Fails within its time limit if the node does not answer, for example because of a dead network mount below one of
    its own places. What others own, such as users' homes, is not read on network mounts, and elsewhere only in a child
    process with a limit of a few seconds per place.
  - Never fails because something is absent or broken on the node. RV(ansible_facts.ascend.findings) reports it instead,
    with the tool's own output and a remedy, so one bad node cannot hide the others.
  - Runs C(npu-smi info) once, and C(npu-smi info -t health) for each chip that is not OK, and C(timedatectl) once.
    Everything else is read from files, and no environment's Python is started. Each call has a time limit and the
    locale C.
  - docs/facts.md describes every field and finding.
author:
  - The ascend-fleet authors (@ascend-fleet)
extends_documentation_fragment:
  - ascend.fleet.places
options:
  gather_subset:
    description:
      - What to observe. V(network) calls C(hccn_tool) four times per chip and takes seconds. V(all) is every subset.
      - V(links) is the short form of V(network) with one call per chip. The remaining calls follow only for a chip that
        is not clearly healthy. Together with V(network) or V(all) it has no effect.
      - V(network) and V(links) report RV(ansible_facts.ascend.npu) and RV(ansible_facts.ascend.driver) as well.
      - V(cards) is the short form of V(npu). It skips the search for processes that have a card's device file open but
        are not listed by C(npu-smi), which takes some 6 us per open file on the node.
    type: list
    elements: str
    choices: [all, cann, cards, links, network, npu, python, system]
    default: [cann, npu, python, system]
  kernel_settings:
    description:
      - Names of kernel settings to report with V(system), as in C(sysctl), e.g. C(vm.max_map_count).
      - An invalid name fails the call; the value of a setting that the kernel does not have is null.
    type: list
    elements: str
    default: []
  cards_out:
    description:
      - NPU ids of cards that are out of use. The devices include them, V(network) and V(links) do not.
    type: list
    elements: int
    default: []
  users:
    description:
      - Accounts that train. Whether each may open the cards is reported with RV(ansible_facts.ascend.driver).
      - The accounts are looked up as a session would (C(getent), C(id)), with a limit of ten seconds each.
    type: list
    elements: str
    default: []
  deep:
    description:
      - Read every installed file of CANN and of the environments and verify its recorded checksum. This takes as long
        as reading some 15 GB. Without it, only sizes, times and small files are checked.
    type: bool
    default: false
  command_timeout_s:
    description: How long each call of a driver tool may take, in seconds.
    type: int
    default: 30
  timeout_s:
    description:
      - How long the whole call may take, in seconds. After that it fails and names what it was reading, for example a
        place whose file system does not answer. With O(deep) it takes minutes, so allow more.
    type: int
    default: 100
attributes:
  check_mode:
    description: Can run in check mode and return the same facts.
    support: full
  diff_mode:
    description: Changes nothing, so there is no difference to show.
    support: none
"""

EXAMPLES = r"""
- name: Observe the node
  ascend_facts:

- name: Observe the cards only
  ascend_facts:
    gather_subset: [npu]

- name: Find which cards cannot take part in multi-node training, and why
  ascend_facts:
    gather_subset: [network]

- name: Observe everything that a plan needs, and two kernel settings
  ascend_facts:
    gather_subset: [cann, links, npu, python, system]
    kernel_settings: [vm.max_map_count, net.core.somaxconn]

- name: Read every installed file
  ascend_facts:
    gather_subset: [cann, python]
    deep: true
"""

RETURN = r"""
ansible_facts:
  description: The facts, below the key C(ascend).
  returned: always
  type: dict
  contains:
    ascend:
      description: The state of the node. Keys of subsets that were not requested are absent.
      type: dict
      returned: always
      contains:
        schema:
          description: Version of this structure.
          type: int
          returned: always
          sample: 2
        findings:
          description:
            - What is wrong with the node, the most informative finding of each subset first. Each has C(subset),
              C(name) (stable), C(problem), C(wanted), C(found) (the tool's own words), C(where) and C(remedy) (the next
              command).
          type: list
          elements: dict
          returned: always
        system:
          description:
            - C(architecture), C(kernel), C(glibc) (null with another C library), C(distribution),
              C(distribution_version), C(container) (the container's runtime, null on bare metal).
            - C(disk) maps each place to C(free_mb) (MB of 1048576 bytes), C(device) (number of the file system),
              C(path_measured) (the nearest folder that exists), C(total_mb), C(read_only), C(noexec) and C(free_inodes)
              (files that can still be created; -1 if they are not counted). A file system error is reported as 0 MB,
              device -1 and null. Besides the places of the options these are the places that training writes to.
            - C(paths) is O(cann_root) and its parents, preceded by C(beside) in it if that exists, each with C(exists),
              C(uid), C(mode).
            - C(limits) maps C(nofile), C(nproc), C(memlock) and C(stack) to the soft and the hard limit of the module's
              own session (a number; bytes of the last two; -1 for unlimited).
            - C(kernel_settings) maps the names of O(kernel_settings) to their values as text; null when absent.
            - C(drop_ins) is C(kernel_settings) and C(limits) from this project's own files. C(limits_elsewhere) is the
              hard limits from other files by name, for everybody (C(*)) and for C(root).
            - C(lacking) is the names of what is not installed from the distribution, C(package_manager) is C(apt-get),
              C(dnf), C(yum) or null.
            - C(time_synchronised) is systemd's answer for the clock, or null without one. C(time_s) is the time of the
              reading, in seconds since 1970. C(time_keepers) are the time services found; they are searched only if the
              clock is not known to be synchronised.
          type: dict
          returned: subset system
        changes:
          description:
            - C(running) is the run that is changing the node now, and C(last) the newest entry of the journal; null if
              there is none. Both have C(began), C(who), C(control), C(run), C(action), C(from), C(to); an entry also
              has C(ended), C(result) (done, failed, interrupted) and C(problem).
          type: dict
          returned: subset system
        services:
          description:
            - The models that C(serve.yml) started, each with C(name), C(account), C(address), C(port), C(devices),
              C(environment), C(digest), C(state) (serving, silent, down), C(why) (the reason if it does not serve) and
              C(altered) (how its unit differs from the one that was started).
              Absent if the node has never served a model.
          type: list
          elements: dict
          returned: subset system
        driver:
          description:
            - The installation, C(state) (complete, half-installed, absent), C(path), C(version) and C(firmware_version)
              (from their version.info files; null when absent).
            - C(device_nodes) counts /dev/davinci followed by a number, C(modules_loaded) the driver's kernel modules.
            - C(users) has, for each of O(users), C(name), C(state) (ok, absent, shut-out, unread), C(group) (the one to
              join if it is shut out, else null) and C(found) (the reason in words).
          type: dict
          returned: subset npu, cards, network or links
        npu:
          description:
            - C(answered) (whether npu-smi printed its table), C(tool_version), C(driver_version) (of the running
              driver), C(devices), C(processes) and C(process_count), C(processes_from) (npu-smi or /proc), C(unclear)
              (the NPU ids for which it is unknown whether a process uses them), C(unread) (the first lines that could
              not be parsed).
            - A device has C(npu_id), C(chip_id), C(name), C(health), C(errors) (codes, read if health is not OK),
              C(device_id), C(phy_id), C(bus_id), C(power_w) (W), C(temperature_c) (C), C(aicore_percent),
              C(memory_used_mb), C(memory_total_mb), C(hbm_used_mb), C(hbm_total_mb) (MB). Null means that the table has
              no value.
            - A process has C(pid), C(name), C(user), C(command), C(container), C(chips) (lists of NPU id, chip id, MB).
          type: dict
          returned: subset npu, cards, network or links
        network:
          description:
            - Each chip's address, link, health and position in multi-node training; see docs/facts.md.
            - With V(links) alone, a healthy chip has null for address, netmask, gateway and link.
          type: dict
          returned: subset network or links
        cann:
          description:
            - C(root), C(latest) (the running version or null), C(latest_state) (ok, absent, dangling, mixed),
              C(versions), C(elsewhere), C(record), C(repairing) (null, or an unfinished repair with C(repaired), its
              version, and C(latest), the version that the link latest must point to afterwards).
            - A version has C(toolkit) and C(kernels) by chip, each with C(state) (complete, half-installed, altered,
              absent), C(problems) (at most five) and C(problem_count).
          type: dict
          returned: subset cann
        pythons:
          description: Version to C(path) and C(state) (complete, half-installed).
          type: dict
          returned: subset python
        system_pythons:
          description:
            - The distribution's own Pythons, by series (3.11), with C(path) and C(lacks), which of C(python3) and
              C(pip3) are missing beside it or belong to another Python.
          type: dict
          returned: subset python
        environments:
          description:
            - C(current) is the name of the environment that the link points to, or null, and C(previous) that of the
              one before it. C(all) maps names to environments, with their C(release) and how they differ from the lock
              that they were built from; see docs/facts.md.
          type: dict
          returned: subset python
        ascend_env:
          description: C(path) and C(sha256) of the program ascend-env; null when absent.
          type: dict
          returned: subset python
        closed:
          description:
            - Those of our folders, their parents and ascend-env that other users cannot access, each with C(path),
              C(mode) and C(ours) (whether site.yml opens it).
          type: list
          elements: dict
          returned: subset python
"""

import gc

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import zipped

# For a process of a fraction of a second: the collector would look again and again at all that Ansible has imported.
gc.disable()
zipped.compile_once()

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import query
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.facts import collect_in_time
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.places import SPEC, Places

ARGUMENT_SPEC = {
    **SPEC,
    "gather_subset": {
        "type": "list",
        "elements": "str",
        "choices": ["all", "cann", "cards", "links", "network", "npu", "python", "system"],
        "default": ["cann", "npu", "python", "system"],
    },
    "kernel_settings": {"type": "list", "elements": "str", "default": []},
    "cards_out": {"type": "list", "elements": "int", "default": []},
    "users": {"type": "list", "elements": "str", "default": []},
    "deep": {"type": "bool", "default": False},
    "command_timeout_s": {"type": "int", "default": 30},
    "timeout_s": {"type": "int", "default": 100},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    options = module.params
    places = Places.of(options)
    node = Node(query, module.get_bin_path)
    try:
        facts = collect_in_time(
            options["timeout_s"],
            node,
            places,
            options["gather_subset"],
            options["command_timeout_s"],
            options["deep"],
            options["kernel_settings"],
            options["cards_out"],
            options["users"],
        )
    except AscendError as error:
        module.fail_json(msg=str(error), **error.as_dict())
    gc.freeze()  # Python collects once more at its end, whatever was said before
    module.exit_json(changed=False, ansible_facts={"ascend": facts})


if __name__ == "__main__":
    main()
