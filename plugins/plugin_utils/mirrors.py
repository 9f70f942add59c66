# SPDX-License-Identifier: Apache-2.0
"""Where a node's mirror of the depot is: by the inventory's own variables of that host."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError

GROUP = "depot_mirrors"
PORT = 8080  # as roles/depot_server has it


def mirror_url(name: str, task_vars: Any) -> str:
    """Return the address of a mirror by its name in the inventory; "" for none. Fails for another kind of host."""
    if not name:
        return ""
    if name not in task_vars["groups"].get(GROUP, []):
        raise AnsibleActionFail(
            str(
                AscendError(
                    "depot_mirror does not name a mirror",
                    wanted=f"a host of the group {GROUP}",
                    found=name,
                    where="the inventory",
                    remedy=f"add {name} to the group {GROUP}, or leave depot_mirror empty",
                )
            )
        )
    host = task_vars["hostvars"][name]
    scheme = "https" if host.get("depot_server_certificate") else "http"
    return f"{scheme}://{host.get('ansible_host', name)}:{host.get('depot_server_port', PORT)}"
