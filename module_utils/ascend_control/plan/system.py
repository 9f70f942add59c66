# SPDX-License-Identifier: Apache-2.0
"""A release's kernel settings and limits for a node, by the policy ``ascend_system_settings``.

* apply: a wrong setting is a step, which writes it into drop-in files of ours;
* check: it is a warning, with the command that sets it;
* ignore: it is not checked.
"""

from __future__ import annotations

from ...ascend.finding import Cause, Refusal, cause, refusal
from ...ascend.settings import drop_ins
from ...ascend.text import listed
from .asked import Wanted
from .components import Step, step
from .found import Found

APPLY, CHECK, IGNORE = "apply", "check", "ignore"
# Cause -> the drop-in file that cures it.
_FILES = {"kernel-setting": drop_ins.SYSCTL, "limit": drop_ins.LIMITS}


def settings_step(found: Found, wanted: Wanted) -> list[Step]:
    """Return the step that writes the drop-in files; none if nothing is to be written or set."""
    if _policy(wanted) != APPLY:
        return []
    causes = _kernel_causes(found, wanted) + _limit_causes(found, wanted)
    if not causes:
        return []
    reason = f"system settings differ from those that release {wanted.release} needs: {listed(_problems(causes))}"
    where = ", ".join(sorted({_FILES[each["name"]] for each in causes}))
    return [step("system", "set", reason, "other settings", "those of the release", where, causes)]


def settings_warnings(found: Found, wanted: Wanted) -> list[Refusal]:
    """Return what no step cures: everything with the policy check, otherwise what our change cannot achieve."""
    policy = _policy(wanted)
    if policy == IGNORE:
        return []
    return _kernel_warnings(found, wanted, policy) + _limit_warnings(found, wanted, policy)


def _policy(wanted: Wanted) -> str:
    return wanted.system.policy


def _problems(causes: list[Cause]) -> list[str]:
    return [each["problem"] for each in causes]


def _kernel_causes(found: Found, wanted: Wanted) -> list[Cause]:
    in_kernel = found.system.kernel_settings
    ours = drop_ins.Kernel(found.system.drop_ins.kernel_settings, {})
    shall = drop_ins.kernel(in_kernel, ours, wanted.system.kernel_settings)
    causes = []
    for name, value in sorted(shall.values.items()):
        have = in_kernel.get(name)
        want = wanted.system.kernel_settings.get(name)
        if want is None or have is None or (ours.values.get(name) == value and drop_ins.fulfils(have, str(want))):
            continue
        # Somebody may have set the kernel beside our file, which is what the next start goes by.
        runs = not drop_ins.fulfils(have, str(want))
        found_as, where = (have or "empty", "") if runs else (ours.values[name], f" in {drop_ins.SYSCTL}")
        words = f"{name} is {found_as}{where}, not {value}"
        causes.append(cause("kernel-setting", words, value, found_as, name))
    return causes


def _limit_causes(found: Found, wanted: Wanted) -> list[Cause]:
    session, others = found.system.limits, found.system.limits_elsewhere
    ours = found.system.drop_ins.limits
    shall = drop_ins.limits(session, others, ours, wanted.system.limits)
    causes = []
    for name, values in sorted(shall.items()):
        if values == ours.get(name):
            continue
        lowest = [_shown(value) for value in [session.get(name, [0, 0])[1], *others.get(name, {}).values()]]
        have, want = "/".join(dict.fromkeys(lowest)), _shown(values["*"])
        words = f"the limit {name} is {have}, not {want}"
        causes.append(cause("limit", words, want, have, name))
    return causes


def _shown(value: int) -> str:
    return "unlimited" if value == drop_ins.UNLIMITED else str(value)


def _kernel_warnings(found: Found, wanted: Wanted, policy: str) -> list[Refusal]:
    in_kernel = found.system.kernel_settings
    warnings = []
    for name, want in sorted(wanted.system.kernel_settings.items()):
        have = in_kernel.get(name)
        if have is not None and (policy == APPLY or drop_ins.fulfils(have, str(want))):
            continue
        value = drop_ins.merged(have, str(want)) if have else str(want)
        warnings.append(
            refusal(
                "system",
                "kernel-setting",
                f"{name} is not what release {wanted.release} needs",
                str(want),
                "empty" if have == "" else str(have if have is not None else "no such setting"),
                f"echo '{name} = {value}' > /etc/sysctl.d/60-ascend.conf && sysctl --system",
                "/proc/sys/" + name.replace(".", "/"),
                name,
            )
        )
    return warnings


def _limit_warnings(found: Found, wanted: Wanted, policy: str) -> list[Refusal]:
    """A user may raise the soft limit up to the hard one, so the hard one is judged.

    With the policy apply, our file sets the limits of new sessions, and this session may be older, so it is a remark.
    """
    session, ours = found.system.limits, found.system.drop_ins.limits
    warnings = []
    for name, minimum in sorted(wanted.system.limits.items()):
        hard = session.get(name, [drop_ins.UNLIMITED, drop_ins.UNLIMITED])[1]
        if hard == drop_ins.UNLIMITED or hard >= minimum or (policy == APPLY and name not in ours):
            continue
        if policy == APPLY:
            check, problem = (
                "limit-of-session",
                f"this session has a lower limit {name} than {drop_ins.LIMITS} sets",
            )
            remedy = (
                "log in again; still lower? Is UsePAM yes in /etc/ssh/sshd_config, pam_limits.so in /etc/pam.d/sshd?"
            )
            where = drop_ins.LIMITS
        else:
            check, where = "limit", "/etc/security/limits.conf"
            problem = f"the limit {name} is lower than release {wanted.release} needs"
            lines = rf"* hard {name} {minimum}\nroot hard {name} {minimum}\n"
            remedy = f"printf '{lines}' > /etc/security/limits.d/60-ascend.conf  # for new sessions"
        warnings.append(refusal("system", check, problem, f"{minimum} or more", str(hard), remedy, where, name))
    return warnings
