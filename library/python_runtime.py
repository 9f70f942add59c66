#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Ansible module: a relocatable CPython from the depot."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: python_runtime
short_description: Install a relocatable CPython from the depot
version_added: "0.1.0"
description:
  - Fetches an archive with the single top folder C(python/) from the depot, verifies it, unpacks it beside its final
    place, tries it and renames it into place. A complete version is not touched.
author:
  - The ascend-fleet authors (@ascend-fleet)
extends_documentation_fragment:
  - ascend.fleet.places
options:
  version:
    description: The version in the archive, with three numbers.
    type: str
    required: true
  url:
    description: The archive's address in the depot (http, https or file).
    type: str
    required: true
  sha256:
    description: Its sha256, in hexadecimal.
    type: str
    required: true
  size_bytes:
    description: Its size in bytes.
    type: int
    required: true
  depot_proxy:
    description: The proxy between the node and the depot, as http://host:port. If empty, the node connects directly.
    type: str
    default: ""
  deep:
    description: Read every installed file and verify its recorded checksum.
    type: bool
    default: false
attributes:
  check_mode:
    description: Reports what would change and writes nothing.
    support: full
  diff_mode:
    description: Shows the state before and after.
    support: full
"""

EXAMPLES = r"""
- name: Install CPython
  python_runtime:
    version: "3.10.13"
    url: http://192.0.2.1:8080/python/cpython-3.10.13-linux-aarch64.tar.gz
    sha256: "{{ sha256 }}"
    size_bytes: "{{ size_bytes }}"
"""

RETURN = r"""
path:
  description: The folder of the version.
  returned: success
  type: str
  sample: /opt/ascend/python/3.10.13
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import rights
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import module_lock
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.depot_file import DepotFile
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import REPORTED, failure
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.places import SPEC
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.python import install as runtime

ARGUMENT_SPEC = {
    **SPEC,
    "version": {"type": "str", "required": True},
    "url": {"type": "str", "required": True},
    "sha256": {"type": "str", "required": True},
    "size_bytes": {"type": "int", "required": True},
    "depot_proxy": {"type": "str", "default": ""},
    "deep": {"type": "bool", "default": False},
}


def main() -> None:
    rights.begin()
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    options = module.params
    pythons_dir, version = os.path.join(options["ascend_root"], "python"), options["version"]
    try:
        before = runtime.observe(pythons_dir, version, options["deep"])
        changed = before != "complete"
        if changed and not module.check_mode:
            file = DepotFile(options["url"], options["sha256"], options["size_bytes"], options["depot_proxy"])
            with module_lock.taken(options["state_dir"], "Python %s" % version) as run:
                runtime.install(pythons_dir, version, file, options["cache_dir"], run)
    except REPORTED as error:
        module.fail_json(**failure(error, pythons_dir))
    diff = {"before": "Python %s: %s\n" % (version, before), "after": "Python %s: complete\n" % version}
    module.exit_json(changed=changed, path=os.path.join(pythons_dir, version), diff=diff)


if __name__ == "__main__":
    main()
