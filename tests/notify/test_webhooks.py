# SPDX-License-Identifier: Apache-2.0
"""What each service is sent, within its limits, and how its answer is read."""

from __future__ import annotations

import base64
import json
import subprocess
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.notice import webhooks
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.notice.outcome import outcome_line
from tests.notify.messages import HOOK, NOW, TOKEN, full, mention

UNKNOWN_KEY = "it has a key other than form, url, secret, label"


SERVICES = ("feishu", "dingtalk", "wecom", "slack")


def test_json_holds_fifty_and_counts_all() -> None:
    data = webhooks.body_for("json", full("broken"))
    assert sorted(data) == ["changes", "counts", "history", "made", "report_url", "schema", "source", "summary", "test"]
    changes = data["changes"]
    assert (len(changes["new"]), changes["new_count"], len(changes["gone"]), changes["gone_count"]) == (50, 60, 50, 60)
    assert changes["new"][0] == mention("broken")


@pytest.mark.parametrize("form", SERVICES)
@pytest.mark.parametrize("problem", ["x" * 500, "\u5361" * 500, "\U0001f525" * 500, "<&>" * 200, '"\\' * 300])
def test_bodies_are_within_the_limits_in_bytes(form: str, problem: str) -> None:
    body = webhooks.body_for(form, full(problem))
    whole = json.dumps(body, ensure_ascii=True)
    assert len(whole) < {"feishu": 20_000, "dingtalk": 20_000, "wecom": 10_000, "slack": 40_000}[form]
    if form == "wecom":
        assert len(body["text"]["content"].encode()) <= 2048
    shown = json.loads(whole)
    assert "ascend-fleet" in str(shown)
    assert "https://fleet.example.com/" in str(shown)


def test_what_has_no_room_is_counted() -> None:
    text = webhooks.body_for("wecom", full("\u5361" * 500))["text"]["content"].splitlines()
    news = [line for line in text if line.startswith("new: ")]
    assert 1 < len(news) < 10
    assert news[-1] == f"new: {60 - len(news) + 1} more in the report"
    assert webhooks.body_for("dingtalk", full("short"))["text"]["content"].count("new: npu") == 10


def test_the_longest_address_of_reports_leaves_a_headline() -> None:
    message = full("\u5361" * 500, url="https://fleet.example.com/" + "\u5361" * 2000)
    assert webhooks.body_for("wecom", message)["text"]["content"] == message["headline"]


def test_slack_escapes_what_is_markup_there() -> None:
    text = webhooks.body_for("slack", full("<!channel> & <b>"))["text"]
    assert "&lt;!channel&gt; &amp; &lt;b&gt;" in text
    assert "<" not in text
    assert webhooks.body_for("slack", full("x"))["mrkdwn"] is False


def test_nobody_is_mentioned() -> None:
    assert "<@" not in webhooks.body_for("wecom", full("<@all> <@wang>"))["text"]["content"]
    (body,) = webhooks.requests([{"form": "dingtalk", "url": "https://a.example/"}], full("@all"), NOW)
    assert set(body["body"]) == {"msgtype", "text"}


def test_feishu_links_the_reports_where_there_is_an_address() -> None:
    linked = webhooks.body_for("feishu", full("x"))["content"]["post"]["zh_cn"]["content"]
    assert linked[-1] == [
        {"tag": "a", "text": "report: https://fleet.example.com/", "href": "https://fleet.example.com/"}
    ]
    assert {cell["tag"] for row in linked[:-1] for cell in row} == {"text"}
    bare = webhooks.body_for("feishu", full("x", url="see the wiki"))["content"]["post"]["zh_cn"]["content"]
    assert bare[-1] == [{"tag": "text", "text": "report: see the wiki"}]


def openssl(key: str, text: str) -> str:
    """HMAC-SHA256 in base64, computed by another program."""
    argv = ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{key.encode().hex()}", "-binary"]
    return base64.b64encode(subprocess.run(argv, input=text.encode(), capture_output=True, check=True).stdout).decode()


def test_signatures_are_those_of_openssl() -> None:
    assert webhooks.feishu_sign("demo", 1599360473) == openssl("1599360473\ndemo", "")
    assert webhooks.dingtalk_sign("SEC-demo", 1599360473000) == openssl("SEC-demo", "1599360473000\nSEC-demo")


def test_feishu_signs_in_the_body_and_dingtalk_in_the_query() -> None:
    hooks = [
        {"form": "feishu", "url": "https://a.example/hook/1", "secret": "demo"},
        {"form": "dingtalk", "url": "https://a.example/send?access_token=1", "secret": "demo\n"},
        {"form": "dingtalk", "url": "https://a.example/send#top", "secret": "demo"},
        {"form": "feishu", "url": "https://a.example/hook/1"},
    ]
    feishu, dingtalk, bare, unsigned = webhooks.requests(hooks, full("x"), NOW)
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
        ({"form": "slack", "url": HOOK, "secret": TOKEN}, "only feishu and dingtalk take a secret"),
        ({"form": "slack", "url": HOOK, TOKEN: 1}, UNKNOWN_KEY),
        ({"url": HOOK}, "its form is not one of json, feishu, dingtalk, wecom, slack"),
        ({"form": TOKEN, "url": TOKEN}, "its form is not one of json, feishu, dingtalk, wecom, slack"),
        (HOOK, "it is not {form, url}"),
    ],
)  # fmt: skip
def test_wrong_webhooks_are_named_without_their_secrets(webhook: Any, wrong: str) -> None:
    ok = {"status": 200, "content": "ok"}
    line = outcome_line([webhook], [ok], [], "", {}, 10)
    name = "webhook 1 (slack)" if isinstance(webhook, dict) and webhook.get("form") == "slack" else "webhook 1"
    assert line == (f"notifications: NOT sent to {name}: {wrong}" if wrong else f"notifications: sent to {name}")
    assert len(webhooks.requests([webhook], full("x"), NOW)) == (not wrong)


def test_answers_belong_to_the_webhooks_that_were_asked() -> None:
    hooks = [{"form": "no"}, {"form": "json", "url": "https://a.example/", "label": "a"}, {"form": "json"}]
    hooks += [{"form": "json", "url": "https://b.example/", "label": "b"}]
    line = outcome_line(hooks, [{"status": 500}, {"status": 201}], None, None, {}, 10)
    assert line.startswith("notifications: sent to b; NOT sent to webhook 1: ")
    assert "NOT sent to a: HTTP 500" in line


def test_what_is_no_list_is_said() -> None:
    assert "NOT sent to notify_webhooks: it is not a list of {form, url}" in outcome_line({}, [], [], "", {}, 10)
    assert outcome_line(None, [], None, None, {}, 10) == "notifications: nobody to notify"


LATE = "no answer within 10 s"


UNTRUSTED = "its TLS certificate is not trusted"


REFUSED = "it answered HTTP 200 but rejected the message"


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
    assert webhooks.rejection(webhooks.Receiver("a", form, url, "SEC-8d1be6f20c4a4c55"), answer, 10) == why
