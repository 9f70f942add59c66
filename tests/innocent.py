# SPDX-License-Identifier: Apache-2.0
"""Texts of nodes that hold no secret, though they speak of tokens, keys and passwords."""

from __future__ import annotations

_LINES = r"""
--tokenizer_name /data/tokenizer --max_tokens 512 --max_new_tokens=1024 --num_tokens 5 --new_special_tokens <a>,<b>
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
tokenizers==0.19.1
tokenizers 0.19.1 is wanted, 0.20.3 found
transformers-4.41.2 tokenizers-0.19.1 tiktoken-0.7.0 sentencepiece-0.2.0
tiktoken==0.7.0 --hash=sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
tiktoken: 0.7.0, tiktoken=0.7.0, {"tiktoken": "0.7.0"}
wheels/tokenizers-0.19.1-cp310-cp310-manylinux_2_17_x86_64.manylinux2014_x86_64.whl
"tokenizers": "0.19.1"
{"tokenizers": {"version": "0.19.1"}}
tokenizer_config.json special_tokens_map.json added_tokens.json
Loading tokenizer from /data/models/Qwen2.5-7B-Instruct/tokenizer.json
ValueError: Tokenizer class Qwen2Tokenizer does not exist or is not currently imported.
RuntimeError: The size of tensor a (4096) must match: token index out of range 151936
Token indices sequence length is longer than the specified maximum sequence length (5123 > 4096)
undefined symbol: _ZN3c105ErrorC2ENS_14SourceLocationE
libtorch_npu.so: undefined symbol: _ZN9torch_npu12OpCommand_v2authE
key 'torch_npu' was not found
torch_npu._C._npu_setDevice
ImportError: cannot import name 'PreTrainedTokenizerFast' from 'transformers'
KeyError: 'qwen2_tokenizer'
commit 692543cbf7d2a1e0f9b8c7d6e5f4a3b2c1d0e9f8
HEAD is now at 692543c Give CANN's folder to somebody else
lock_digest: 3f2a1b0c9d8e
8.0.RC1-3f2a1b0c9d8e /opt/ascend/env/8.0.RC1-3f2a1b0c9d8e
/opt/ascend/env/8.0.RC1-3f2a1b0c9d8e/lib/python3.10/site-packages/tokenizers/tokenizers.abi3.so
passlib/handlers/md5_crypt.py passlib-1.7.4
keyrings.alt-5.0.1 keyring-25.2.1 secretstorage-3.3.3 cryptography==42.0.8
key: /opt/ascend/env/current/lib/libkeyutils.so.1
/usr/lib/aarch64-linux-gnu/libsecret-1.so.0 /usr/lib64/security/pam_pwquality.so
E: Package 'passwd' has no installation candidate
apt-get install --yes passwd libpam-pwdb
alice:x:1001:1001:Alice,,,:/home/alice:/bin/bash
alice:!:19000:0:99999:7::: alice:*:19000
/etc/passwd: root:x:0:0 /etc/shadow
HwHiAiUser:x:1000:
user alice is not in group HwHiAiUser
usermod -aG HwHiAiUser alice
sudo usermod --append --groups HwHiAiUser alice
Failed password for root from 192.0.2.1 port 22 ssh2
Accepted publickey for root from 192.0.2.1 port 52622 ssh2: ED25519 SHA256:abcDEF123+xyz
pam_unix(sshd:auth): authentication failure; logname= uid=0
Host key verification failed. ED25519 host key for npu-1 has changed
Offending ECDSA key in /root/.ssh/known_hosts:12
ssh-keygen -R npu-1
ssh-keyscan npu-1 >> ~/.ssh/known_hosts
ssh-copy-id alice@npu-1
Permission denied (publickey,password).
Permission denied (publickey,gssapi-keyex,gssapi-with-mic,password,keyboard-interactive).
debug1: Authentications that can continue: publickey,password
gpg: key 7638D0442B90D010: public key "Debian Archive" imported
GPG key at file:///etc/pki/rpm-gpg/RPM-GPG-KEY-openEuler (0xFB37BC6F) is already installed
gpgkey=http://repo.openeuler.org/openEuler-22.03-LTS/OS/$basearch/RPM-GPG-KEY-openEuler
NO_PUBKEY 7638D0442B90D010
error: key 8.0.RC1 is missing
ssl key-exchange: X25519
torch.distributed: store key: default_pg/0//npu//0
HCCL key: 0x7f3a9b1c7d5e
drv key (7) is invalid; ret=507000
EZ9999: Inner Error! rtStreamSynchronize, key=hcom_broadcast__123_0
EI0006: Getting socket times out. Reason: Remote Rank did not send the data in time. Token: 1
[ERROR] TBE: kernel_meta/te_matmul_1a2b3c4d5e6f7a8b_1.json
soc_version=Ascend910B3 chip key=Ascend910B3
/dev/davinci0 0660 HwHiAiUser:HwHiAiUser
0000:c1:00.0 Processing accelerators: Huawei Technologies Co., Ltd. Device d802 (rev 20)
npu-smi info -t usages -i 0 -c 0
hccn_tool -i 0 -tls -g ; hccn_tool -i 0 -net_health -g
hccn_tool -i 0 -ip -s address 192.0.2.11 netmask 255.255.255.0
tls switch[0](0:disable, 1:enable), tls certificate[pub] exists
python -m torch.distributed.run --rdzv-id job123 --rdzv-endpoint npu-1:29500 t.py
llamafactory-cli train examples/train_lora/llama3_lora_sft.yaml
python src/train.py --model_name_or_path /data/m --template qwen --cutoff_len 2048 --tokenized_path /data/tok
--resize_vocab --add_tokens <a> --split_special_tokens --new_special_tokens_config /x
--ddp_timeout 180000000 --save_only_model --key_frame 3
max_tokens: 4096 tokens_per_second: 123.4 token/s 42.17 tokens: 123456
train_tokens_per_second 1234.567 num_input_tokens_seen=123456789
loss=0.123 key_padding_mask=True attn_mask
q_proj,k_proj,v_proj target_modules=q_proj,v_proj
--lora_target q_proj,v_proj --key query_key_value
"query_key_value", "c_attn"
Missing key(s) in state_dict: "model.embed_tokens.weight"
Error(s) in loading state_dict: size mismatch for embed_tokens.weight: torch.Size([152064, 3584])
model.layers.0.self_attn.k_proj.weight key: model.layers.10.self_attn.k_proj.weight
PYTHONPATH=/data/x:$PYTHONPATH LD_LIBRARY_PATH=/usr/local/Ascend/driver/lib64
ASCEND_RT_VISIBLE_DEVICES=0,1,2,3 HCCL_IF_BASE_PORT=60000 HCCL_WHITELIST_DISABLE=1
SSH_AUTH_SOCK=/tmp/ssh-XXXXabc/agent.1234
XAUTHORITY=/run/user/1000/gdm/Xauthority
DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus
sysctl -w kernel.keys.maxkeys=2000 net.ipv4.tcp_fastopen_key
keys.root_maxkeys = 1000000
export GIT_SSH_COMMAND="ssh -i /root/.ssh/key"
http://depot:8080/wheels/0f3a9b1c7d5e2f4a/tokenizers-0.19.1.whl
http://user@depot:8080/x
https://mirrors.huaweicloud.com/ascend/repos/pypi
https://obs-community.obs.cn-north-1.myhuaweicloud.com/obsutil/current/obsutil_linux_arm64.tar.gz
https://github.com/hiyouga/LLaMA-Factory/archive/refs/tags/v0.8.0.tar.gz
git+https://github.com/hiyouga/LLaMA-Factory@0f3a9b1c7d5e2f4a6b8c0d1e2f3a4b5c6d7e8f90#egg=llamafactory
git+ssh://git@git.corp.test:2222/a/b.git@v1.0
user@npu-1:/data file:///srv/ascend-depot/index.json file://localhost/srv/x
file:///srv/user:group/x
rsync -a alice@npu-1:/data/ /data/
scp root@npu-1:/var/log/x .
mail to alice@example.com; build@ci.corp.test:22
Cookie-cutter; cookies: 3; auth: none; auth required; auth=PLAIN
authentication token manipulation error
passwd: Authentication token manipulation error
passwd: password unchanged
the token has expired; token expired at 2026-03-02T01:30:00Z
HTTP 401: invalid token
401 Client Error: Unauthorized for url: https://huggingface.co/api/whoami-v2
Token is required (`token=True`), but no token found. You need to provide a token or be logged in to Hugging Face
Token is valid (permission: read).
Your token has been saved to /data/hf/token
wandb: ERROR api_key not configured (no-tty). call wandb.login(key=[your_api_key])
wandb: Currently logged in as: alice (corp). Use `wandb login --relogin` to force relogin
api_key must be 40 characters long, yours was 20
unexpected token '}' at line 3; unexpected token: IDENTIFIER
bash: -c: line 1: syntax error near unexpected token `('
jq: error: syntax error, unexpected INVALID_CHARACTER
parse error: Invalid literal at line 1; token recognition error at: '$x'
yaml.scanner.ScannerError: while scanning for the next token found character '\t' that cannot start any token
password required; a password is required; no password was given; needs no password
Enter passphrase for key '/root/.ssh/id_ed25519':
ansible_become_password in the vault, or -K
--vault-id prod@prompt --vault-id @/x/y
become_pass_file: /x
ansible-vault encrypt_string --name ansible_become_password
echo 'net.ipv4.ip_local_reserved_ports=60000-60015' | sudo tee /etc/sysctl.d/60.conf
echo 1 | tee /proc/sys/vm/x
echo done | mail -s x a@example.com
echo hello; docker login reg
echo "deb http://x y" | sudo tee /etc/apt/sources.list
cat <<< hello
grep x <<< "$line"
read -r a b <<< "1 2"
wc -l <<< "some words"
send "an email" to the admin
send to 192.0.2.1 failed
send "hello"
TCP send "SYN" to rank 3
vault login -method=ldap username=alice
vault login
vault status
login alice on tty1
docker login --username x --password-stdin reg
systemd-ask-password
pass: [npu-1] ok; fail: 0 pass: 12
PASS tests/unit/test_x.py::test_y
passes 12 of 12; pass 2 of 3
auth 3 of 4; AUTH failure
secret 3
secret sauce
key a of table b
community edition; community support
data: x; value: 3; code 200; code=137
exit code=137 signal=9
rc=127 code=E50001 errorcode=EI0006
https://x/y?code=200&lang=en
https://www.hiascend.com/document/detail/zh/canncommercial/80RC1/devguide?sub_id=%2Fzh%2FCANN
https://www.hiascend.com/forum/thread-0231173829482910-1-1.html?key=1
Signature: nonexistent, Key ID 0f3a9b1c7d5e2f4a: NOKEY
rpm: Header V4 RSA/SHA256 Signature, key ID b675600b: OK
rsa_key_size 4096 keysize=2048
api_version=v1 token_endpoint=https://x/y
authorized_keys: 600 AuthorizedKeysFile .ssh/authorized_keys
PasswordAuthentication no PermitRootLogin prohibit-password PubkeyAuthentication yes
PASS_MAX_DAYS 99999 PASS_MIN_LEN 8
Defaults requiretty, passwd_tries=3, passwd_timeout=5
alice ALL=(ALL) NOPASSWD: ALL
%wheel ALL=(ALL) NOPASSWD:/usr/bin/npu-smi
secure_path=/sbin:/bin
-p 8080:80 -p /data --user 1000:1000
docker run -u alice:users --name x img:v1
podman run --user alice:users img
curl -u alice https://x
chown alice:users /data ; chown -R HwHiAiUser:HwHiAiUser /x
mysql -P 3306 -u u ; zip -9 x ; 7z x a.7z -o/tmp
tar -xzpf x.tar.gz ; cp -p a b ; mkdir -p /data ; ssh -p 22 h; ps -p 1 ; rsync -p a b
nohup python t.py --port 8000 --served-model-name qwen &
python x.py -a 3 -k 5 -t 7 -p 9
kinit alice; klist; kdestroy
systemctl status sshd; journalctl --unit ascend-drift.service
psk=off; sigterm; sig=9; signature of function
ERR key pair mismatch: certificate and private key do not match
tls.key /etc/ssl/private/x.key ssl_key: /etc/x.key
server.crt.pem token.txt password.txt
token_type: bearer
Bearer token is missing
bearer authentication is required
basic auth is disabled
digest: sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
Digest sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
etag: "0f3a9b1c7d5e2f4a6b8c0d1e"
uuid: 0f3a9b1c-7d5e-2f4a-6b8c-0d1e2f3a4b5c machine-id 0f3a9b1c7d5e2f4a6b8c0d1e2f3a4b5c
boot_id=0f3a9b1c7d5e2f4a6b8c0d1e2f3a4b5c
WWN 5000c500a1b2c3d4 serial: 2102312NNU10K8000123
VDie ID : 1A2B3C4D 5E6F7A8B 9C0D1E2F
Product Type: Atlas 800T A2; Board ID: 0x33
"tokenizer_class": "Qwen2Tokenizer", "pad_token": "<|endoftext|>", "unk_token": null
"chat_template": "{% for message in messages %}", "additional_special_tokens": ["<|im_start|>", "<|im_end|>"]
"eos_token": {"content": "</s>", "lstrip": false}
stop_token_ids=[151643, 151645]
tokenizer: Qwen2TokenizerFast(name_or_path='/data/m', vocab_size=151643)
AutoTokenizer.from_pretrained("meta-llama/Llama-3-8B", token=True)
Root=1-65f3a9b1-7d5e2f4a6b8c0d1e2f3a4b5c
ValueError: Unrecognized configuration class; key: "deepseek_v3"
passing 3 arguments; passthrough=1; bypass: on; surpass
pip install 'accelerate>=0.30.1,<=0.30.1' 'tokenizers>=0.19,<0.20'
tokenizers>=0.19,<0.20 is required for a normal functioning of this module, but found tokenizers==0.20.3
llamafactory 0.8.0 has requirement tokenizers<0.20,>=0.19, but you have tokenizers 0.20.3.
tokenizers (0.19.1)
'tokenizers': '0.19.1', 'secretstorage': '3.3.3'
modified: /usr/local/Ascend/ascend-toolkit/8.0.RC1/python/site-packages/te/platform/cce_token.py
keyctl show; request-key.conf; /proc/keys
NetworkManager connection.auth-retries=-1 802-11-wireless-security.key-mgmt:wpa-psk
Secret management: none
credential helper: store; credential.helper=cache
git config credential.helper store
fatal: could not read Username for 'https://github.com': terminal prompts disabled
fatal: Authentication failed for 'https://git.corp.test/a/b.git/'
remote: Invalid username or password.
remote: HTTP Basic: Access denied. The provided password or token is incorrect
error: RPC failed; curl 56 GnuTLS recv error (-54): Error in the pull function. token
docker: Error response from daemon: Get "https://reg.corp.test/v2/": unauthorized: authentication required
ImagePullBackOff: no basic auth credentials
curl: (22) The requested URL returned error: 407 Proxy Authentication Required
Proxy-Authenticate: Basic realm="corp"
WWW-Authenticate: Bearer realm="https://auth.docker.io/token",service="registry.docker.io"
npu-1 | UNREACHABLE! => Invalid/incorrect password: Permission denied, please try again.
ansible_user=alice ansible_become_method=sudo ansible_ssh_common_args='-o ProxyJump=jump'
password_lock: true password_expire_min: 3
state: present key: "{{ lookup('file', 'x.pub') }}"
"""
INNOCENT = _LINES.strip().split("\n")
