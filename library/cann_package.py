#!/usr/bin/python
# SPDX-License-Identifier: Apache-2.0
"""Ansible module: one CANN package, the toolkit or a chip's kernels."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: cann_package
short_description: Install or remove CANN's toolkit or kernels
version_added: "0.1.0"
description:
  - Fetches a C(.run) package (or the official C(.zip) around one) from the depot, verifies its size and sha256, and
    runs its installer with a time limit. The installed files decide whether that succeeded, never its output.
  - A complete package is not touched. A half-installed one, or one with a file lost or changed since its installation,
    is installed again. A file that changes again after its repair is reported and left as it is.
  - If the installer succeeds but its files differ from the documented layout, the package is unproven until
    O(state=proven).
  - Changing the toolkit removes its kernels (the installer does that), so install the kernels afterwards.
author:
  - The ascend-fleet authors (@ascend-fleet)
extends_documentation_fragment:
  - ascend.fleet.places
options:
  package:
    description: Which package.
    type: str
    choices: [kernels, toolkit]
    required: true
  version:
    description: Its version, which is also part of its folder's name.
    type: str
    required: true
  chip:
    description: The chip family of the kernels.
    type: str
  layout:
    description:
      - The layout of a version not yet installed. V(ascend-toolkit) is the layout of CANN up to 8.3, with a folder
        C(ascend-toolkit/<version>). V(cann) is the layout from 8.5 on, with a folder C(cann-<version>) and kernels
        called ops.
    type: str
    choices: [ascend-toolkit, cann]
    default: ascend-toolkit
  beside:
    description:
      - Install it into C(beside/) of O(cann_root), where it does not take over the links of what is in O(cann_root)
        itself.
      - An installed version stays where it is.
    type: bool
    default: false
  state:
    description:
      - Whether it must be installed. V(cached) only downloads it to the cache, which disturbs no job.
      - V(doubted) is for a proof that failed. It compares the files of the toolkit and its kernels that CANN changed
        after a repair with what was installed, once more, so that V(present) installs them again.
      - V(running) points C(latest), the version that sessions get from CANN's common environment file, at an installed
        version, with CANN's own script.
      - V(led-back) points C(latest) back at the version that it had before an interrupted repair (O(repair)).
      - V(proven) marks the toolkit and its kernels as proven by an environment that ran on the cards. If their layout
        is not the documented one, this makes them complete.
    type: str
    choices: [absent, cached, doubted, led-back, present, proven, running]
    default: present
  url:
    description: Its address in the depot (http, https or file).
    type: str
  sha256:
    description: Its sha256, in hexadecimal.
    type: str
  size_bytes:
    description: Its size in bytes.
    type: int
  depot_proxy:
    description: The proxy between the node and the depot, as http://host:port. If empty, the node connects directly.
    type: str
    default: ""
  accept_eula:
    description: Whether you have read and accept CANN's licence. The installer accepts it without showing it.
    type: bool
    default: false
  allow_downgrade:
    description: Install even if a newer version is the latest one.
    type: bool
    default: false
  repair:
    description:
      - Repair the version in use, even if a newer one is installed beside it. C(latest) then points to the same version
        as before, even if the repair is interrupted and another run finishes it.
    type: bool
    default: false
  deep:
    description: Read every installed file and verify its recorded checksum.
    type: bool
    default: false
  python_bin:
    description: A folder with the C(python3) and C(pip3) that the installer needs, put first in its PATH.
    type: path
  timeout_s:
    description: How long the installer may take, in seconds.
    type: int
    default: 3600
attributes:
  check_mode:
    description: Reports what would change and writes nothing.
    support: full
  diff_mode:
    description: Shows the state before and after.
    support: full
"""

EXAMPLES = r"""
- name: Install the toolkit
  cann_package:
    package: toolkit
    version: "8.0.RC1"
    url: http://192.0.2.1:8080/cann/Ascend-cann-toolkit_8.0.RC1_linux-aarch64.run
    sha256: "{{ sha256 }}"
    size_bytes: "{{ size_bytes }}"
    accept_eula: true

- name: Install the kernels of the 910B
  cann_package:
    package: kernels
    chip: 910b
    version: "8.0.RC1"
    url: file:///srv/ascend-depot/cann/Ascend-cann-kernels-910b_8.0.RC1_linux.run
    sha256: "{{ sha256 }}"
    size_bytes: "{{ size_bytes }}"
    accept_eula: true
"""

RETURN = r"""
package:
  description: The package after the run (in check mode, as found), with C(state) (complete, half-installed,
    altered, unproven, absent), C(problems) and C(problem_count).
  returned: success
  type: dict
  sample: {state: complete, problems: [], problem_count: 0}
"""

import shutil
from typing import TYPE_CHECKING, Any, Dict, List, Optional

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import rights
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.cann import (
    install as cann_install,
    latest as cann_latest,
    proof as cann_proof,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.change import module_lock, origin
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import query
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.depot_file import DepotFile, is_cached, take
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import REPORTED, failure
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.places import SPEC, Places

if TYPE_CHECKING:
    from ansible_collections.ascend.fleet.plugins.module_utils.ascend.shapes import Package

ARGUMENT_SPEC = {
    **SPEC,
    "package": {"type": "str", "choices": ["kernels", "toolkit"], "required": True},
    "version": {"type": "str", "required": True},
    "chip": {"type": "str"},
    "layout": {"type": "str", "choices": ["ascend-toolkit", "cann"], "default": "ascend-toolkit"},
    "beside": {"type": "bool", "default": False},
    "state": {
        "type": "str",
        "choices": ["absent", "cached", "doubted", "led-back", "present", "proven", "running"],
        "default": "present",
    },
    "url": {"type": "str"},
    "sha256": {"type": "str"},
    "size_bytes": {"type": "int"},
    "depot_proxy": {"type": "str", "default": ""},
    "accept_eula": {"type": "bool", "default": False},
    "allow_downgrade": {"type": "bool", "default": False},
    "repair": {"type": "bool", "default": False},
    "python_bin": {"type": "path"},
    "deep": {"type": "bool", "default": False},
    "timeout_s": {"type": "int", "default": 3600},
}
REQUIRED_IF = [
    ("state", "present", ["url", "sha256", "size_bytes"]),
    ("state", "cached", ["url", "sha256", "size_bytes"]),
    ("package", "kernels", ["chip"]),
]
ASKED = {
    "present": "complete",
    "absent": "absent",
    "cached": "in the cache",
    "doubted": "compared with what was installed",
    "proven": "proven",
    "running": "the latest version",
    "led-back": "latest restored",
}


def main() -> None:
    rights.begin()
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, required_if=REQUIRED_IF, supports_check_mode=True)
    options = module.params
    same = ("version", "chip", "cache_dir", "state_dir", "tmp_dir", "python_bin", "timeout_s", "layout", "beside")
    more = {name: options[name] for name in same}
    package = cann_install.Package(kind=options["package"], root=options["cann_root"], **more)
    file = (
        DepotFile(options["url"], options["sha256"], options["size_bytes"], options["depot_proxy"])
        if options["url"]
        else None
    )
    try:
        found = cann_install.observe(package, options["deep"])
        state = state_of(package, file, found, options["state"])
        after, changed = found, state != ASKED[options["state"]]
        if changed and options["state"] == "present":
            allowed = options["allow_downgrade"] or options["repair"]
            cann_install.require_allowed(package, options["accept_eula"], allowed, module.check_mode)
        if changed and options["state"] == "running" and not cann_install.can_lead_latest(package):
            # No failure: ascend-env goes by the environment, and not by this link.
            changed = False
            module.warn(
                "%s: CANN's `latest` does not point to %s, because its installer left no %s there; a session that "
                "sources CANN's common set_env.sh gets the other one" % (state, package.version, cann_install.RELINK)
            )
        if changed and not module.check_mode:
            for warning in change(package, file, options):
                module.warn(warning)
            after = cann_install.observe(package)
    except REPORTED as error:
        module.fail_json(**failure(error, options["cann_root"]))
    diff = {
        "before": "%s %s: %s\n" % (package.name, package.version, state),
        "after": "%s %s: %s\n" % (package.name, package.version, ASKED[options["state"]]),
    }
    module.exit_json(changed=changed, package=after, diff=diff)


def state_of(package: cann_install.Package, file: Optional[DepotFile], found: Package, asked: str) -> str:
    """Return the package's state as an option's value."""
    if asked == "cached" and file:
        return ASKED[asked] if is_cached(file, package.cache_dir) else "not in the cache"
    if asked == "running":
        latest = cann_install.latest_version(package)
        return ASKED[asked] if latest == package.version else "not the latest version, which is %s" % (latest or "none")
    if asked == "doubted":
        news = cann_proof.doubt(package.tree, package.version, check_mode=True)
        return "with files that CANN changes itself" if news else ASKED[asked]
    if asked == "led-back":
        before = cann_latest.read(package.tree)
        if before or cann_install.is_link_lost(package):
            return "latest must point to %s" % (before["latest"] if before else package.version)
        return ASKED[asked]
    if asked == "proven":
        news = cann_proof.prove(package.tree, package.version, check_mode=True)
        return "not marked as proven" if news else ASKED[asked]
    # It was installed, and is not installed again: what is left to do is its proof.
    return ASKED[asked] if asked == "present" and found["state"] in cann_install.GOOD else str(found["state"])


def change(package: cann_install.Package, file: Optional[DepotFile], options: Dict[str, Any]) -> List[str]:
    """Bring the package to the requested state; return what the operator has to know about it."""
    asked, warnings = options["state"], []
    with module_lock.taken(package.state_dir, "%s %s: %s" % (package.name, package.version, asked)) as run:
        if asked == "cached" and file:
            take(file, package.cache_dir)
        elif asked == "present" and file:
            if options["repair"]:
                warnings = cann_install.repair(package, file, run, options["deep"])
            else:
                cann_install.install(package, file, run, options["deep"])
                cann_latest.forget_in(package.tree, package.place)
        elif asked == "led-back":
            warnings = cann_install.lead_back(package, run)
        elif asked == "absent" and package.kind == "toolkit" and is_ours(package):
            warnings = uninstall_ours(options, run)
        elif asked == "doubted":
            cann_proof.doubt(package.tree, package.version)
        elif asked == "proven":
            cann_proof.prove(package.tree, package.version)
        elif asked == "running":
            cann_install.make_latest(package, run)
            cann_latest.forget_in(package.tree, package.place)
        else:
            cann_install.uninstall(package, run)
    return warnings


def is_ours(package: cann_install.Package) -> bool:
    """Whether this project installed it."""
    return package.tree.name(package.version) in origin.ours(package.state_dir)


def uninstall_ours(options: Dict[str, Any], run: cann_install.Run) -> List[str]:
    """Remove a version of ours, even if its uninstaller was interrupted, and point the links to what remains.

    Raises AscendError if users have files in it or use it.
    """
    from ansible_collections.ascend.fleet.plugins.module_utils.ascend.remove import cann, replaced

    node, version = Node(query, shutil.which), options["version"]
    uninstallers = cann.Uninstallers(node, Places.of(options), options["python_bin"] or "", run, options["timeout_s"])
    replaced.require_nobodys(node, uninstallers.tree, version)
    uninstallers.remove(version, uninstallers.tree.home(version))
    uninstallers.drop_links([version])
    uninstallers.lead_latest(None)
    return uninstallers.notes


if __name__ == "__main__":
    main()
