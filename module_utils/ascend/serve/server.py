# SPDX-License-Identifier: Apache-2.0
"""The models that a node serves: starts them, asks whether they answer, ends them.

``<state_dir>/serve/<name>`` belongs to root: serve.json says what is served, config.yaml is the account's copy of the
config, the rest belongs to the service (service/service.py). The service keeps the environment in which it was started,
also after a restart: what was tested with a model continues to serve it until serve.yml runs.
"""

from __future__ import annotations

import http.client
import json
import os
from typing import Any, Dict, List, NamedTuple, Tuple

from .. import atomic, files
from ..accounts import account as account_of
from ..command import Account
from ..node import Node
from ..service import service as services
from ..service.service import Run, Service
from ..train import logs
from ..train.job import LIMITS, LOG_LINES, PATH, log_of
from .model import NAME, Model

FOLDER = "serve"
UNIT = "ascend-serve-%s"
LOGROTATE = "/etc/logrotate.d/ascend-serve"
GRACE_S = 30
PROBE_S = 5.0
SERVING, SILENT, DOWN = "serving", "silent", "down"
# What a unit may not do. Left out is what the driver's libraries might need, which are nobody's to read: a filter of
# system calls, a list of devices (their names change with the driver), memory that is written and run, /proc.
HARDENED = (
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=",
    "AmbientCapabilities=",
    "ProtectSystem=strict",
    "ProtectHome=read-only",
    "PrivateTmp=yes",
    "ProtectClock=yes",
    "ProtectHostname=yes",
    "ProtectControlGroups=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "LockPersonality=yes",
    "SystemCallArchitectures=native",
    "RemoveIPC=yes",
    "UMask=0077",
    "TasksMax=infinity",
)


class How(NamedTuple):
    """How models are served on this node. ``environment`` is a folder, with its links followed."""

    state_dir: str
    account: Account
    environment: str
    ascend_env: str
    api_key: str


def place(state_dir: str, name: str) -> str:
    return os.path.join(state_dir, FOLDER, name)


def names(state_dir: str) -> List[str]:
    """Return the names of what serve.yml started and did not end."""
    found = files.names(os.path.join(state_dir, FOLDER))
    return sorted(name for name in found if NAME.fullmatch(name) and about(state_dir, name))


def about(state_dir: str, name: str) -> Dict[str, Any]:
    return files.mapping(os.path.join(place(state_dir, name), "serve.json"))


def is_as(model: Model, how: How, run: Run) -> bool:
    """Whether the model is served already, with the same config, account, environment, key and unit."""
    folder = place(how.state_dir, model.name)
    job = files.mapping(os.path.join(folder, "job.json"))
    known = about(how.state_dir, model.name)
    same = known == _about(model, how) and job.get("env") == {**_env(model, how), **_mark_of(job)}
    return same and services.alive(folder, run) and not services.altered(folder, run)


def begin(model: Model, how: How, run: Run) -> None:
    """Start to serve the model, in place of what was served under that name. Raises AscendError, OSError."""
    folder = place(how.state_dir, model.name)
    os.makedirs(folder, mode=0o755, exist_ok=True)
    services.stop(folder, run, GRACE_S)
    config = os.path.join(folder, "config.yaml")
    if os.path.lexists(config):
        os.unlink(config)
    with open(os.open(config, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "w", encoding="utf-8") as stream:
        os.fchown(stream.fileno(), how.account.uid, how.account.gid)
        stream.write(model.config_text())
    atomic.write(os.path.join(folder, "serve.json"), json.dumps(_about(model, how)))
    services.start(service_of(model, how), run)


def service_of(model: Model, how: How) -> Service:
    folder = place(how.state_dir, model.name)
    out = os.path.join(folder, "out")
    return Service(
        UNIT % model.name,
        "LLaMA-Factory serves %s on %s, port %d (ascend-fleet)" % (model.name, model.address, model.port),
        folder,
        [how.ascend_env, "llamafactory-cli", "api", os.path.join(folder, "config.yaml")],
        _env(model, how),
        out,
        how.account,
        GRACE_S,
        (*HARDENED, "ReadWritePaths=%s" % out),
        LIMITS,
        lasting=True,
    )


def end(state_dir: str, name: str, run: Run) -> bool:
    """End it; return whether anything of it was running. Its log stays."""
    folder = place(state_dir, name)
    was_alive = services.stop(folder, run, GRACE_S)
    # The key and the config may be secrets; without this file nothing of it counts as served.
    for each in ("job.json", "config.yaml", "serve.json"):
        atomic.remove(os.path.join(folder, each))
    return was_alive


def read(state_dir: str, name: str, run: Run, node: Node) -> Dict[str, Any]:
    """Return what is served under that name: serve.json's keys, and ``{"state", "began", "log", "last", "error"}``.

    ``state`` is serving (it answers), silent (it runs but does not answer, or not yet) or down; ``last`` are the last
    lines of its log, ``error`` its first error, if it does not serve.
    """
    folder = place(state_dir, name)
    served = about(state_dir, name)
    state, why = look(state_dir, name, run)
    account = account_of(node, str(served.get("account")))[0]
    uid = account.uid if account else None
    silent = state != SERVING
    return {
        **served,
        "state": state,
        "why": why,
        "began": files.mapping(os.path.join(folder, "began.json")).get("began"),
        "log": log_of(folder),
        "last": logs.last_lines(services.read_out(folder, "log", uid), LOG_LINES) if silent else [],
        "error": logs.error_of(log_of(folder), uid) if silent else "",
    }


def look(state_dir: str, name: str, run: Run) -> Tuple[str, str]:
    """Return the state, and why it is not "serving"."""
    folder = place(state_dir, name)
    if not services.alive(folder, run):
        return DOWN, "its program has ended"
    served = about(state_dir, name)
    key = files.mapping(os.path.join(folder, "job.json")).get("env", {}).get("API_KEY", "")
    why = ask(str(served.get("address")), int(served.get("port") or 0), str(key))
    return (SILENT, why) if why else (SERVING, "")


def ask(address: str, port: int, key: str) -> str:
    """Ask the server for its models, like any client; return what is wrong with the answer, "" if nothing is."""
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # asked on the loopback
    link = http.client.HTTPConnection(everywhere.get(address, address), port, timeout=PROBE_S)
    try:
        link.request("GET", "/v1/models", headers={"Authorization": "Bearer " + key} if key else {})
        code = link.getresponse().status
        return "" if code == http.client.OK else "it answers with HTTP %d" % code
    except (OSError, http.client.HTTPException) as error:
        return "it does not answer: %s" % error
    finally:
        link.close()


def facts(node: Node, state_dir: str) -> List[Any]:
    """Return what the node serves, for its facts (shapes.Served).

    Empty for a replayed capture, whose processes do not exist here.
    """
    if node.root != "/":
        return []
    found = []
    for name in names(state_dir):
        served = about(state_dir, name)
        state, why = look(state_dir, name, node.run)
        keys = ("name", "account", "address", "port", "devices", "environment", "digest")
        found.append({**{key: served.get(key) for key in keys}, "state": state, "why": why})
        found[-1]["altered"] = services.altered(place(state_dir, name), node.run)
    return found


def at_work(node: Node, state_dir: str) -> List[Dict[str, Any]]:
    """Return what is served in the form of the facts' processes that use cards (see train/job.py)."""
    found = []
    for name in names(state_dir) if node.root == "/" else []:
        folder = place(state_dir, name)
        if services.alive(folder, node.run):
            served = about(state_dir, name)
            found.append(
                {
                    "pid": services.main_pid(folder, node.run),
                    "name": "serving %s" % name,
                    "user": served.get("account"),
                    "command": "started by playbooks/serve.yml, port %s" % served.get("port"),
                    "container": None,
                    "devices": served.get("devices") or [],
                }
            )
    return found


def logrotate(state_dir: str, account: Account, group: str) -> str:
    """Return logrotate's configuration for the logs, which it rotates as the account that owns them."""
    logs = os.path.join(state_dir, FOLDER, "*", "out", "log")
    lines = ["su %s %s" % (account.name, group), "size 100M", "rotate 4", "compress", "copytruncate", "missingok"]
    return "# Made by ascend-fleet.\n%s {\n%s}\n" % (logs, "".join("    %s\n" % line for line in lines))


def _about(model: Model, how: How) -> Dict[str, Any]:
    return {
        "schema": 1,
        "name": model.name,
        "account": how.account.name,
        "address": model.address,
        "port": model.port,
        "devices": list(model.devices),
        "environment": how.environment,
        "digest": model.digest(),
    }


def _env(model: Model, how: How) -> Dict[str, str]:
    """Return the whole environment of the program; the operator's settings override the rest."""
    out = os.path.join(place(how.state_dir, model.name), "out")
    name = how.account.name
    env = {"PATH": PATH, "HOME": out, "USER": name, "LOGNAME": name, "LANG": "C.UTF-8"}
    env["ASCEND_FLEET_ENVIRONMENT"] = how.environment
    env.update(API_HOST=model.address, API_PORT=str(model.port), API_MODEL_NAME=model.name)
    if how.api_key:
        env["API_KEY"] = how.api_key
    if model.devices:
        env["ASCEND_RT_VISIBLE_DEVICES"] = ",".join(str(index) for index in model.devices)
    return {**env, **model.variables}


def _mark_of(job: Dict[str, Any]) -> Dict[str, str]:
    name, _, value = str(job.get("mark") or "").partition("=")
    return {name: value} if value else {}
