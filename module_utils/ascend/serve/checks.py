# SPDX-License-Identifier: Apache-2.0
"""The checks before a model is served: keys, files, cards, its address. They change nothing."""

from __future__ import annotations

import os
import shlex
from typing import Any, Container, List, Mapping

from ..command import as_account
from ..errors import AscendError
from ..in_time import in_time
from ..net.taken import read_taken
from ..node import At, Node
from ..train import checks, config
from .model import Model
from .server import How

LOOK_S = 60
PATHS = ("model_name_or_path", "adapter_name_or_path")


def check(
    node: Node, model: Model, how: How, home: str, checkout: str, npu: Mapping[str, Any], is_our_port: bool
) -> List[AscendError]:
    """Return what prevents the model from being served. Raises AscendError if the account cannot look.

    ``npu`` are the facts of the cards, without what is served now; ``is_our_port``: the model itself has the port.
    """
    problems = config.problems(model.config, how.environment, checkout, "serve_models, %s" % model.name)
    problems += _files(model, how, home)
    problems += [] if is_our_port else _address(node, model)
    return problems + checks.cards(list(model.devices), npu, "devices: [...] of %s" % model.name)


def _files(model: Model, how: How, home: str) -> List[AscendError]:
    """A path must be absolute, because a service starts in its own folder, and readable by its account."""
    paths = {}
    for key in PATHS:
        value = model.config.get(key)
        for path in str(value).split(",") if value else ():  # several adapters
            if path.startswith((".", "~")):
                words = "%s is not an absolute path" % key
                return [_wrong(model, words, "an absolute path, or a model on a hub", path, os.path.join(home, path))]
            if path.startswith("/"):
                paths[path] = key

    def look(at: At) -> Any:
        as_account(how.account)()
        at(next(iter(paths), "/"))
        return {path: checks.refused(path) for path in paths}

    seen = in_time(LOOK_S, look) if paths else {}
    return [
        AscendError(
            "cannot read %s of %s: %s" % (paths[path], model.name, words),
            wanted="a path that %s can read" % how.account.name,
            found=path,
            where="serve_models",
            remedy="runuser -u %s -- ls -ld %s" % (how.account.name, shlex.quote(path)),
        )
        for path, words in seen.items()
        if words
    ]


def _address(node: Node, model: Model) -> List[AscendError]:
    problems = []
    for port in read_taken(node, [model.port], model.address):
        if port["pid"]:
            who = "process %s of %s: %s" % (port["pid"], port["user"], port["command"])
            look = "ss -ltnp 'sport = :%d'; or choose another port" % model.port
            problems.append(_wrong(model, "port %d is taken" % model.port, "a free port", who, look))
        else:
            words = "cannot listen on %s, port %d" % (model.address, model.port)
            problems.append(_wrong(model, words, "an address of the node", port["why"], "ip -br address; ss -ltnp"))
    return problems


def others(npu: Mapping[str, Any], mine: Container[int]) -> Mapping[str, Any]:
    """Return the facts of the cards without the processes ``mine``."""
    return {**npu, "processes": [each for each in npu["processes"] if each["pid"] not in mine]}


def _wrong(model: Model, problem: str, wanted: str, found: str, remedy: str) -> AscendError:
    where = "serve_models, %s" % model.name
    return AscendError("%s: %s" % (model.name, problem), wanted=wanted, found=found, where=where, remedy=remedy)
