# SPDX-License-Identifier: Apache-2.0
"""When to tell, in which words, within which limits."""

from __future__ import annotations

import base64
import json
import subprocess
from email import message_from_string, policy
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from ansible.module_utils.ascend_control.drift import notice

from tests import fleets

NOW = 1772415000.257  # DingTalk's signature then holds + and /
TOKEN = "tok-5e1f0c9a77d24b7f"
HOOK = f"https://a.example/{TOKEN}"
UNKNOWN_KEY = "it has a key that is none of form, url, secret, label"
SERVICES = ("feishu", "dingtalk", "wecom", "slack")


def report(clean: int = 10, before: tuple[int, int] | None = (0, 0), **changed: Any) -> dict[str, Any]:
    """A report without changes; ``before`` is (drifted, unchecked) of the one before it."""
    fleet = fleets.report([fleets.node(f"npu-{number:04d}", []) for number in range(clean)])
    fleet["changes"].update(new=[], gone=[])
    if before is None:
        fleet["trend"] = fleet["trend"][-1:]
    else:
        fleet["trend"][-2].update(drifted=before[0], unchecked=before[1])
    return {**fleet, **changed}


def drifted(fleet: dict[str, Any], **counts: int) -> dict[str, Any]:
    fleet["counts"].update({"drifted": 1, "findings": 1, **counts})
    fleet["trend"][-1].update(drifted=fleet["counts"]["drifted"], unchecked=fleet["counts"]["unchecked"])
    return fleet


def mention(problem: str = "cards are not healthy", node: str = "npu-0001") -> dict[str, str]:
    entry = fleets.mentioned(node, fleets.finding(node, fleets.FAULTS[0]))
    return {**entry, "problem": problem}


def told(fleet: dict[str, Any], url: str = "", test: bool = False, summary: str = "") -> dict[str, Any]:
    return notice.message(fleet, summary, url, test)


def full(problem: str, count: int = 60, url: str = "https://fleet.example.com/") -> dict[str, Any]:
    fleet = report()
    fleet["changes"].update(new=[mention(problem)] * count, gone=[mention(problem)] * count, still=7)
    return told(fleet, url)


@pytest.mark.parametrize(
    ("fleet", "due"),
    [
        (report(), False),
        (drifted(report(before=(1, 0))), False),
        (drifted(report(before=(0, 1)), drifted=0, unchecked=1), False),
        (drifted(report(before=(0, 0))), True),
        (drifted(report(before=(0, 1))), True),
        (drifted(report(before=(1, 0)), unchecked=2), True),
        (report(before=(3, 0)), True),
        (report(before=None), False),
        (drifted(report(before=None)), True),
        (report(changes={"new": [mention()], "gone": []}), True),
        (report(changes={"new": [], "gone": [mention()]}), True),
        (report(changes={"new": [mention()], "gone": []}, partial=True), False),
        (drifted(report(before=(0, 0), partial=True)), False),
        (report(history="the disk is full"), False),
        (drifted(report(before=(1, 0), history="the disk is full")), True),
        (drifted(report(history="the disk is full", partial=True)), False),
    ],
)
def test_when_to_tell(fleet: dict[str, Any], due: bool) -> None:
    assert notice.due(fleet, test=False) is due
    assert notice.due(fleet, test=True) is True


def test_a_partial_report_is_not_in_the_trend() -> None:
    fleet = drifted(report(partial=True))
    fleet["trend"].pop()
    assert "(was clean)" in told(fleet, test=True)["headline"]


def test_the_text() -> None:
    fleet = drifted(report(before=(0, 2)), clean=9)
    fleet["changes"].update(new=[mention(node=f"npu-{number}") for number in range(12)], gone=[mention()], still=1234)
    assert notice.lines(told(fleet, "https://fleet.example.com/"), 10) == [
        "ascend-fleet: drifted (was unchecked): 12 new, 1 gone; 9 of 10 nodes clean, 1 drifted",
        *(f"new: npu-{number} cards: cards are not healthy" for number in range(10)),
        "new: 2 more in the report",
        "gone: npu-0001 cards: cards are not healthy",
        "still there: 1,234",
        "report: https://fleet.example.com/",
    ]


def test_a_test_and_a_lost_history_are_said() -> None:
    text = notice.lines(told(report(history="history.sqlite\nis gone"), test=True), 10)
    assert text[0].startswith("ascend-fleet: this is a test: clean: 0 new")
    assert text[1] == "history: history.sqlite is gone"


def test_a_line_holds_what_can_be_shown_and_no_more() -> None:
    (line,) = told(
        report(
            changes={"new": [mention("a\nb\x1b[31m\u202ec\ud800" + "x" * 500)], "gone": [], "since": None, "still": 0}
        )
    )["new"]
    assert line.startswith("npu-0001 cards: a b [31m c xxx")
    assert line.endswith("...")
    assert len(line) == len("npu-0001 cards: ") + 120


def test_json_holds_fifty_and_counts_all() -> None:
    data = notice.fitted("json", full("broken"))
    assert sorted(data) == ["changes", "counts", "history", "made", "report_url", "schema", "source", "summary", "test"]
    changes = data["changes"]
    assert (len(changes["new"]), changes["new_count"], len(changes["gone"]), changes["gone_count"]) == (50, 60, 50, 60)
    assert changes["new"][0] == mention("broken")


@pytest.mark.parametrize("form", SERVICES)
@pytest.mark.parametrize("problem", ["x" * 500, "\u5361" * 500, "\U0001f525" * 500, "<&>" * 200, '"\\' * 300])
def test_bodies_are_within_the_limits_in_bytes(form: str, problem: str) -> None:
    body = notice.fitted(form, full(problem))
    whole = json.dumps(body, ensure_ascii=True)
    assert len(whole) < {"feishu": 20_000, "dingtalk": 20_000, "wecom": 10_000, "slack": 40_000}[form]
    if form == "wecom":
        assert len(body["text"]["content"].encode()) <= 2048
    shown = json.loads(whole)
    assert "ascend-fleet" in str(shown)
    assert "https://fleet.example.com/" in str(shown)


def test_what_has_no_room_is_counted() -> None:
    text = notice.fitted("wecom", full("\u5361" * 500))["text"]["content"].splitlines()
    news = [line for line in text if line.startswith("new: ")]
    assert 1 < len(news) < 10
    assert news[-1] == f"new: {60 - len(news) + 1} more in the report"
    assert notice.fitted("dingtalk", full("short"))["text"]["content"].count("new: npu") == 10


def test_the_longest_address_of_reports_leaves_a_headline() -> None:
    message = full("\u5361" * 500, url="https://fleet.example.com/" + "\u5361" * 2000)
    assert notice.fitted("wecom", message)["text"]["content"] == message["headline"]


def test_slack_escapes_what_is_markup_there() -> None:
    text = notice.fitted("slack", full("<!channel> & <b>"))["text"]
    assert "&lt;!channel&gt; &amp; &lt;b&gt;" in text
    assert "<" not in text
    assert notice.fitted("slack", full("x"))["mrkdwn"] is False


def test_nobody_is_mentioned() -> None:
    assert "<@" not in notice.fitted("wecom", full("<@all> <@wang>"))["text"]["content"]
    (body,) = notice.requests([{"form": "dingtalk", "url": "https://a.example/"}], full("@all"), NOW)
    assert set(body["body"]) == {"msgtype", "text"}


def test_feishu_links_the_reports_where_there_is_an_address() -> None:
    linked = notice.fitted("feishu", full("x"))["content"]["post"]["zh_cn"]["content"]
    assert linked[-1] == [
        {"tag": "a", "text": "report: https://fleet.example.com/", "href": "https://fleet.example.com/"}
    ]
    assert {cell["tag"] for row in linked[:-1] for cell in row} == {"text"}
    bare = notice.fitted("feishu", full("x", url="see the wiki"))["content"]["post"]["zh_cn"]["content"]
    assert bare[-1] == [{"tag": "text", "text": "report: see the wiki"}]


def openssl(key: str, text: str) -> str:
    """HMAC-SHA256 in base64, computed by another program."""
    argv = ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{key.encode().hex()}", "-binary"]
    return base64.b64encode(subprocess.run(argv, input=text.encode(), capture_output=True, check=True).stdout).decode()


def test_signatures_are_those_of_openssl() -> None:
    assert notice.feishu_sign("demo", 1599360473) == openssl("1599360473\ndemo", "")
    assert notice.dingtalk_sign("SEC-demo", 1599360473000) == openssl("SEC-demo", "1599360473000\nSEC-demo")


def test_feishu_signs_in_the_body_and_dingtalk_in_the_query() -> None:
    webhooks = [
        {"form": "feishu", "url": "https://a.example/hook/1", "secret": "demo"},
        {"form": "dingtalk", "url": "https://a.example/send?access_token=1", "secret": "demo\n"},
        {"form": "dingtalk", "url": "https://a.example/send#top", "secret": "demo"},
        {"form": "feishu", "url": "https://a.example/hook/1"},
    ]
    feishu, dingtalk, bare, unsigned = notice.requests(webhooks, full("x"), NOW)
    assert (feishu["url"], feishu["body"]["timestamp"]) == ("https://a.example/hook/1", "1772415000")
    assert feishu["body"]["sign"] == openssl("1772415000\ndemo", "")
    wanted = {"access_token": ["1"], "timestamp": ["1772415000257"], "sign": [openssl("demo", "1772415000257\ndemo")]}
    assert parse_qs(urlsplit(dingtalk["url"]).query, strict_parsing=True) == wanted
    assert bare["url"].startswith("https://a.example/send?timestamp=1772415000257&sign=")
    assert set(unsigned["body"]) == {"msg_type", "content"}


@pytest.mark.parametrize(
    ("webhook", "wrong"),
    [
        ({"form": "slack", "url": HOOK}, ""),
        ({"form": "slack", "url": f"https://a.example:70000/{TOKEN}"}, "its url is not https://host/..."),
        ({"form": "slack", "url": f"ftp://a.example/{TOKEN}"}, "its url is not https://host/..."),
        ({"form": "slack", "url": f"https:///{TOKEN}"}, "its url is not https://host/..."),
        ({"form": "slack", "url": f"https://a.example/{TOKEN}\nHost: b"}, "its url is not https://host/..."),
        ({"form": "slack", "url": f"https://a.example/{TOKEN} b"}, "its url is not https://host/..."),
        ({"form": "slack", "url": None}, "it has no url"),
        ({"form": "slack", "url": HOOK, "secret": TOKEN}, "a secret is for feishu and dingtalk alone"),
        ({"form": "slack", "url": HOOK, TOKEN: 1}, UNKNOWN_KEY),
        ({"url": HOOK}, "its form is none of json, feishu, dingtalk, wecom, slack"),
        ({"form": TOKEN, "url": TOKEN}, "its form is none of json, feishu, dingtalk, wecom, slack"),
        (HOOK, "it is not {form, url}"),
    ],
)  # fmt: skip
def test_wrong_webhooks_are_told_without_their_secrets(webhook: Any, wrong: str) -> None:
    ok = {"status": 200, "content": "ok"}
    line = notice.outcome([webhook], [ok], [], "", {}, 10)
    name = "webhook 1 (slack)" if isinstance(webhook, dict) and webhook.get("form") == "slack" else "webhook 1"
    assert line == (f"notifications: NOT told {name}: {wrong}" if wrong else f"notifications: told {name}")
    assert len(notice.requests([webhook], full("x"), NOW)) == (not wrong)


def test_answers_belong_to_the_webhooks_that_were_asked() -> None:
    webhooks = [{"form": "no"}, {"form": "json", "url": "https://a.example/", "label": "a"}, {"form": "json"}]
    webhooks += [{"form": "json", "url": "https://b.example/", "label": "b"}]
    line = notice.outcome(webhooks, [{"status": 500}, {"status": 201}], None, None, {}, 10)
    assert line.startswith("notifications: told b; NOT told webhook 1: ")
    assert "NOT told a: HTTP 500" in line


def test_what_is_no_list_is_said() -> None:
    assert "NOT told notify_webhooks: it cannot be read" in notice.outcome({}, [], [], "", {}, 10)
    assert notice.outcome(None, [], None, None, {}, 10) == "notifications: nobody is to be told"


LATE = "no answer within 10 s"
UNTRUSTED = "its TLS certificate is not trusted"
REFUSED = "it answered HTTP 200 but did not take it"


@pytest.mark.parametrize(
    ("form", "answer", "why"),
    [
        ("feishu", {"status": 200, "content": '{"code": 0, "msg": "success"}'}, ""),
        ("feishu", {"status": 200, "content": '{"StatusCode": 0, "StatusMessage": "success"}'}, ""),
        ("feishu", {"status": 200, "content": '{"code": 9499, "msg": "Bad"}'}, f"{REFUSED}, code 9499, Bad"),
        ("feishu", {"status": 200, "content": '{"code": 19024, "StatusCode": 0}'}, f"{REFUSED}, code 19024"),
        ("feishu", {"status": 200, "content": "{}"}, REFUSED),
        ("feishu", {"status": 400, "content": '{"code": 9499, "msg": "Bad"}'}, "HTTP 400, code 9499, Bad"),
        ("dingtalk", {"status": 200, "content": '{"errcode": 0, "errmsg": "ok"}'}, ""),
        ("dingtalk", {"status": 200, "content": '{"errcode": "0"}'}, REFUSED),
        ("dingtalk", {"status": 200, "content": '{"errcode": false}'}, REFUSED),
        ("wecom", {"status": 200, "content": '{"errcode": 2, "errmsg": "bad\\nurl"}'}, f"{REFUSED}, code 2, bad url"),
        ("wecom", {"status": 200, "content": f'{{"errcode": 1, "errmsg": "no {TOKEN[4:14]}"}}'}, f"{REFUSED}, code 1"),
        ("wecom", {"status": 200, "content": '{"errcode": 1, "errmsg": "it is SEC-8D1BE6F"}'}, f"{REFUSED}, code 1"),
        ("wecom", {"status": 200, "content": "[0]"}, REFUSED),
        ("wecom", {"status": 200}, REFUSED),
        ("slack", {"status": 200, "content": "ok"}, ""),
        ("slack", {"status": 200, "content": "<html>"}, REFUSED),
        ("slack", {"status": 404, "content": "no_service"}, "HTTP 404, no_service"),
        ("json", {"status": 204, "content": ""}, ""),
        ("json", {"status": 500, "content": "<html>"}, "HTTP 500"),
        ("json", {"status": 307, "content": ""}, "HTTP 307, redirects are not followed"),
        ("json", {"status": -1, "msg": "Connection failure: The read operation timed out"}, LATE),
        ("json", {"msg": "The action failed to execute in the expected time frame"}, LATE),
        ("json", {"status": -1, "msg": "[Errno 111] Connection refused"}, "connection refused"),
        ("json", {"status": -1, "msg": "<urlopen error [Errno -2] Name or service not known>"}, "unknown host"),
        ("json", {"status": -1, "msg": "[Errno -3] Temporary failure in name resolution"}, "unknown host"),
        ("json", {"status": -1, "msg": "[SSL: CERTIFICATE_VERIFY_FAILED] failed"}, UNTRUSTED),
        ("json", {"status": -1, "msg": "[SSL: WRONG_VERSION_NUMBER] wrong version number"}, "TLS error"),
        ("json", {"status": -1, "msg": "[Errno 104] Connection reset by peer"}, "the connection broke"),
        ("json", {"status": -1, "msg": "<urlopen error [Errno 101] Network is unreachable>"}, "unreachable"),
        ("json", {"status": -1, "msg": f"what is https://certificate.example/hook/{TOKEN}"}, "the request failed"),
        ("json", {}, "the request failed"),
    ],
)  # fmt: skip
def test_answers_are_judged(form: str, answer: dict[str, Any], why: str) -> None:
    url = f"https://certificate.example/hook/{TOKEN}"
    assert notice.refusal(notice.Receiver("a", form, url, "SEC-8d1be6f20c4a4c55"), answer, 10) == why


def test_a_mail_is_whole_and_ascii() -> None:
    message = full("\u5361\u574f\u4e86")
    letter = notice.mail(
        {**message, "data": {**message["data"], "summary": "one\n\x1b[1mtwo"}}, "root", "fleet@a.example", NOW
    )
    assert letter.isascii()
    assert "\r" not in letter
    read = message_from_string(letter, policy=policy.default)
    assert read.defects == []
    assert dict(read.items())["To"] == "root"
    assert read["Date"].datetime.timestamp() == int(NOW)
    text = read.get_content()
    assert "new: npu-0001 cards: \u5361\u574f\u4e86\n" in text
    assert text.endswith("report: https://fleet.example.com/\n\none\n[1mtwo\n")


@pytest.mark.parametrize(
    "bad", ["a@b.example\nBcc: c@d.example", "a b@c", "a@", "<a@b>", "a,b@c", "-", "\u00e4@b.example"]
)
def test_a_header_cannot_be_added_through_an_address(bad: str) -> None:
    good = "a@b.example"
    if bad != "-":
        assert notice.mail(full("x"), [bad], good, NOW) == ""
        assert notice.mail(full("x"), [good], bad, NOW) == ""
        letter = message_from_string(notice.mail(full("x"), [bad, good], good, NOW), policy=policy.default)
        assert (letter["To"], letter["Bcc"]) == (good, None)
    said = notice.outcome([], [], [good, bad], good, {"rc": 0}, 10)
    wrong = "" if bad == "-" else "; NOT told mail: address 2 of notify_mail_to is not name@host"
    assert said == f"notifications: told mail{wrong}"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"rc": 0, "stderr": "a warning"}, ""),
        ({"rc": 124}, "sendmail took longer than 10 s"),
        ({"rc": 137}, "sendmail took longer than 10 s"),
        ({"rc": 127, "stderr": "timeout: no\nfile\n"}, "sendmail, exit code 127: timeout: no file"),
    ],
)  # fmt: skip
def test_the_mail_is_judged_by_its_program(answer: dict[str, Any], why: str) -> None:
    line = notice.outcome([], [], ["a@b.example"], "a@b.example", answer, 10)
    assert line == (f"notifications: NOT told mail: {why}" if why else "notifications: told mail")
    assert notice.outcome([], [], ["a@b.example"], "", answer, 10).endswith("notify_mail_from is not name@host")


def test_what_a_look_by_hand_saw_first_is_still_told() -> None:
    """A partial report tells nobody; the next whole one does, although its history knows the finding."""
    seen = fleets.finding("npu-0001", fleets.FAULTS[0], "2026-03-01T12:00:00Z")
    fleet = fleets.report([fleets.node("npu-0001", [seen])])
    fleet["trend"][-2].update(clean=0, drifted=1, unchecked=0)
    fleet["changes"] = {"since": "2026-03-01T12:00:00Z", "new": [], "gone": [], "still": 1}
    assert notice.due(fleet, False)
    message = told(fleet)
    assert message["data"]["changes"]["new_count"] == 1
    assert message["data"]["changes"]["still"] == 0
    assert "1 new, 0 gone" in message["headline"]
    fleet["trend"][-2]["made"] = "2026-03-01T13:00:00Z"
    assert not notice.due(fleet, False)
