#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What filling an empty depot costs beside the download alone, and what a look at a complete one does.

The files are those of the demo's depot (``make demo``), served by nginx on 127.0.0.1: as a package index, as Huawei's
store and as python-build-standalone. The download alone is curl, eight files at once, on the disk at the end.
``--mbit`` limits each of the server's connections, as a real line would; without it both run at the speed of the disk.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from urllib.parse import quote, urlsplit

import yaml
from timing import INVENTORY, ROOT, Timed, in_turn

sys.path.append(str(ROOT))
sys.path.insert(0, str(ROOT / "collections"))

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import files
from tests import served

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ascend-fleet"
ARCHITECTURE = "x86_64"
BLOCK = """server {
    listen 192.0.2.1:8080;
    root /srv/ascend-depot;
}
"""
ROOT_OF = "root /srv/ascend-depot;"
LIMIT = ROOT_OF + " limit_rate {}k;"
STORE = "https://store.example.com/"


def served_wheels(depot: Path, index: dict[str, dict[str, dict[str, dict[str, str]]]], release: str, www: Path) -> None:
    """Make a package index of the wheels that the depot has for the release, and of uv's."""
    entry = index["locks"][release][ARCHITECTURE]
    (www / "files").mkdir()
    wheels = [*sorted((depot / entry["wheels"]).glob("*.whl")), *uv_wheel(www)]
    for wheel in wheels:
        if wheel.parent != www / "files":
            linked(wheel, www / "files" / wheel.name)
        folder = www / "simple" / wheel.name.split("-")[0].replace("_", "-").replace(".", "-").lower()
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "index.html").open("a", encoding="utf-8") as page:
            page.write(f'<a href="/files/{quote(wheel.name)}#sha256={files.sha256(str(wheel))}">{wheel.name}</a>\n')


def linked(source: Path, target: Path) -> None:
    """Have the file where the web server's account reads it, whose folder is another's."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def uv_wheel(www: Path) -> list[Path]:
    """Fetch uv's wheel as the role pins it: the depot keeps the program alone."""
    argv = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--require-hashes",
        "--dest",
        str(www / "files"),
    ]
    subprocess.run([*argv, "-r", str(ROOT / "roles" / "depot" / "files" / "uv.txt")], check=True)
    return [*(www / "files").glob("uv-*.whl")]


def served_release(depot: Path, release: str, www: Path, folder: Path) -> None:
    """Write the releases, the one that is filled with the addresses and sums of what is served."""
    described = yaml.safe_load((ROOT / "releases" / release / "release.yml").read_text(encoding="utf-8"))
    version, python = described["cann"]["version"], described["python"]
    for package in (described["packages"]["toolkit"], *described["packages"]["kernels"].values()):
        bundle = www / Path(urlsplit(package[ARCHITECTURE]["url"]).path).name
        if not bundle.is_file():
            with zipfile.ZipFile(bundle, "w") as archive:
                archive.write(depot / "cann" / version / package[ARCHITECTURE]["file"], package[ARCHITECTURE]["file"])
        package[ARCHITECTURE] |= {
            "url": f"{STORE}{bundle.name}",
            "zip_sha256": files.sha256(str(bundle)),
        }
    index = json.loads((depot / "index.json").read_text(encoding="utf-8"))
    made = index["pythons"][ARCHITECTURE][python["series"]]
    python_archive = www / "python.tar.gz"
    linked(depot / made["file"], python_archive)
    python["depot"] = made["version"]
    python["archives"] = {ARCHITECTURE: {"url": f"{STORE}python.tar.gz", "sha256": files.sha256(str(python_archive))}}
    shutil.copytree(ROOT / "releases", folder)
    (folder / release / "release.yml").write_text(yaml.safe_dump(described), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--depot", type=Path, default=CACHE / "depot", help="a filled depot (default: the demo's)")
    parser.add_argument("--release", default="8.0.RC1")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mbit", type=int, default=0, help="what each connection of the server gives, in Mbit/s")
    parser.add_argument("--place", type=Path, help="where the depots are filled (default: /var/tmp)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ascend-bench-", dir=arguments.place or "/var/tmp") as place:
        measured(arguments, Path(place))


def measured(arguments: argparse.Namespace, place: Path) -> None:
    depot, www, target = arguments.depot, place / "www", place / "depot"
    www.mkdir()
    index = json.loads((depot / "index.json").read_text(encoding="utf-8"))
    served_wheels(depot, index, arguments.release, www)
    served_release(depot, arguments.release, www, place / "releases")
    # The depot's own lock: each distribution by the wheel that is there, so that none has to be built.
    own_lock = depot / index["locks"][arguments.release][ARCHITECTURE]["file"]
    served_files = [path for path in www.rglob("*") if path.is_file() and path.name != "index.html"]
    for folder in (place, www):
        folder.chmod(0o755)
    limit = LIMIT.format(arguments.mbit * 125) if arguments.mbit else ROOT_OF
    with served.nginx(www, BLOCK.replace(ROOT_OF, limit), {}) as address:
        variables = {
            "ascend_depot_dir": str(target),
            "ascend_releases_dir": str(place / "releases"),
            "ascend_release": arguments.release,
            "ascend_locks": {ARCHITECTURE: str(own_lock)},
            "depot_incoming": "",
            "depot_extra_index": "",
            "depot_make_python": False,
            "depot_mirrors": {STORE: f"http://{address}/"},
        }
        (place / "variables.json").write_text(json.dumps(variables), encoding="utf-8")
        fill = ("ansible-playbook", "playbooks/depot.yml", *INVENTORY, "-e", f"@{place}/variables.json")
        environment = {"PIP_INDEX_URL": f"http://{address}/simple", "PIP_EXTRA_INDEX_URL": "", "no_proxy": "127.0.0.1"}
        environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": ""}
        (place / "addresses").write_text(
            "".join(f'url = "http://{address}/{quote(str(path.relative_to(www)))}"\n' for path in served_files)
        )
        alone = f"curl --fail --silent --parallel --parallel-max 8 --remote-name-all --config {place}/addresses"
        again = f"rm -rf {shlex.quote(str(target))} && "
        download = Timed(("/bin/sh", "-c", f"{again} mkdir {target} && cd {target} && {alone} && sync --file-system ."))
        full = Timed(("/bin/sh", "-c", f"{again} {sys.executable.removesuffix('python')}{' '.join(fill)}"), environment)
        in_turn(arguments.rounds, download, full)
        look = Timed(fill, environment)
        in_turn(arguments.rounds, look)
    size = sum(path.stat().st_size for path in served_files)
    print("\n".join(line for line in full.output.splitlines() if " in 0:" in line))
    print(
        f"{len(served_files)} files, {size / 1e9:.2f} GB: download alone {download.median:.1f} s, an empty depot "
        f"filled in {full.median:.1f} s: {full.median / download.median:.2f} times (limit 1.2)"
    )
    print(f"the playbook on the complete depot: {look.median:.2f} s")


if __name__ == "__main__":
    main()
