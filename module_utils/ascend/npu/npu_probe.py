# SPDX-License-Identifier: Apache-2.0
"""Prove an environment: torch-npu on the cards, and that LLaMA-Factory's training starts; say what a failure means."""

from __future__ import annotations

import glob
import json
import os
import re
import shlex
import tempfile
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from .. import files
from ..command import Result
from ..errors import AscendError
from ..finding import quoted
from . import probe_account
from .probe_account import Prover
from .probe_program import PROBE, parse
from .symptom_table import PLOG
from .symptoms import recognise

Run = Callable[..., Result]
Card = Dict[str, Any]

MOST_ANSWER = 1024 * 1024
MOST_LOGS = 20
LOG_QUOTED = 2  # lines
_ERROR = re.compile(r"[A-Za-z_.]*(?:Error|Exception): \S")


class Proof(NamedTuple):
    """What is to be proven, and how.

    ``devices`` are the indexes of the devices to use, as torch counts them: None for all ``expected_devices``, [] for
    imports only. ``versions``: distribution -> version, as the running interpreter must see them.
    """

    ascend_env: str
    environment: str
    expected_devices: int
    devices: Optional[Sequence[int]]
    versions: Dict[str, str]
    timeout_s: int
    tmp_dir: str = "/var/tmp"


class ProbeError(AscendError):
    """An AscendError that also names the symptom (None if unknown) and contains the cards' answers."""

    def __init__(self, problem: str, symptom: Optional[str] = None, cards: Sequence[Card] = (), **parts: str) -> None:
        super().__init__(problem, **parts)
        self.symptom = symptom
        self.cards = list(cards)

    def as_dict(self) -> Dict[str, Any]:
        """Return the parts, for a module's result."""
        return {**super().as_dict(), "symptom": self.symptom, "cards": self.cards}


def prove(run: Run, proof: Proof, prover: Prover) -> Dict[str, Any]:
    """Return ``{"cards", "versions", "llamafactory", "account"}``. Raises ProbeError if anything is not as expected.

    A card is ``{"index", "ok", "name", "memory_total_mb", "error", "symptom", "remedy"}``: for one that failed,
    ``error`` is its own words, ``symptom`` and ``remedy`` what they mean and what helps, None if unknown.
    """
    with probe_account.private_home(prover.account, proof.tmp_dir) as home:
        env = probe_account.variables(prover.account, prover.name, home, proof.environment)
        if proof.devices and len(proof.devices) < proof.expected_devices:
            env["ASCEND_RT_VISIBLE_DEVICES"] = ",".join(str(index) for index in proof.devices)
        program = _Program(run, proof, prover, home, env)
        result, ended = program.probe()
        cards = [_explained(card, proof.devices, program) for card in result["cards"]]
        if proof.devices is None or proof.devices:
            _require_cards(result, cards, program.noise(ended), program)
        _require_versions(result["versions"], proof)
        if "llamafactory" in proof.versions:
            _require_training(result["training"], program)
            _require_command(result["command"], ended, program)
    account = {"name": prover.name, "why": prover.why}
    return {
        "cards": cards,
        "versions": result["versions"],
        "llamafactory": result["training"]["version"],
        "account": account,
    }


class _Program:
    """Runs programs in the environment, as the account that proves it."""

    def __init__(self, run: Run, proof: Proof, prover: Prover, home: str, env: Dict[str, str]) -> None:
        self.proof = proof
        self.prover = prover
        self._run = run
        self._home = home
        self._env = env

    def probe(self) -> Tuple[Dict[str, Any], Result]:
        """Return what the probe reported, and how it ended."""
        cards = "import" if self.proof.devices is not None and not self.proof.devices else "cards"
        training = "training" if "llamafactory" in self.proof.versions else ""
        with tempfile.TemporaryFile() as answer:
            words = [str(answer.fileno()), json.dumps(sorted(self.proof.versions)), cards, training]
            result = self.run(["python", "-c", PROBE, *words], keep=answer.fileno())
            answer.seek(0)
            answered = parse(answer.read(MOST_ANSWER).decode("utf-8", "replace"))
        if not answered["done"]:
            raise self.failure("the environment fails at: %s" % answered["at"], result)
        return answered, result

    def noise(self, result: Result) -> str:
        """Return the other output; there, or in its log, CANN says why it sees no card."""
        return result.printed + self._logs()

    def run(self, words: List[str], **options: Any) -> Result:
        """Run a command through ascend-env."""
        argv = [self.proof.ascend_env, *words]
        return self._run(
            argv, self.proof.timeout_s, env=self._env, cwd=self._home, account=self.prover.account, **options
        )

    def failure(self, what: str, result: Result) -> ProbeError:
        """Return the error for a program that did not come to a good end."""
        where = self.proof.environment
        if result.timed_out:
            wanted = "an answer within %d s" % self.proof.timeout_s
            return ProbeError(what, wanted=wanted, found="none", where=where, remedy=self.again())
        known = recognise(self.noise(result))[:1]
        return ProbeError(
            "%s: %s" % (what, known[0].what if known else "exit code %d" % result.code),
            symptom=known[0].name if known else None,
            wanted="exit code 0, as %s" % self.prover.name,
            found=_words(result) + self.quoted_log(),
            where=where,
            remedy=self.as_remedy(known[0].remedy) if known else self.again(),
        )

    def again(self, *command: str) -> str:
        """Return a command to try it by hand, as root, without a current environment or an account's shell."""
        words = ["ASCEND_FLEET_ENVIRONMENT=%s" % self.proof.environment, self.proof.ascend_env]
        call = " ".join(shlex.quote(word) for word in [*words, *(command or ("python", "-c", "import torch_npu"))])
        if self.prover.account is None:
            return call
        return "cd /tmp && runuser -u %s -- env HOME=/tmp %s" % (shlex.quote(self.prover.name), call)

    def as_remedy(self, remedy: str) -> str:
        """Return a symptom's remedy: the proof's log was removed with its home, so one is made by hand first."""
        home = "/root" if self.prover.account is None else "/tmp"
        return remedy.replace(PLOG, "%s; %s" % (self.again(), PLOG.replace("~", home)))

    def quoted_log(self) -> str:
        """Return the last error lines of CANN's log, for a message; they say what the program does not."""
        return "".join("\nCANN's log: %s" % quoted(line) for line in self._logs().split("\n")[-LOG_QUOTED:] if line)

    def _logs(self) -> str:
        """Return the error lines of CANN's logs, which are removed with the private home."""
        lines: List[str] = []
        for path in sorted(glob.glob(os.path.join(self._home, "log", "**", "*.log"), recursive=True))[:MOST_LOGS]:
            lines += [line for line in (files.text(path) or "").splitlines() if "[ERROR]" in line][-MOST_LOGS:]
        return "".join("\n" + line for line in lines)


def _explained(card: Card, devices: Optional[Sequence[int]], program: _Program) -> Card:
    """Return a card with the meaning of its error, under its real number, counting cards that were left out."""
    known = recognise(card["error"])[:1] if card["error"] else ()
    index = card["index"]
    return {
        **card,
        "index": devices[index] if devices and index < len(devices) else index,
        "symptom": known[0].name if known else None,
        "remedy": program.as_remedy(known[0].remedy) if known else None,
    }


def _require_cards(result: Dict[str, Any], cards: List[Card], noise: str, program: _Program) -> None:
    proof = program.proof
    expected = proof.expected_devices if proof.devices is None else len(proof.devices)
    bad = [card for card in cards if not card["ok"]]
    if result["available"] is True and result["count"] == expected and len(cards) == expected and not bad:
        return
    found = "is_available() %s, %d devices" % (result["available"], result["count"])
    if bad:
        found += "; card %s: %s" % (bad[0]["index"], bad[0]["error"])
    known = recognise(bad[0]["error"] if bad else noise)[:1]
    if known and not bad:
        found += "; %s" % known[0].evidence
    else:
        found += program.quoted_log()
    raise ProbeError(
        known[0].what if known else "torch-npu does not see every card",
        symptom=known[0].name if known else None,
        cards=cards,
        wanted="as %s: is_available() True, %d devices, each returns a tensor" % (program.prover.name, expected),
        found=found,
        where=proof.environment,
        remedy=program.as_remedy(known[0].remedy) if known else "npu-smi info; dmesg | tail",
    )


def _require_versions(versions: Dict[str, Any], proof: Proof) -> None:
    for name, wanted in sorted(proof.versions.items()):
        if versions.get(name) != wanted:
            raise ProbeError(
                "%s is not the locked version" % name,
                wanted=wanted,
                found=str(versions.get(name)),
                where=proof.environment,
                remedy="ansible-playbook site.yml --limit NODE  # restores the lock",
            )


def _require_training(training: Dict[str, Any], program: _Program) -> None:
    """LLaMA-Factory checks its requirements when its training is imported; a checkout may need other libraries."""
    proof, wanted = program.proof, program.proof.versions["llamafactory"]
    if training["error"]:
        known = recognise(training["error"])[:1]
        raise ProbeError(
            "LLaMA-Factory cannot start training%s" % (": " + known[0].what if known else ""),
            symptom=known[0].name if known else None,
            wanted="llamafactory.train.tuner can be imported: LLaMA-Factory works with this environment's libraries",
            found=training["error"],
            where=proof.environment,
            remedy="choose the LLaMA-Factory of the release (make releases), or a lock of your own: releases/README.md",
        )
    if training["version"] != wanted:
        found = "llamafactory.extras.env reports %s" % training["version"]
        remedy = "ansible-playbook site.yml --limit NODE  # restores the lock"
        raise ProbeError(
            "LLaMA-Factory has a different version", wanted=wanted, found=found, where=proof.environment, remedy=remedy
        )


def _require_command(command: Dict[str, Any], ended: Result, program: _Program) -> None:
    """The command that users type must start; its output is not matched."""
    if command["error"]:
        known = recognise("%s\n%s" % (command["error"], ended.printed))[:1]
        raise ProbeError(
            "llamafactory-cli fails: %s" % (known[0].what if known else command["error"]),
            symptom=known[0].name if known else None,
            wanted="llamafactory-cli version with code 0, as %s" % program.prover.name,
            found="%s\n%s" % (command["error"], ended.last_lines(3)),
            where=program.proof.environment,
            remedy=program.as_remedy(known[0].remedy) if known else program.again("llamafactory-cli", "version"),
        )


def _words(result: Result) -> str:
    """Return the end of the output, after the first error of a chain: a traceback shows the cause before the rest."""
    end = result.last_lines(6)
    first = next((line for line in result.printed.splitlines() if _ERROR.match(line)), "")
    return end if not first or first in end else "%s\n...\n%s" % (first, end)
