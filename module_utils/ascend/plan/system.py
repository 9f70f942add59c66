# SPDX-License-Identifier: Apache-2.0
"""What a release wants of a node's system: kernel settings and limits, by the policy ``ascend_system_settings``.

* apply: what is not as it should be is a step, which writes it into drop-in files of ours;
* check: it is a warning, with the command that writes it;
* ignore: nobody asks.
"""

from __future__ import annotations

from typing import Any, Dict, List

from ansible.module_utils.ascend.plan.forms import Cause, Facts, Refusal, Step, Wanted, cause, listed, refusal, step
from ansible.module_utils.ascend.settings import drop_ins

APPLY, CHECK, IGNORE = "apply", "check", "ignore"


def settings_step(found: Facts, wanted: Wanted) -> List[Step]:
    """Return the step that writes the drop-in files; none where nothing is to be written or set."""
    if _policy(wanted) != APPLY:
        return []
    causes = _kernel_causes(found, wanted) + _limit_causes(found, wanted)
    if not causes:
        return []
    reason = "the system is not set as release %s wants: %s" % (wanted["release"], listed(_problems(causes)))
    where = ", ".join(sorted({each.pop("where") for each in causes}))
    return [step("system", "set", reason, "other settings", "those of the release", where, causes)]


def settings_warnings(found: Facts, wanted: Wanted) -> List[Refusal]:
    """Return what no step cures: all of it with the policy check; else what a change of ours cannot bring about."""
    policy = _policy(wanted)
    if policy == IGNORE:
        return []
    return _kernel_warnings(found, wanted, policy) + _limit_warnings(found, wanted, policy)


def _policy(wanted: Wanted) -> str:
    return str(wanted["system"].get("policy", CHECK))


def _problems(causes: List[Cause]) -> List[str]:
    return [each["problem"] for each in causes]


def _told(found: Facts, name: str) -> Dict[str, Any]:
    there: Dict[str, Any] = found["system"].get(name) or {}
    return there


def _kernel_causes(found: Facts, wanted: Wanted) -> List[Cause]:
    running = _told(found, "kernel_settings")
    ours = drop_ins.Kernel(_told(found, "drop_ins").get("kernel_settings") or {}, {})
    shall = drop_ins.kernel(running, ours, wanted["system"]["kernel_settings"])
    causes = []
    for name, value in sorted(shall.values.items()):
        have = running.get(name)
        want = wanted["system"]["kernel_settings"].get(name)
        if want is None or have is None or (ours.values.get(name) == value and drop_ins.fulfils(have, str(want))):
            continue
        words = "%s is %s, not %s" % (name, have or "empty", value)
        causes.append(dict(cause("kernel-setting", words, value, have or "empty", name), where=drop_ins.SYSCTL))
    return causes


def _limit_causes(found: Facts, wanted: Wanted) -> List[Cause]:
    session, others = _told(found, "limits"), _told(found, "limits_elsewhere")
    ours = _told(found, "drop_ins").get("limits") or {}
    shall = drop_ins.limits(session, others, ours, wanted["system"]["limits"])
    causes = []
    for name, values in sorted(shall.items()):
        if values == ours.get(name):
            continue
        lowest = [_shown(value) for value in [session.get(name, [0, 0])[1], *others.get(name, {}).values()]]
        have, want = "/".join(dict.fromkeys(lowest)), _shown(values["*"])
        words = "the limit %s is %s, not %s" % (name, have, want)
        causes.append(dict(cause("limit", words, want, have, name), where=drop_ins.LIMITS))
    return causes


def _shown(value: int) -> str:
    return "unlimited" if value == drop_ins.UNLIMITED else str(value)


def _kernel_warnings(found: Facts, wanted: Wanted, policy: str) -> List[Refusal]:
    running = _told(found, "kernel_settings")
    told = []
    for name, want in sorted(wanted["system"]["kernel_settings"].items()):
        have = running.get(name)
        if have is not None and (policy == APPLY or drop_ins.fulfils(have, str(want))):
            continue
        value = drop_ins.merged(have, str(want)) if have else str(want)
        told.append(
            refusal(
                "system",
                "kernel-setting",
                "%s is not what release %s asks for" % (name, wanted["release"]),
                str(want),
                "empty" if have == "" else str(have if have is not None else "no such setting"),
                "echo '%s = %s' > /etc/sysctl.d/60-ascend.conf && sysctl --system" % (name, value),
                "/proc/sys/" + name.replace(".", "/"),
                name,
            )
        )
    return told


def _limit_warnings(found: Facts, wanted: Wanted, policy: str) -> List[Refusal]:
    """A user may raise the soft limit up to the hard one, so the hard one is judged.

    With the policy apply our file says what new sessions get, and this session may be older than it: a remark.
    """
    session, ours = _told(found, "limits"), _told(found, "drop_ins").get("limits") or {}
    told = []
    for name, minimum in sorted(wanted["system"]["limits"].items()):
        hard = session.get(name, [drop_ins.UNLIMITED, drop_ins.UNLIMITED])[1]
        if hard == drop_ins.UNLIMITED or hard >= minimum or (policy == APPLY and name not in ours):
            continue
        if policy == APPLY:
            check, problem = (
                "limit-of-session",
                "this session has a lower limit %s than %s says" % (name, drop_ins.LIMITS),
            )
            remedy = (
                "log in anew; if that stays: is UsePAM yes in /etc/ssh/sshd_config, pam_limits.so in /etc/pam.d/sshd?"
            )
            where = drop_ins.LIMITS
        else:
            check, where = "limit", "/etc/security/limits.conf"
            problem = "the limit %s is lower than release %s asks for" % (name, wanted["release"])
            lines = r"* hard %s %d\nroot hard %s %d\n" % (name, minimum, name, minimum)
            remedy = "printf '%s' > /etc/security/limits.d/60-ascend.conf  # for new sessions" % lines
        told.append(refusal("system", check, problem, "%d or more" % minimum, str(hard), remedy, where, name))
    return told
