# SPDX-License-Identifier: Apache-2.0
"""A depot behind real web servers: nginx with the block of docs/operations.md, as an account that is not root."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
ANSWER_S = 10
# What Debian's nginx.conf has around a server; listings are off, as they are unless somebody turns them on.
CONF = """\
daemon off;
worker_processes 1;
pid {folder}/pid;
events {{}}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  autoindex off;
{block}
}}
"""


def documented(secure: bool = False) -> str:
    """The server block of docs/operations.md, as it stands there: the one over http, or the one over https."""
    blocks: list[str] = re.findall(
        r"^```nginx\n(.*?)^```", (ROOT / "docs/operations.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    (block,) = (block for block in blocks if ("ssl" in block) == secure)
    return block


def free_port(address: str = "127.0.0.1") -> int:
    with socket.socket() as found:
        found.bind((address, 0))
        return int(found.getsockname()[1])


@contextmanager
def nginx(depot: Path, block: str, replaced: dict[str, str], address: str = "127.0.0.1") -> Iterator[str]:
    """Serve ``depot`` with the block, in which only the words of ``replaced`` and its places are others.

    Yields host and port. The account that serves it is not root, so the files' rights count.
    """
    port = free_port(address)
    places = {"/srv/ascend-depot": str(depot), r"192\.0\.2\.1:\d+": f"{address}:{port}", **replaced}
    for words, other in places.items():
        block, times = re.subn(words, other, block)
        assert times == 1, f"{words} in {block}"
    with tempfile.TemporaryDirectory(prefix="ascend-nginx-") as place:
        folder = Path(place)
        folder.chmod(0o777)
        (folder / "nginx.conf").write_text(CONF.format(folder=folder, block=block), encoding="utf-8")
        program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
        assert program, "scripts/system-packages installs nginx"
        argv = [*NOBODY, program, "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]
        with _running(argv, address, port, folder / "error.log"):
            yield f"{address}:{port}"


@contextmanager
def python_server(depot: Path) -> Iterator[str]:
    """Serve ``depot`` with Python's own web server; yields host and port."""
    port = free_port()
    with tempfile.NamedTemporaryFile(prefix="ascend-http-") as log:
        argv = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(depot), str(port)]
        with _running(argv, "127.0.0.1", port, Path(log.name)):
            yield f"127.0.0.1:{port}"


@contextmanager
def _running(argv: list[str], address: str, port: int, log: Path) -> Iterator[None]:
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + ANSWER_S
        while True:
            try:
                socket.create_connection((address, port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, log.read_text() if log.is_file() else f"{argv} ended"
                assert time.monotonic() < until, f"{argv} does not answer"
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()


def authority(folder: Path, address: str) -> tuple[Path, Path, Path]:
    """Make an authority of one's own, and a server's certificate of it; return (authority, certificate, key)."""

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=folder)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=Example depot authority",
            "-addext", "keyUsage=critical,keyCertSign", "-keyout", "ca.key", "-out", "ca.crt")  # fmt: skip
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=depot", "-keyout", "depot.key", "-out", "depot.csr")
    (folder / "san").write_text(f"subjectAltName=IP:{address}\n")
    openssl("x509", "-req", "-in", "depot.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "san", "-out", "depot.crt")  # fmt: skip
    for name in ("depot.key", "depot.crt", "ca.crt"):
        (folder / name).chmod(0o644)
    return folder / "ca.crt", folder / "depot.crt", folder / "depot.key"
