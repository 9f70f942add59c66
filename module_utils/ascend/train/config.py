# SPDX-License-Identifier: Apache-2.0
"""Which keys the LLaMA-Factory of an environment knows: the fields of its dataclasses, read and not run.

``llamafactory-cli train`` fills those of llamafactory/hparams, and of them TrainingArguments is transformers' own
(LLaMA-Factory 0.9.1 to 0.9.5). Importing them takes a minute on a busy node, and a card if one is needed.
"""

from __future__ import annotations

import ast
import difflib
import glob
import os
from typing import Dict, List, Mapping, Optional, Set

from ..errors import AscendError

PLACES = (
    "llamafactory/hparams/*.py",
    "transformers/training_args.py",
    "transformers/training_args_seq2seq.py",
)
SITE = "lib/python3*/site-packages"
FEWEST = 100  # keys; with less something was not found, and nothing is known


def known_keys(environment: str, checkout: str = "") -> Optional[Set[str]]:
    """Return the keys that a config for training may have; None if they cannot be read.

    ``checkout`` is the folder of LLaMA-Factory's sources, if they are not in the environment.
    """
    sites = [os.path.join(glob.escape(environment), SITE)]
    if checkout:
        sites.append(glob.escape(os.path.join(checkout, "src")))
    keys: Set[str] = set()
    for place in PLACES:
        paths = [path for site in sites for path in glob.glob(os.path.join(site, place))]
        found = {name for path in paths for name in _fields(path)}
        if not found:
            return None
        keys |= found
    return keys if len(keys) >= FEWEST else None


def _fields(path: str) -> Set[str]:
    """Return the names with a type in the classes of a file."""
    try:
        with open(path, encoding="utf-8") as stream:
            tree = ast.parse(stream.read())
    except (OSError, ValueError, SyntaxError):
        return set()
    return {
        line.target.id
        for each in ast.walk(tree)
        if isinstance(each, ast.ClassDef)
        for line in each.body
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
    }


def problems(config: Mapping[str, object], environment: str, checkout: str, where: str) -> List[AscendError]:
    """Return an error for each key of a config that the LLaMA-Factory of the environment does not know."""
    keys = known_keys(environment, checkout)
    if keys is None:
        return []
    return [
        AscendError(
            "LLaMA-Factory does not know the key %s" % key,
            wanted="one of its %d keys" % len(keys),
            found=key,
            where=where,
            remedy="write %s" % " or ".join(alike) if alike else "remove the key",
        )
        for key, alike in unknown(config, keys).items()
    ]


def unknown(config: Mapping[str, object], keys: Set[str]) -> Dict[str, List[str]]:
    """Return the unknown keys of a config, each with similar known ones."""
    return {key: difflib.get_close_matches(key, sorted(keys), 2, 0.75) for key in sorted(set(config) - keys)}
