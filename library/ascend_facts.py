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
  - Never fails because something is absent or broken on the node. Absence and breakage are part of the facts, with the
    tool's own words, so that one bad node cannot hide the others.
  - Runs C(npu-smi info) once, with a time limit. All else is read from files.
author:
  - The ascend-fleet authors (@ascend-fleet)
options:
  gather_subset:
    description: What to observe.
    type: list
    elements: str
    choices: [all, cann, npu, python, system]
    default: [all]
  cann_root:
    description: Where CANN and the driver lie.
    type: path
    default: /usr/local/Ascend
  ascend_root:
    description: Where the Pythons (C(python/)) and the environments (C(env/)) lie.
    type: path
    default: /opt/ascend
  cache_dir:
    description: Where packages from the depot are kept; its free space is reported.
    type: path
    default: /var/cache/ascend-fleet
  state_dir:
    description: Where the manifests of installed packages lie.
    type: path
    default: /var/lib/ascend-fleet
  tmp_dir:
    description: Where installers unpack; its free space is reported.
    type: path
    default: /var/tmp
  command_timeout_s:
    description: Longest time for C(npu-smi info), in seconds.
    type: int
    default: 30
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

- name: Look at the cards alone
  ascend_facts:
    gather_subset: [npu]
"""

RETURN = r"""
ansible_facts:
  description: The facts, below the key C(ascend).
  returned: always
  type: dict
  contains:
    ascend:
      description: What the node is. A key whose subset was not asked for is absent.
      type: dict
      returned: always
      contains:
        schema:
          description: Version of this structure.
          type: int
          returned: always
          sample: 1
        system:
          description:
            - C(architecture), C(kernel), C(glibc) (null with another C library), C(distribution),
              C(distribution_version).
            - C(disk) maps each place to C(free_mb) (MB of 1048576 bytes), C(device) (number of the file system) and
              C(path_measured) (the nearest folder that exists).
            - C(paths) is O(cann_root) and its parents with C(exists), C(uid), C(mode).
          type: dict
          returned: subset system
        driver:
          description: C(version) and C(firmware_version) from their version.info files, C(path); null when absent.
          type: dict
          returned: subset npu
        npu:
          description:
            - C(tool_version), C(driver_version), C(devices), C(processes) from C(npu-smi info).
            - A device has C(npu_id), C(chip_id), C(name), C(health), C(bus_id), C(power_w) (W), C(temperature_c) (C),
              C(aicore_percent), C(memory_used_mb), C(memory_total_mb), C(hbm_used_mb), C(hbm_total_mb) (MB).
            - A process has C(npu_id), C(chip_id), C(pid), C(name), C(memory_mb) (MB).
            - C(device_nodes) counts /dev/davinci followed by a number; C(unread) lists lines that were not understood.
            - C(problem) is null, or C(what), C(message) (the tool's own words) and C(remedy).
          type: dict
          returned: subset npu
        cann:
          description:
            - C(root), C(latest) (the running version or null), C(versions).
            - A version has C(toolkit) and C(kernels) by chip, each with C(state) (complete, half-installed, absent),
              C(problems) (at most ten) and C(problem_count).
          type: dict
          returned: subset cann
        pythons:
          description: Version to C(path) and C(state) (complete, half-installed).
          type: dict
          returned: subset python
        environments:
          description:
            - C(current) is the name that the link leads to, or null; C(all) maps names to environments.
            - An environment has C(path), C(state), C(python), C(cann_home), C(lock_digest), C(distributions) (name to
              version), C(editable) (name to path) and C(problems).
          type: dict
          returned: subset python
        ascend_env:
          description: C(path) and C(sha256) of the program ascend-env; null when absent.
          type: dict
          returned: subset python
"""

from ansible.module_utils.ascend.command import run
from ansible.module_utils.ascend.facts import Places, collect
from ansible.module_utils.basic import AnsibleModule

ARGUMENT_SPEC = {
    "gather_subset": {
        "type": "list",
        "elements": "str",
        "choices": ["all", "cann", "npu", "python", "system"],
        "default": ["all"],
    },
    "cann_root": {"type": "path", "default": "/usr/local/Ascend"},
    "ascend_root": {"type": "path", "default": "/opt/ascend"},
    "cache_dir": {"type": "path", "default": "/var/cache/ascend-fleet"},
    "state_dir": {"type": "path", "default": "/var/lib/ascend-fleet"},
    "tmp_dir": {"type": "path", "default": "/var/tmp"},
    "command_timeout_s": {"type": "int", "default": 30},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    options = module.params
    names = ("cann_root", "ascend_root", "cache_dir", "state_dir", "tmp_dir")
    places = Places(**{name: options[name] for name in names})
    facts = collect(run, module.get_bin_path, places, options["gather_subset"], options["command_timeout_s"])
    module.exit_json(changed=False, ansible_facts={"ascend": facts})


if __name__ == "__main__":
    main()
