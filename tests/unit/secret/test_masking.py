# SPDX-License-Identifier: Apache-2.0
"""One masker: no secret is left in any form, what is none stays, and no text takes long."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.masking import HIDDEN, masked, masked_values
from tests import samples
from tests.contract.tree import ROOT
from tests.innocent import INNOCENT
from tests.secrets import FORMS, LONG_FORMS, SECRETS, drawn, planted

# Texts with SECRET in it, and what is left of them: the secret alone goes.
READABLE = [
    ("aws configure set aws_secret_access_key SECRET --profile x", "aws_secret_access_key *** --profile x"),
    ('set password "SECRET" of it', 'set password "***" of it'),
    ("the token is SECRET, it said", "the token is ***"),
    ("python train.py --wandb_key SECRET --model_name_or_path /data/m", "--wandb_key *** --model_name_or_path /data/m"),
    ("curl --proxy http://alice:SECRET@proxy:3128 http://x", "curl --proxy http://alice:***@proxy:3128 http://x"),
    ("git clone https://oauth2:SECRET@git.corp.test/a/b.git -b v1", "https://oauth2:***@git.corp.test/a/b.git -b v1"),
    ("mysql -uu -pSECRET db", "mysql -uu -p*** db"),
    ("curl -H Authorization:Bearer SECRET http://x", "-H Authorization:Bearer *** http://x"),
    ('curl -H "Authorization: Bearer SECRET" http://x', 'curl -H "Authorization: Bearer ***" http://x'),
    ("from http://password: SECRET, through no proxy", "from http://password: ***, through no proxy"),
    ("http://password:\tSECRET", "http://password:\t***"),
    ('http://password:"SECRET"', 'http://password:"***"'),
    ("http://password : SECRET", "http://password : ***"),
    ("mysql://u:SECRET@db/x", "mysql://u:***@db/x"),
    ("export HF_TOKEN=SECRET PYTHONPATH=/data/x:$PYTHONPATH", "export HF_TOKEN=*** PYTHONPATH=/data/x:$PYTHONPATH"),
    ("sshpass -p SECRET ssh root@npu-1", "sshpass -p *** ssh root@npu-1"),
    ("curl -u user:SECRET http://x", "curl -u user:*** http://x"),
    ('{"token": "SECRET", "model": "x"}', '{"token": "***", "model": "x"}'),
    ("https://x/y?access_token=SECRET&b=c", "https://x/y?access_token=***&b=c"),
    ("mount -o username=x,password=SECRET,uid=0 //h/s /m", "username=x,password=***,uid=0 //h/s /m"),
    ("https://open.feishu.cn/open-apis/bot/v2/hook/SECRET", "https://open.feishu.cn/open-apis/bot/v2/hook/***"),
    ("vault login -method=userpass username=x password=SECRET", "-method=userpass username=x password=***"),
    (r"printf '%s\n' SECRET | docker login --password-stdin x", r"printf '%s\n' *** | docker login --password-stdin x"),
    (r'expect "word:"; send "SECRET\r"; expect eof', r'expect "word:"; send "***\r"; expect eof'),
    ("cat <<EOF | passwd alice\nSECRET\nEOF\nnext", "cat <<EOF | passwd alice\n***\nEOF\nnext"),
    ("'['sshpass', '-p', 'SECRET', 'ssh']' returned 1", "'['sshpass', '-p', '***', 'ssh']' returned 1"),
    ('["mysql", "-pSECRET"], "rc": 1', '["mysql", "-p***"], "rc": 1'),
    ("password: |\n  SECRET\nnext: x", "password: |\n  ***\nnext: x"),
    ('{"name": "HF_TOKEN", "value": "SECRET", "x": "y"}', '"HF_TOKEN", "value": "***", "x": "y"}'),
    ("log\nSECRETSECRET\n-----END PRIVATE KEY-----\nmore", "-----END PRIVATE KEY-----\nmore"),
    ("password=SECRET,uid=0,token_type=x", "password=***,uid=0,token_type=x"),
    ("password: 'it''s SECRET' # x", "password: '***' # x"),
    ("bash\0-c\0x --token SECRET\0--max_tokens\x00512\0", "bash\0-c\0x --token ***\0--max_tokens\x00512\0"),
]


@pytest.mark.parametrize(("text", "left"), READABLE)
def test_the_secret_alone_is_masked(text: str, left: str) -> None:
    done = masked(text.replace("SECRET", "Zq7xK9m4rkW2"))
    assert left in done
    assert done.count(HIDDEN) == 1


@settings(max_examples=600, deadline=None)
@given(planted(), planted(), st.sampled_from(["\n", " && ", "; ", "\n\n"]))
def test_no_secret_is_left_and_twice_is_once(one: tuple[str, str], other: tuple[str, str], between: str) -> None:
    text = one[0] + between + other[0]
    done = masked(text)
    assert one[1] not in done, done
    assert other[1] not in done, done
    assert masked(done) == done


@pytest.mark.parametrize("form", [*FORMS, *LONG_FORMS])
@pytest.mark.parametrize("secret", SECRETS)
def test_every_form_with_every_secret(form: str, secret: str) -> None:
    done = masked(form.replace("PLANT", secret))
    assert secret not in done
    assert masked(done) == done


@pytest.mark.parametrize("newline", ["\n", "\\n"])
def test_a_private_key_is_masked_whose_beginning_is_lost(newline: str) -> None:
    lines = [drawn(seed, 64) for seed in range(5)]
    done = masked(newline.join(["a log's line", *lines, "-----END RSA PRIVATE KEY-----", "more"]))
    assert not [line for line in lines if line[-20:] in done]
    assert done == f"a log's line{newline}***-----END RSA PRIVATE KEY-----{newline}more"


def test_structures_are_masked_by_their_keys_too() -> None:
    value = {
        "hub_token": "Zq7xK9",
        "args": ["x", "a --sk Zq7xK9"],
        "command": ["curl", "-u", "x:Zq7xK9", "--sk", "Zq7xK9", "-v"],
        "env": [{"name": "HF_TOKEN", "value": "Zq7xK9"}, {"name": "HOME", "value": "/root"}],
        "max_tokens": "512",
        "n": 3,
        "b": {"password": "1"},
    }
    assert masked_values(value) == {
        "hub_token": "***",
        "args": ["x", "a --sk ***"],
        "command": ["curl", "-u", "x:***", "--sk", "***", "-v"],
        "env": [{"name": "HF_TOKEN", "value": "***"}, {"name": "HOME", "value": "/root"}],
        "max_tokens": "512",
        "n": 3,
        "b": {"password": "***"},
    }


@pytest.mark.parametrize("text", INNOCENT)
def test_what_is_no_secret_stays(text: str) -> None:
    assert masked(text) == text


def test_the_corpus_stays() -> None:
    for kind in ("errors", "hccn", "npu-smi-info", "npu-smi-sub", "torch-npu", "version-files"):
        for path in samples.kind(kind):
            text = path.read_text(errors="surrogateescape")
            assert masked(text) == text, path.name


def test_the_projects_own_words_stay() -> None:
    """What documents show operators, and what the symptoms' remedies say."""
    for path in [*Path(ROOT, "docs").glob("*.md"), ROOT / "module_utils/ascend/npu/symptom_table.py"]:
        if path.name == "notify.md":
            continue  # shows secrets
        for line in path.read_text().splitlines():
            assert masked(line) == line, path.name


_PIECES = r"""
://a:b@ | token | --token_ | password= | "token":" | a@ | a:b@c | curl_-u_a: | :// | token=" |
Bearer_ | $6$ | mysql_-p | \" | token:' | a. | a- | token\ | ://h/hook/ | login_-p | {token: | sk- | eyJ. | hf_ | /a | {
password:_a_b_ | sqlplus_a/ | token=a"b | token=[ | , | ' | " | openssl_ | docker_login_ | identified_by_' | ( | _ | \
user_a_password_ | htpasswd_-b_ | auth= | token=// | <token> | token=<token> | _token_ | - | @ | : | =
a | a=b, | password="\ | echo_a_ | curl_" | curl_' | token=' | token='"' | key= | &key= | ?sig=a | -p_ | ;_ | <<< | ***
"""
PIECES = [piece.strip().replace("_", " ") for piece in _PIECES.replace("\n", " | ").split(" | ") if piece.strip()]
PIECES += [
    "\0--token\0",
    "\0",
    "hf_",
    "echo a|",
    "--api_key ",
    "--token_path ",
    "a\0b:",
    "-----BEGIN PRIVATE KEY-----\n",
    "x\n-----END PRIVATE KEY-----\n",
    "AAAA\n",
    'name="a" value=',
    '"name": "token", "value": "',
    "passwd <<A\n",
    "<<A passwd\n",
    'send "a\\r" ',
    '["--password", "',
    "'-a', '",
    "password: |\n  a\n",
    "  password: |\n  ",
    "password \\\n",
    "token=a=b,",
    "x=1,password=",
    "(echo a",
    "}|su ",
    "<a:token x ",
    "Authorization: a=b,",
    "%3A%2F%2Fa%3A",
    "password=''",
    "login(a, ",
]


@pytest.mark.parametrize("piece", PIECES)
def test_no_text_takes_long(piece: str) -> None:
    """Of 100 KB a second or two; what is not linear takes minutes."""
    text = piece * (100_000 // len(piece))
    began = time.process_time()
    masked(text)
    assert time.process_time() - began < 6


_LONG_LINES = {
    "base64": "Zq7xK9m4rkW2" * 83_000,
    "words": "token key=7 user=a -p x http://a:80/b?c=d@e " * 23_000,
    "json": '{"name": "x", "value": "/a/b", "n": 3}, ' * 25_000,
    "nothing": " " * 1_000_000,
}


@pytest.mark.parametrize("kind", _LONG_LINES)
def test_a_line_of_a_megabyte_takes_seconds(kind: str) -> None:
    began = time.process_time()
    masked(_LONG_LINES[kind])
    assert time.process_time() - began < 10


def test_the_facts_of_a_node_take_milliseconds() -> None:
    """16 KB without a secret, as a converged node's facts have."""
    facts = {"npu": {"devices": [{"name": "910B3", "bus_id": f"0000:{n:02X}:00.0", "users": []} for n in range(200)]}}
    masked_values(facts)
    began = time.process_time()
    masked_values(facts)
    assert time.process_time() - began < 0.05


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="token=:pasword \"'\\\0\n@/-{},;&?SECRET19$<>|\u5bc6\u7801", max_size=120))
def test_any_text_is_taken_and_twice_is_once(text: str) -> None:
    done = masked(text)
    assert masked(done) == done
    assert re.sub(r"\*+", "", done) == "" or set(done) <= set(text) | {"*"}
