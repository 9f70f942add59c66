# SPDX-License-Identifier: Apache-2.0
"""One masker: no secret is left in any form, what is none stays, and no text takes long."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from ansible.module_utils.ascend.masking import HIDDEN, masked, masked_values
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import samples
from tests.contract.tree import ROOT
from tests.secrets import FORMS, SECRETS, planted

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
    ("mysql://u:SECRET@db/x", "mysql://u:***@db/x"),
    ("export HF_TOKEN=SECRET PYTHONPATH=/data/x:$PYTHONPATH", "export HF_TOKEN=*** PYTHONPATH=/data/x:$PYTHONPATH"),
    ("sshpass -p SECRET ssh root@npu-1", "sshpass -p *** ssh root@npu-1"),
    ("curl -u user:SECRET http://x", "curl -u user:*** http://x"),
    ('{"token": "SECRET", "model": "x"}', '{"token": "***", "model": "x"}'),
    ("https://x/y?access_token=SECRET&b=c", "https://x/y?access_token=***&b=c"),
    ("mount -o username=x,password=SECRET,uid=0 //h/s /m", "username=x,password=***,uid=0 //h/s /m"),
    ("https://open.feishu.cn/open-apis/bot/v2/hook/SECRET", "https://open.feishu.cn/open-apis/bot/v2/hook/***"),
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


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("secret", SECRETS)
def test_every_form_with_every_secret(form: str, secret: str) -> None:
    done = masked(form.replace("PLANT", secret))
    assert secret not in done
    assert masked(done) == done


def test_structures_are_masked_by_their_keys_too() -> None:
    value = {
        "hub_token": "Zq7xK9",
        "args": ["--sk", "a --sk Zq7xK9"],
        "max_tokens": "512",
        "n": 3,
        "b": {"password": "1"},
    }
    assert masked_values(value) == {
        "hub_token": "***",
        "args": ["--sk", "a --sk ***"],
        "max_tokens": "512",
        "n": 3,
        "b": {"password": "***"},
    }


_INNOCENT = """
--tokenizer_name /data/tokenizer --max_tokens 512 --max_new_tokens=1024 --num_tokens 5 --new_special_tokens <a>,<b>
--eos_token </s> --pad_token_id 0 "eos_token": "<|im_end|>" "bos_token_id": 1 token_type_ids: 0 skip_special_tokens=True
--token_path /etc/x/token --vault-password-file /root/.vault --private-key /root/.ssh/id_ed25519 key_file=/a/b.pem
ansible_ssh_private_key_file=/root/.ssh/id_ed25519 GOOGLE_APPLICATION_CREDENTIALS=/etc/x/key.json
num_key_value_heads=8 past_key_values: None
key_cache key=value sort_key=name primary_key: id host key verification failed
token: 17 --sk 3 --ak 4 sk=12 api_key=0 db_pass: can't be read from there
PWD=/root OLDPWD=/data/x pass: 8 pass_rate=0.95 bypass=true compass: north two-pass encompass
--ask-become-pass --ask-pass -K  # or a NOPASSWD rule; sudo: a password is required; Missing sudo password
sudo without a password, or ansible_become_password
alice@host's password: Permission denied, please try again.
WARNING: Your password has expired. Password change required but no TTY available.
[sudo] password for alice: sudo: 1 incorrect password attempt
--token $HF_TOKEN --password ${PASSWORD} -e token={{ hub_token }}
--token= password: "" HF_TOKEN= token: null password: ***
sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
sha256 6b1f2c0d9e8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2c
docker run -p 8080:80 --user 1000:1000 reg.corp.test:5000/a/b:v1@sha256:0123456789abcdef0123456789abcdef
git@github.com:hiyouga/LLaMA-Factory.git ssh://git@github.com/a/b.git git+https://github.com/a/b@v1.0
pip install torch==2.1.0 tokenizers==0.19.1 secretstorage==3.3.3 passlib==1.7.4 keyring==25.0
passwd:amd64 libsecret-1-0:amd64 (0.20.5-3)
http://192.0.2.1:8080/cann/8.0.RC1/Ascend-cann-toolkit_8.0.RC1_linux-aarch64.run
http://proxy:3128 https://user.corp.test/path@v2 http://host:8080/path@v1 12:30:45@x
0000:C1:00.0 davinci0 card 3, chip 0: 910B3 65536 MB npu:0 HBM-Usage(MB) 3387 / 65536
/usr/local/Ascend/ascend-toolkit/8.0.RC1/aarch64-linux/lib64/libascendcl.so: undefined symbol: aclrtSetDevice
torch.npu.is_available() False; KeyError: 'x'; Unexpected key: model.layers.0.weight; missing key: lm_head
SyntaxError: invalid token; bash: syntax error near unexpected token `newline'
ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJx alice@host; SHA256:abcdefgh key fingerprint
curl -fI --noproxy '*' http://192.0.2.1:8080/x; hccn_tool -i 0 -ip -g; npu-smi info -t board -i 0; zip -r x.zip y
mysql -uroot db; redis-cli -h x ping; sshfs a:b /c; openssl version; mc ls x; useradd -m alice; mkdir -p /opt/ascend
Basic information; basic training of the model; bearer of good news; authentication: none; auth_type=basic
author: the authors; authorized_keys; signal: 9; signature_version=4; session id: 3; sk_buff ak47 disk=3 task=4
https://github.com/a/webhooks/issues; https://www.hiascend.com/document/hook/list
docker login reg.corp.test; wandb login; echo y | installer; yes | x.run --quiet
"""
INNOCENT = _INNOCENT.strip().split("\n")


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
]


@pytest.mark.parametrize("piece", PIECES)
def test_no_text_takes_long(piece: str) -> None:
    """Of 100 KB a second at most; what is not linear takes minutes."""
    text = piece * (100_000 // len(piece))
    began = time.process_time()
    masked(text)
    assert time.process_time() - began < 3


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="token=:pasword \"'\\\0\n@/-{},;&?SECRET19$<>|\u5bc6\u7801", max_size=120))
def test_any_text_is_taken_and_twice_is_once(text: str) -> None:
    done = masked(text)
    assert masked(done) == done
    assert re.sub(r"\*+", "", done) == "" or set(done) <= set(text) | {"*"}
