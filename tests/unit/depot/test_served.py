# SPDX-License-Identifier: Apache-2.0
"""A filled depot, served by real web servers that list no folder: a node fetches from it and builds an environment.

The uv is the one that travels in the depot, and what the node is told is what the control node resolves.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import fetched, incoming
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.command import run
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.depot_file import DepotFile, take
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.environment import build as environment
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.incoming import Incoming
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot import wheels as depot_wheels
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.index import Index
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.progress import silent
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.sending import needed
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.depot.web import Sources
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.wanted import resolve
from tests import served
from tests.standin import build as standin
from tests.unit.plan.planner_nodes import bare
from tests.unit.plan.test_wanted import settings

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
RELEASE = "8.0.RC1"
PYTHON = str(Path(getattr(sys, "_base_executable", sys.executable)).resolve())


@pytest.fixture(scope="module")
def depot(cache_dir: Path) -> Iterator[Path]:
    """A depot with stand-in wheels and the release's uv, where every account may look."""
    with tempfile.TemporaryDirectory(prefix="ascend-depot-") as place:
        folder = Path(place) / "depot"
        Path(place).chmod(0o755)
        folder.mkdir()
        standin.build(Path(place))
        kept = cache_dir / "uv-of-the-depot"
        kept.mkdir(exist_ok=True)
        for index in (Index(kept), Index(folder)):
            if index.folder == folder:
                shutil.copytree(kept / "uv", folder / "uv")
            depot_wheels.fill_uv(index, "x86_64", ROOT / "roles/depot/files/uv.txt", "3.10", Sources(), silent(), False)
            index.save()
        index = Index(folder)
        lock, incoming = Path(place) / f"lock-{RELEASE}.txt", Path(place) / "incoming"
        depot_wheels.fill(index, RELEASE, "x86_64", lock, "3.10", Sources(incoming), silent(), False)
        index.save()
        yield folder


def told(depot: Path, url: str, cache: Path = Path("/var/cache/x")) -> dict[str, Any]:
    """What the control node tells a node of this depot."""
    locks = {"x86_64": str(depot.parent / f"lock-{RELEASE}.txt")}
    transport = "path" if url.startswith("file:") else "http"
    facts = bare()
    facts["system"]["architecture"] = "x86_64"
    facts["npu"]["devices"] = []
    wanted = resolve(
        facts, settings(depot, depot_transport=transport, depot_url=url, locks=locks, cache_dir=str(cache))
    )
    lacked = [problem["subject"] for problem in wanted["problems"] if problem["check"] == "depot"]
    assert not [subject for subject in lacked if "wheels" in subject or "uv" in subject], lacked
    return wanted


def on_the_node(wanted: dict[str, Any], place: Path) -> environment.Wanted:
    there, uv = wanted["environment"], wanted["uv"]
    return environment.Wanted(
        path=str(place / "env" / there["name"]),
        release=RELEASE,
        python=PYTHON,
        cann_home=there["cann_home"],
        lock=Path(there["lock_file"]).read_text(),
        lock_digest=there["lock_digest"],
        wheelhouse=there["wheelhouse"],
        uv=DepotFile(uv["url"], uv["sha256"], uv["size_bytes"]),
        source=None,
        cache_dir=str(place / "cache"),
        timeout_s=120,
    )


def is_built(depot: Path, url: str, place: Path) -> bool:
    wanted = told(depot, url, place / "cache")
    if not url.startswith("file:"):
        fetch(wanted, place / "cache")
    node = on_the_node(wanted, place)
    environment.build(node, run)
    return environment.problems(node) == []


def fetch(wanted: dict[str, Any], cache: Path) -> None:
    """The node fetches what the action asks for."""
    depot = wanted["depot"]
    files = [
        Incoming(file.path, file.sha256, file.size_bytes, quote(os.path.relpath(file.source, depot["folder"])))
        for file in needed(["environment"], wanted)
    ]
    missing = incoming.lacking(files, str(cache))
    incoming.prepare(missing, str(cache), os.geteuid())
    left, problems = fetched.fetch(missing, str(cache), fetched.Server(depot["url"]), os.geteuid(), 60)
    assert (left, problems) == ([], [])


def is_built_by_uv_alone(depot: Path, url: str, place: Path) -> bool:
    wanted = told(depot, url)
    wanted["environment"]["wheelhouse"] = f"{url}/{wanted['environment']['wheels']}/index.html"
    node = on_the_node(wanted, place)
    environment.build(node, run)
    return environment.problems(node) == []


def test_nginx_as_documented_without_listings(depot: Path, tmp_path: Path) -> None:
    with served.nginx(depot, served.documented(), {}) as address:
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"http://{address}/wheels/", timeout=10)
        assert is_built(depot, f"http://{address}", tmp_path)


def test_a_server_that_knows_files_alone(depot: Path, tmp_path: Path) -> None:
    """It gives no page for a folder, and has no type for .html."""
    block = served.documented().replace("root ", "index none; types { } default_type application/octet-stream; root ")
    with served.nginx(depot, block, {}) as address:
        assert is_built(depot, f"http://{address}/", tmp_path)


def test_pythons_own_server(depot: Path, tmp_path: Path) -> None:
    with served.python_server(depot) as address:
        assert is_built(depot, f"http://{address}", tmp_path)


def test_a_mount(depot: Path, tmp_path: Path) -> None:
    assert is_built(depot, depot.as_uri(), tmp_path)


def test_a_depot_of_before_is_said_to_lack_the_page(depot: Path, tmp_path: Path) -> None:
    older = shutil.copytree(depot, tmp_path / "older" / "depot", copy_function=os.link)
    shutil.copy(depot.parent / f"lock-{RELEASE}.txt", older.parent)
    index = json.loads((older / "index.json").read_text())
    index["files"] = {name: entry for name, entry in index["files"].items() if not name.endswith("index.html")}
    (older / "index.json").unlink()
    (older / "index.json").write_text(json.dumps(index))
    with pytest.raises(AssertionError, match="wheels of lock"):
        told(older, "http://192.0.2.1")


IN_A_NODE = """
import json, sys
from pathlib import Path
sys.path[:0] = json.loads(sys.argv[1])
import tests.conftest
from tests.unit.depot import test_served as test
depot, url, place = Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
print(test.is_built(depot, url, place / "fetched"), test.is_built_by_uv_alone(depot, url, place / "alone"))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a process its own /etc/ssl/certs")
def test_https_by_the_certificates_that_the_node_trusts(depot: Path, tmp_path: Path) -> None:
    """As documented: the authority is added by the distribution's own command. urllib and uv both go by that.

    A role that is used alone may give uv an address (roles/torch_npu/README.md).
    """
    with tempfile.TemporaryDirectory(prefix="ascend-tls-") as place:
        Path(place).chmod(0o755)
        authority, certificate, key = served.authority(Path(place), "127.0.0.1")
        replaced = {r"/etc/ssl/depot\.crt": str(certificate), r"/etc/ssl/depot\.key": str(key)}
        with served.nginx(depot, served.documented(secure=True), replaced) as address:
            url = f"https://{address}"
            uv = told(depot, url)["uv"]
            file = DepotFile(uv["url"], uv["sha256"], uv["size_bytes"])
            with pytest.raises(AscendError, match="certificate"):
                take(file, str(tmp_path / "cache"))
            assert "True True" in _trusting(authority, tmp_path, IN_A_NODE, depot, url)


def _trusting(authority: Path, place: Path, code: str, depot: Path, url: str) -> str:
    """Run the code where /etc/ssl/certs has the authority too; return what it prints."""
    certificates, local = place / "certs", place / "local"
    certificates.mkdir()
    local.mkdir()
    shutil.copy(authority, local / "depot.crt")
    update = ["update-ca-certificates", "--etccertsdir", str(certificates), "--localcertsdir", str(local), "--fresh"]
    subprocess.run(update, check=True, capture_output=True)
    bound = 'mount --bind "$0" /etc/ssl/certs && exec "$@"'
    argv = ["unshare", "--mount", "sh", "-c", bound, str(certificates), sys.executable, "-c", code]
    clean = {"PATH": os.environ["PATH"], "HOME": str(place)}
    arguments = [json.dumps([str(ROOT), str(ROOT / "collections")]), str(depot), url, str(place / "node")]
    (place / "node").mkdir()
    done = subprocess.run([*argv, *arguments], capture_output=True, text=True, env=clean, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
