# SPDX-License-Identifier: Apache-2.0
"""Whether a node and an account are ready for a program that outlives the module: training or serving."""

from __future__ import annotations

import os
import pwd
from typing import Any, Dict, Sequence, Tuple

from ..accounts import account as account_of
from ..change import run_lock
from ..command import Account
from ..errors import AscendError
from ..node import Node


def refusal(first: str, problems: Sequence[AscendError]) -> Dict[str, Any]:
    """Return the keys of a module's result that say everything that is wrong."""
    words = "".join("\n%d. %s" % (number, problem) for number, problem in enumerate(problems, 1))
    return {"msg": first + words, "problems": [problem.as_dict() for problem in problems]}


def known_account(node: Node, name: str, variable: str) -> Tuple[Account, str]:
    """Return (the account, its home). Raises AscendError; ``variable`` names it in the inventory."""
    account, why = account_of(node, name)
    if account is None or account.uid == 0:
        raise AscendError(
            "%s is not an account of the node" % variable if account is None else "root must not train or serve",
            wanted="%s, an account of the node that is not root" % variable,
            found=why or ("root" if account else "no account %s" % name),
            remedy="-e %s=NAME; add it to ascend_users, so that it can open the cards" % variable,
        )
    return account, pwd.getpwnam(account.name).pw_dir


def require_ready(state_dir: str, link: str, environment: str) -> None:
    """Raise AscendError if ``environment``, the target of ``link``, is not one, or if another run changes the node."""
    if not os.path.isfile(os.path.join(environment, ".cann_home")):
        raise AscendError(
            "the node has no environment",
            wanted="an environment that site.yml made",
            found="none",
            where=link,
            remedy="ansible-playbook site.yml --limit NODE",
        )
    holder = run_lock.read(state_dir)
    if holder:
        error = run_lock.already_taken(holder)
        raise AscendError("the node is being changed", error.wanted, error.found, error.where, error.remedy)
