# SPDX-License-Identifier: Apache-2.0
"""A stand-in for systemctl, which answers as systemd 252 does (tests/e2e/test_systemd.py has the real one)."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import Result

ANSWERS = {"Id": "{unit}", "ActiveState": "{state}", "MainPID": "{pid}", "UnitFileState": "{enabled}"}


class Systemd:
    """``states`` are those of units; a unit that is started becomes ``state``. It keeps what it was asked, and how long
    each may take. Unit files lie in ``folder``.
    """

    def __init__(self, folder: Path | None = None, state: str = "active", states: dict[str, str] | None = None) -> None:
        self.folder, self.state = folder, state
        self.states = {f"{name}.service": each for name, each in (states or {}).items()}
        self.enabled: set[str] = set()
        self.asked: list[list[str]] = []
        self.waits: dict[str, float] = {}

    def __call__(self, argv: list[str], timeout_s: float) -> Result:
        assert argv[0] == "systemctl"
        self.asked.append(argv)
        self.waits[argv[1]] = timeout_s
        words = argv[2:]
        if argv[1] == "show":
            names = words[1].split(",") if words[0] == "--property" else words[0].partition("=")[2].split(",")
            units = words[2:] if words[0] == "--property" else words[1:]
            return Result(0, "\n".join(self._shown(names, unit) for unit in units), False)
        return getattr(self, "_" + argv[1].replace("-", "_"))(*words)  # type: ignore[no-any-return]  # by name

    def _shown(self, names: list[str], unit: str) -> str:
        state = self.states.get(unit, "inactive")
        enabled = ("enabled" if unit in self.enabled else "disabled") if self._has(unit) else ""
        values = {"unit": unit, "state": state, "pid": 7 if state == "active" else 0, "enabled": enabled}
        return "".join(f"{name}={ANSWERS[name].format(**values)}\n" for name in sorted(names, reverse=True))

    def _has(self, unit: str) -> bool:
        return self.folder is None or (self.folder / unit).exists()

    def _daemon_reload(self) -> Result:
        return Result(0, "", False)

    def _enable(self, unit: str) -> Result:
        self.enabled.add(unit)
        return Result(0, "", False)

    def _disable(self, unit: str) -> Result:
        self.enabled.discard(unit)
        return Result(0, "", False)

    def _start(self, unit: str) -> Result:
        self.states[unit] = self.state
        failed = self.state == "failed"
        return Result(int(failed), f"Job for {unit} failed." if failed else "", False)

    def _stop(self, unit: str) -> Result:
        self.states[unit] = "inactive"
        return Result(0, "", False)

    def _reset_failed(self, unit: str) -> Result:
        """A unit without a file that did not fail is none; one that failed stays until it is asked to go."""
        if self.states.get(unit) != "failed" and not self._has(unit):
            return Result(1, f"Failed to reset failed state of unit {unit}: Unit {unit} not loaded.", False)
        self.states.pop(unit, None)
        return Result(0, "", False)

    def listed(self) -> list[str]:
        """What ``systemctl --failed`` shows."""
        return [unit for unit, state in self.states.items() if state == "failed"]
