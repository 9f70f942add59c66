# SPDX-License-Identifier: Apache-2.0
"""The role notify notifies real receivers, says who was notified, and never says what is secret."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests import fleets
from tests.notify.conftest import Mailbox, Playbook, program
from tests.notify.receivers import SECRET, TOKEN, Receivers

NASTY = "{{ 7 * 191 }} {% if %} {# 1 <b>&</b> <@all> \u5361\u574f\u4e86"
PATIENT = {"notify_timeout_s": 120}  # a slow machine is no finding
URL = "https://fleet.example.com/reports/latest/"


def fleet() -> dict[str, Any]:
    """A changed fleet in which a node says what a template, a mark-up and a mention would be."""
    report = fleets.report([fleets.node("npu-0001", [fleets.finding("npu-0001", fleets.FAULTS[0])])])
    report["changes"]["new"][0]["problem"] = NASTY
    return report


def quiet() -> dict[str, Any]:
    """A fleet in which nothing changed."""
    report = fleets.fleet(100)
    report["changes"].update(new=[], gone=[])
    return report


def test_five_services_and_mail_are_notified(playbook: Playbook, receivers: Receivers, mailbox: Mailbox) -> None:
    webhooks = [
        {"form": "feishu", "url": receivers.url("feishu"), "secret": SECRET},
        {"form": "dingtalk", "url": receivers.url("dingtalk", f"/send?access_token={TOKEN}"), "secret": f"{SECRET}\n"},
        {"form": "wecom", "url": receivers.url("wecom", f"/send?key={TOKEN}"), "label": "night shift"},
        {"form": "slack", "url": receivers.url("slack")},
        {"form": "json", "url": receivers.url("anything")},
    ]
    mail = {"notify_mail_to": ["a@example.com", "b@example.com"], "notify_mail_from": "fleet@example.com"}
    ways = {"notify_sendmail": str(mailbox.sendmail), "notify_report_url": URL, **PATIENT}
    playbook.add(fleet(), {"notify_webhooks": webhooks, **mail, **ways})
    run = playbook.run()
    assert run.code == 0, run.output
    names = "webhook 1 (feishu), webhook 2 (dingtalk), night shift, webhook 4 (slack), webhook 5 (json), mail"
    assert run.outcomes == [f"notifications: sent to {names}"], run.output
    assert receivers.exposed == []

    text = "\n".join(
        cell["text"] for row in receivers.of("feishu")["content"]["post"]["zh_cn"]["content"] for cell in row
    )
    assert receivers.of("dingtalk")["text"]["content"] == text
    assert text.splitlines() == [
        "ascend-fleet: drifted: 1 new, 1 gone; 0 of 1 nodes clean, 1 drifted",
        f"new: npu-0001 cards: {NASTY}",
        "gone: npu-0001 cards: cards are not healthy",
        f"report: {URL}",
    ]
    assert "< @all>" in receivers.of("wecom")["text"]["content"]
    assert "&lt;b&gt;&amp;&lt;/b&gt; &lt;@all&gt;" in receivers.of("slack")["text"]
    data = receivers.of("anything")
    assert (data["schema"], data["source"], data["test"], data["report_url"]) == (1, "ascend-fleet", False, URL)
    assert data["summary"].startswith("All 2 nodes drifted.\n")
    assert {kind for _, kind, _ in receivers.received} == {"application/json"}

    ((recipients, letter),) = mailbox.received
    assert recipients == ["a@example.com", "b@example.com"]
    assert (letter["From"], letter["To"]) == ("fleet@example.com", "a@example.com, b@example.com")
    assert letter["Subject"] == text.splitlines()[0]
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter["Date"].datetime.tzinfo is not None
    assert letter["Message-ID"].endswith("@example.com>")
    assert letter.get_content().replace("\r\n", "\n").startswith(f"{text}\n\nAll 2 nodes drifted.\n")


def test_receivers_that_fail_are_named_and_the_others_are_notified(
    playbook: Playbook, receivers: Receivers, tmp_path: Path
) -> None:
    webhooks = [
        {"form": "slack", "url": receivers.refused, "label": "refused"},
        {"form": "json", "url": receivers.url("broken"), "label": "broken"},
        {"form": "slack", "url": receivers.url("slack", secure=True), "label": "untrusted"},
        {"form": "wecom", "url": receivers.url("page"), "label": "page"},
        {"form": "feishu", "url": receivers.url("feishu"), "secret": f"{SECRET}2", "label": "sign"},
        {"form": "dingtalk", "url": receivers.url("dingtalk", f"?access_token={TOKEN}"), "label": "unsigned"},
        {"form": "wecom", "url": receivers.url("repeating"), "label": "repeating"},
        {"form": "json", "url": receivers.url("moved"), "label": "moved"},
        {"form": "teams", "url": receivers.url("anything")},
        {"form": "slack", "label": "no url"},
        {"form": "slack", "url": receivers.url("slack"), "label": "last"},
    ]
    sendmail = program(tmp_path / "sendmail", "echo 'no such account' >&2; exit 75")
    mail = {"notify_mail_to": ["a@example.com"], "notify_mail_from": "fleet@example.com"}
    playbook.add(fleet(), {"notify_webhooks": webhooks, **mail, **PATIENT, "notify_sendmail": str(sendmail)})
    run = playbook.run()
    assert run.code == 0, run.output
    refused = "it answered HTTP 200 but rejected the message"
    expired = "sign match fail or timestamp is not within one hour from current time"
    (line,) = run.outcomes
    assert line.split("; ") == [
        "notifications: sent to last",
        "NOT sent to refused: connection refused",
        "NOT sent to broken: HTTP 500",
        "NOT sent to untrusted: its TLS certificate is not trusted",
        f"NOT sent to page: {refused}",
        f"NOT sent to sign: {refused}, code 19021, {expired}",
        f"NOT sent to unsigned: {refused}, code 310000, sign not match",
        f"NOT sent to repeating: {refused}, code 93000",
        "NOT sent to moved: HTTP 302, redirects are not followed",
        "NOT sent to webhook 9: its form is not one of json, feishu, dingtalk, wecom, slack",
        "NOT sent to no url: it has no url",
        "NOT sent to mail: sendmail, exit code 75: no such account",
    ]
    assert [kind for kind, _, _ in receivers.received].count("slack") == 1


def test_nobody_waits_longer_than_the_limit(playbook: Playbook, receivers: Receivers, tmp_path: Path) -> None:
    webhooks = [
        {"form": "slack", "url": receivers.hangs, "label": "hangs"},
        {"form": "slack", "url": receivers.url("drip"), "label": "drips"},
        {"form": "slack", "url": receivers.url("slack"), "label": "last"},
    ]
    sendmail = program(tmp_path / "sendmail", "exec sleep 600")
    mail = {"notify_mail_to": ["a@example.com"], "notify_mail_from": "fleet@example.com"}
    settings = {"notify_webhooks": webhooks, **mail, "notify_sendmail": str(sendmail), "notify_timeout_s": 2}
    playbook.add(fleet(), settings)
    run = playbook.run()
    assert run.code == 0, run.output
    (line,) = run.outcomes
    # The last one is asked all the same, though a slow machine may not get to its answer.
    last = re.search(r"(NOT )?sent to last(: no answer within 2 s)?; ", f"{line}; ")
    assert last, line
    assert line.replace(last.group(), "").removeprefix("notifications: ").split("; ") == [
        "NOT sent to hangs: no answer within 2 s",
        "NOT sent to drips: no answer within 2 s",
        "NOT sent to mail: sendmail took longer than 2 s",
    ]


def test_nothing_new_notifies_nobody_but_a_test_and_unreadable_variables_are_reported(
    playbook: Playbook, receivers: Receivers
) -> None:
    webhooks = [{"form": "json", "url": receivers.url("anything")}]
    playbook.add(quiet(), {"notify_webhooks": webhooks, **PATIENT})
    playbook.add(quiet(), {"notify_webhooks": webhooks, **PATIENT, "notify_test": True})
    unknown = [{"form": "json", "url": f"{receivers.url('anything')}{{{{ nowhere }}}}"}]
    playbook.add(fleet(), {"notify_webhooks": unknown, "notify_mail_to": "{{ nowhere }}"})
    run = playbook.run()
    assert run.code == 0, run.output
    unreadable = (
        "NOT sent to notify_webhooks: it is not a list of {form, url}; "
        "NOT sent to mail: cannot read notify_mail_to or notify_mail_from"
    )
    assert run.outcomes == ["notifications: sent to webhook 1 (json)", f"notifications: {unreadable}"], run.output
    assert receivers.of("anything")["test"] is True
