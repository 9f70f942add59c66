# SPDX-License-Identifier: Apache-2.0
"""Secrets as they stand in command lines, settings, addresses and messages: PLANT marks the place."""

from __future__ import annotations

import random
import string

from hypothesis import strategies as st

SECRETS = (
    "Zq7xK9m4rkW2",
    "hunter2Geheim",
    "AbCdEfGhIjKlMnOpQrStUvWx",
    "0f3a9b1c7d5e2f4a6b8c0d1e",
    "s3cr3t-W1th_Dash.es",
)

FORMS = [
    "curl --proxy http://alice:PLANT@proxy:3128 https://x/y",
    "curl --proxy alice:PLANT@proxy:3128 https://x/y",
    "git clone https://oauth2:PLANT@git.corp.test/a/b.git",
    "git clone https://PLANT@github.com/a/b.git",
    "pip install --index-url https://__token__:PLANT@index.corp.test/simple x",
    "mysql -uu -pPLANT db",
    "/usr/bin/mysqldump -u u -p'PLANT' db",
    "mysqldump --password=PLANT db",
    "MYSQL_PWD=PLANT mysql db",
    "PGPASSWORD=PLANT psql -h x",
    "python train.py --sk PLANT --model x",
    "python train.py --ak PLANT --model x",
    "python train.py --ak=PLANT",
    "python train.py --wandb_key PLANT --model x",
    "llamafactory-cli train --hf_hub_token PLANT",
    "llamafactory-cli train --ms_hub_token=PLANT",
    "swanlab login -k PLANT",
    "serve --api-key=PLANT --port 80",
    "serve --api_key 'PLANT' --port 80",
    "curl -H Authorization:Bearer PLANT http://x",
    'curl -H "Authorization: Bearer PLANT" http://x',
    "curl -H 'X-Auth-Token: PLANT' http://x",
    'curl -H "X-Api-Key: PLANT"',
    "Authorization: Basic PLANT",
    "Authorization: PLANT",
    '{"Authorization": "Bearer PLANT"}',
    "Cookie: session=PLANT; other=1",
    "curl -b session=PLANT http://x",
    "curl -u user:PLANT http://x",
    "curl -uuser:PLANT http://x",
    "curl --user user:PLANT http://x",
    "curl --proxy-user user:PLANT http://x",
    "curl --oauth2-bearer PLANT http://x",
    "mysql://u:PLANT@db/x",
    "redis://:PLANT@cache:6379/0",
    "postgresql+psycopg2://u:PLANT@db/x",
    "mongodb+srv://u:PLANT@cluster.corp.test/x?retry=true",
    "HF_TOKEN=PLANT",
    "export HF_TOKEN=PLANT PYTHONPATH=/data/x:$PYTHONPATH",
    'declare -x WANDB_API_KEY="PLANT"',
    "SWANLAB_API_KEY='PLANT' python x.py",
    'Environment="MODELSCOPE_API_TOKEN=PLANT"',
    "sshpass -p PLANT ssh root@x",
    "sshpass -pPLANT ssh root@x",
    "x --password PLANT",
    "x --passwd=PLANT",
    "x --pass PLANT",
    "x -password PLANT",
    '{"token": "PLANT", "model": "x"}',
    "{'token': 'PLANT', 'model': 'x'}",
    '{\\"token\\": \\"PLANT\\", \\"model\\": \\"x\\"}',
    "{token: PLANT, model: x}",
    '"auths": {"reg": {"password": "PLANT"}}',
    "AWS_SECRET_ACCESS_KEY=PLANT",
    "aws_secret_access_key = PLANT",
    "AWS_ACCESS_KEY_ID=PLANT",
    "obsutil config -i=PLANT -k=PLANT -e=obs.corp.test",
    "ossutil64 cp a oss://b -i PLANT -k PLANT",
    "OBS_SK=PLANT",
    "https://x/y?access_token=PLANT&b=c",
    "https://x/y?b=c&token=PLANT",
    "https://b.obs.corp.test/y?X-Amz-Signature=PLANT&X-Amz-Expires=60",
    "https://open.feishu.cn/open-apis/bot/v2/hook/PLANT",
    "https://oapi.dingtalk.com/robot/send?access_token=PLANT",
    "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=PLANT",
    "https://hooks.slack.com/services/T0/B0/PLANT",
    "https://discord.com/api/webhooks/12345/PLANT",
    "redis-cli -h x -a PLANT ping",
    "docker login -u x -p PLANT reg",
    "docker login --password PLANT reg",
    "echo PLANT | docker login --password-stdin",
    "echo PLANT | sudo -S ls",
    "echo root:PLANT | chpasswd",
    "ipmitool -H x -U root -P PLANT power status",
    "mount -t cifs -o username=x,password=PLANT,uid=0 //h/s /m",
    "machine x login y password PLANT",
    "wandb login PLANT",
    "password: PLANT",
    "\u5bc6\u7801\uff1aPLANT",
    "<password>PLANT</password>",
    "requirepass PLANT",
    "CREATE USER x IDENTIFIED BY 'PLANT'",
    "Server=x;Uid=u;Pwd=PLANT;Database=d",
    "AccountKey=PLANT;EndpointSuffix=core",
    'os.environ["HF_TOKEN"] = "PLANT"',
    "java -Dspring.datasource.password=PLANT -jar x",
    "//npm.corp.test/:_authToken=PLANT",
    "http.client.InvalidURL: nonnumeric port: 'PLANT@depot:8080'",
    "smbclient //h/s -U user%PLANT",
    "openssl enc -pass pass:PLANT -in x",
    "ldapsearch -x -D cn=x -w PLANT",
    "mongosh -u a -p PLANT h",
    "sqlplus user/PLANT@db",
    "zip -P PLANT x.zip y",
    "7z x -pPLANT a.7z",
    "client_secret=PLANT&grant_type=x",
    "clientSecret: PLANT",
    "--passphrase PLANT",
    "ansible_become_password=PLANT",
    "-e ansible_password='PLANT'",
    "prog\0--password\0PLANT\0--next\0",
    "curl\0-u\0user:PLANT\0http://x\0",
    "bash\0-c\0export HF_TOKEN=PLANT; python x.py\0",
    "-----BEGIN OPENSSH PRIVATE KEY-----\nPLANT\nPLANT\n-----END OPENSSH PRIVATE KEY-----",
    "Authorization: token PLANT",
    "PRIVATE-TOKEN: PLANT",
    "X-Amz-Security-Token: PLANT",
    "DB_PASS=PLANT",
    "root:PLANT@tcp(127.0.0.1:3306)/db",
    "https://www.feishu.cn/flow/api/trigger-webhook/PLANT",
    "--set auth.rootPassword=PLANT",
    "skopeo copy --src-creds u:PLANT docker://x",
    "ERROR: cannot log in with token=PLANT (401)",
]

_LETTERS = string.ascii_letters + string.digits


def drawn(seed: int, length: int = 20) -> str:
    """A secret as services draw them."""
    return "".join(random.Random(seed).choices(_LETTERS, k=length))


def planted() -> st.SearchStrategy[tuple[str, str]]:
    """A text, and the secret that stands in it."""
    secrets = st.one_of(st.sampled_from(SECRETS), st.builds(drawn, st.integers(0, 10**6)))
    forms = st.tuples(st.sampled_from(FORMS), secrets)
    tokens = st.builds(
        lambda seed, start: (start + drawn(seed, 34),) * 2, st.integers(0, 10**6), st.sampled_from(STARTS)
    )
    return st.one_of(forms.map(lambda pair: (pair[0].replace("PLANT", pair[1]), pair[1])), tokens)


# Tokens that are known by their beginning, wherever they stand.
STARTS = ("hf_", "ghp_", "sk-", "sk-proj-", "glpat-", "xoxb-", "npm_", "AIza", "LTAI")
