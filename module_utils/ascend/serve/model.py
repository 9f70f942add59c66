# SPDX-License-Identifier: Apache-2.0
"""What to serve: a list of models, each with its config, its address and its cards. Pure functions."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from typing import Any, Dict, List, Mapping, NamedTuple, Sequence, Tuple

from ..errors import AscendError
from ..text import listed

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
KEYS = ("name", "config", "port", "address", "devices", "variables")
LOOPBACK = "127.0.0.1"
PORT = 8000
FORM = "{name: llama3, config: {model_name_or_path: /data/llama3, template: llama3}}"
# Sampling calls operators that CANN lacks in some releases, and the request fails. One that asks for it still samples.
DEFAULTS = {"do_sample": False}


class Model(NamedTuple):
    """``config`` is what ``llamafactory-cli api`` reads; ``devices`` are indexes as torch counts, empty for all."""

    name: str
    config: Dict[str, Any]
    address: str
    port: int
    devices: Tuple[int, ...]
    variables: Dict[str, str]

    @property
    def is_open(self) -> bool:
        """Whether others than the node itself can reach it."""
        return not is_loopback(self.address)

    def config_text(self) -> str:
        """Return the config as YAML: LLaMA-Factory 0.9.5 does not read JSON, although it claims to."""
        lines = ["%s: %s" % (json.dumps(key), _yaml(value)) for key, value in self.config.items()]
        reason = "# do_sample is false unless the inventory says otherwise: sampling hangs or fails with some releases."
        return "\n".join(["# Made by ascend-fleet.", reason, "---", *lines]) + "\n"

    def digest(self) -> str:
        """Return the sum of its settings; if it differs, something else should be served."""
        return hashlib.sha256(json.dumps(self._asdict(), sort_keys=True).encode()).hexdigest()


def _yaml(value: Any) -> str:
    """Return a value as YAML on one line; nodes have no library for it. A number like 1e-05 is text in YAML 1.1."""
    if isinstance(value, float):
        words = repr(value)
        if words.lstrip("-") in ("inf", "nan"):
            return words.replace("inf", ".inf").replace("nan", ".nan")
        return words if "." in words else words.replace("e", ".0e")
    if isinstance(value, Mapping):
        return "{%s}" % ", ".join("%s: %s" % (json.dumps(str(key)), _yaml(each)) for key, each in value.items())
    if isinstance(value, (list, tuple)):
        return "[%s]" % ", ".join(_yaml(each) for each in value)
    return json.dumps(value, ensure_ascii=False)


def models_of(given: Any) -> List[Model]:
    """Return the models of ``serve_models``. Raises AscendError for an invalid one."""
    if not isinstance(given, list):
        raise _wrong("serve_models is not a list", "[%s]" % FORM, given)
    models = [_model(each) for each in given]
    named: List[Tuple[str, List[Any]]] = [("name", [each.name for each in models])]
    for what, values in [*named, ("port", [each.port for each in models])]:
        twice = [value for value in values if values.count(value) > 1]
        if twice:
            raise _wrong("two models have the same %s" % what, "another %s for each" % what, twice[0])
    unnamed = [each.name for each in models if not each.devices]
    if unnamed and len(models) > 1:
        words = "%s takes all cards, and another model is served on the node" % unnamed[0]
        raise _wrong(words, "devices for each of several models", "no devices")
    return models


def require_key(models: Sequence[Model], key: str) -> None:
    """Raise AscendError if somebody outside the node could ask a model without a key."""
    bare = [model for model in models if model.is_open and not key]
    if bare:
        raise AscendError(
            "%s would answer anyone who reaches %s" % (bare[0].name, bare[0].address),
            wanted="serve_api_key, from a vault",
            found="none",
            where="the inventory",
            remedy="ansible-vault encrypt_string --name serve_api_key; or address: 127.0.0.1",
        )


def is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback


def _model(given: Any) -> Model:
    if not isinstance(given, Mapping):
        raise _wrong("a model of serve_models is not a mapping", FORM, given)
    unknown = sorted(str(key) for key in set(given) - set(KEYS))
    if unknown:
        raise _wrong("a model of serve_models has an unknown key", listed(list(KEYS)), unknown[0])
    name = given.get("name")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        wanted = "lowercase letters, digits and ._-, at most 40 characters, starting with a letter or digit"
        raise _wrong("a model of serve_models has no usable name", wanted, name)
    config = given.get("config")
    if not isinstance(config, Mapping) or not isinstance(config.get("model_name_or_path"), str):
        raise _wrong("the model %s has no config" % name, "a mapping that names model_name_or_path", config)
    variables = given.get("variables") or {}
    if not isinstance(variables, Mapping):
        raise _wrong("the variables of %s are not a mapping" % name, '{"OMP_NUM_THREADS": "8"}', variables)
    return Model(
        name,
        {**DEFAULTS, **config},
        _address(name, given.get("address", LOOPBACK)),
        _port(name, given.get("port", PORT)),
        _devices(name, given.get("devices") or []),
        {str(key): str(value) for key, value in variables.items()},
    )


def _address(name: str, given: Any) -> str:
    try:
        return str(ipaddress.ip_address(str(given)))
    except ValueError:
        raise _wrong(
            "the address of %s is not an IP address" % name, "127.0.0.1, ::1, or one of the node", given
        ) from None


def _port(name: str, given: Any) -> int:
    if not re.fullmatch("[0-9]{1,5}", str(given)) or not 1024 <= int(given) <= 65535:
        raise _wrong("the port of %s is outside the allowed range" % name, "1024 to 65535", given)
    return int(given)


def _devices(name: str, given: Any) -> Tuple[int, ...]:
    values = given if isinstance(given, list) else [given]
    if not all(re.fullmatch("[0-9]{1,3}", str(value)) for value in values):
        raise _wrong(
            "the devices of %s are not card numbers" % name, "numbers from 0, as torch counts them: [0, 1]", given
        )
    return tuple(sorted({int(value) for value in values}))


def _wrong(problem: str, wanted: str, found: Any) -> AscendError:
    where, remedy = "serve_models", "grep -rn serve_models inventory/  # then correct it there"
    return AscendError(problem, wanted=wanted, found=str(found), where=where, remedy=remedy)
