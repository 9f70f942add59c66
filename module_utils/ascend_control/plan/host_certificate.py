# SPDX-License-Identifier: Apache-2.0
"""The certificate of a node's sshd: a separate playbook renews it; with an expired one nobody can reach the node.

The control node judges it when connecting, so the control node's clock counts.
"""

from __future__ import annotations

from ...ascend.finding import Refusal, refusal
from ...ascend.times import utc
from .asked import Wanted
from .found import Found, HostCertificate

RENEW = "ansible-playbook playbooks/ssh_certificates.yml --limit NODE"
LEFT_TO_WARN = 4  # a quarter of its time; half of it is when it is renewed


def host_certificate_refusals(found: Found, wanted: Wanted) -> list[Refusal]:
    """A node that would refuse a new connection is not changed, because the change's next connection would fail."""
    certificate, now_s = found.system.host_certificate, _now(found, wanted)
    if certificate is None or certificate.valid_after_s is None or now_s is None:
        return []
    if certificate.valid_before_s is not None and now_s >= certificate.valid_before_s:
        return [_refusal("host-certificate-expired", "the host certificate of sshd has expired", certificate, now_s)]
    if now_s < certificate.valid_after_s:
        problem = "the host certificate of sshd is not valid yet"
        return [_refusal("host-certificate-not-yet", problem, certificate, now_s)]
    return []


def host_certificate_warnings(found: Found, wanted: Wanted) -> list[Refusal]:
    """Return what has to be done before nobody reaches the node."""
    certificate, now_s = found.system.host_certificate, _now(found, wanted)
    if certificate is None or now_s is None:
        return []
    after, before = certificate.valid_after_s, certificate.valid_before_s
    if after is None:
        return [_refusal("host-certificate-unreadable", "the file is not a host certificate", certificate, now_s)]
    if before is None or now_s >= before or before - now_s >= (before - after) / LEFT_TO_WARN:
        return []
    return [_refusal("host-certificate-expires", "the host certificate of sshd expires soon", certificate, now_s)]


def _refusal(name: str, problem: str, certificate: HostCertificate, now_s: float) -> Refusal:
    after, before = certificate.valid_after_s, certificate.valid_before_s
    dates = f"valid from {utc(after)} to {utc(before) if before else 'ever'}" if after is not None else "no dates"
    return refusal(
        "system",
        name,
        problem,
        f"a certificate that is valid at {utc(now_s)}, with more than a quarter of its time left",
        dates,
        RENEW,
        certificate.path,
    )


def _now(found: Found, wanted: Wanted) -> float | None:
    return found.system.time_s if wanted.now_s is None else wanted.now_s
