#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write what each release installs as CycloneDX 1.6 (make sbom), one file per release and architecture.

It uses only release.yml and the locks, so it needs no network, and two runs write the same bytes. A lock accepts each
published file of a distribution by its sha256, so all of them are listed. With --depot only the depot's file is listed,
with its name, and its licence from its own metadata; no licence is guessed.
"""

from __future__ import annotations

import argparse
import email
import functools
import json
import re
import sys
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from packaging.utils import parse_wheel_filename

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "collections"))

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import files  # noqa: E402  (after the path)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.environment import lock as locks  # noqa: E402  (after the path)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import REPORTED, AscendError  # noqa: E402  (after the path)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.release.read import read_release  # noqa: E402  (after the path)

FILES = ROOT / "roles" / "depot" / "files"
PROJECT = "https://github.com/ascend-fleet/ascend-fleet"
_SHA256 = re.compile(r"--hash=sha256:([0-9a-f]{64})")
# What a classifier of a licence is in SPDX, where it is one licence and no family of them.
_CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "ISC License (ISCL)": "ISC",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="sbom", description=__doc__)
    parser.add_argument("--releases-dir", type=Path, default=ROOT / "releases")
    parser.add_argument("--depot", type=Path, help="read names and licences from the wheels of this depot")
    parser.add_argument("--out", type=Path, default=Path("sbom"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        for folder in sorted(path.parent for path in options.releases_dir.glob("*/release.yml")):
            release = read_release(str(folder))
            for architecture, lock in sorted(release["locks"].items()):
                pins = locks.entries((folder / lock).read_text(encoding="utf-8"))
                text = document(release, architecture, pins, options.depot)
                path = options.out / f"{release['release']}-{architecture}.cdx.json"
                path.write_text(text, encoding="utf-8")
                sys.stdout.write(f"{path}: {len(json.loads(text)['components'])} components\n")
    except REPORTED as error:
        sys.exit(f"sbom: {error}")
    return 0


def document(release: dict[str, Any], architecture: str, pins: list[str], depot: Path | None) -> str:
    """Return a release's bill as validated JSON; equal content gives equal text."""
    bom = Bom()
    bom.metadata.component = Component(
        name="ascend-fleet release", version=release["release"], type=ComponentType.PLATFORM,
        bom_ref="release", properties=[Property(name="ascend-fleet:architecture", value=architecture)],
    )  # fmt: skip
    uv, swarm = (locks.entries((FILES / name).read_text(encoding="utf-8")) for name in ("uv.txt", "libtorrent.txt"))
    wheels = _wheels(depot, architecture) if depot else {}
    for component in (*_files(release, architecture), *(_wheel(pin, wheels) for pin in [*pins, *uv, *swarm])):
        bom.components.add(component)
    for component in bom.components:
        bom.register_dependency(bom.metadata.component, [component])
    written = json.loads(JsonV1Dot6(bom).output_as_string())
    # Neither the hour nor chance is a part of it: the number comes from the content.
    written["metadata"].pop("timestamp", None)
    written.pop("serialNumber", None)
    content = json.dumps(written, sort_keys=True)
    written["serialNumber"] = uuid.uuid5(uuid.NAMESPACE_URL, f"{PROJECT}#{content}").urn
    text = json.dumps(written, indent=1, sort_keys=True) + "\n"
    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if problem:
        raise AscendError(
            "the bill of materials is not valid CycloneDX 1.6",
            wanted="valid",
            found=str(problem)[:500],
            remedy="report this: it is a defect in scripts/sbom.py",
        )
    return text


def _files(release: dict[str, Any], architecture: str) -> Iterator[Component]:
    """Yield CANN's packages, as Huawei publishes them, and the CPython archive."""
    packages = {"toolkit": release["packages"]["toolkit"]}
    packages |= {f"kernels-{chip}": each for chip, each in release["packages"]["kernels"].items()}
    for kind, package in ((kind, each[architecture]) for kind, each in packages.items()):
        yield _file(
            f"cann-{kind}", release["cann"]["version"], package.get("url"), package.get("zip_sha256"), package["file"]
        )
    python = release["python"]
    archive = python.get("archives", {}).get(architecture)
    if archive:
        name = unquote(urlsplit(archive["url"]).path).rpartition("/")[2]
        yield _file("cpython", python.get("depot", python["series"]), archive["url"], archive["sha256"], name)


def _file(name: str, version: str, url: str | None, sha256: str | None, file: str) -> Component:
    qualifiers = {**({"download_url": url} if url else {}), **({"checksum": f"sha256:{sha256}"} if sha256 else {})}
    return Component(
        name=name, version=version, type=ComponentType.APPLICATION, bom_ref=f"{name}@{version}",
        purl=PackageURL("generic", None, name, version, qualifiers),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256)] if sha256 else [],
        external_references=[ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(url))] if url else [],
        properties=[Property(name="ascend-fleet:file", value=file)],
    )  # fmt: skip


def _wheel(pin: str, wheels: dict[str, tuple[str, str | None]]) -> Component:
    """Return a distribution of a lock, with the accepted file that the depot has."""
    ((name, version),) = locks.parse(pin).items()
    accepted = sorted(_SHA256.findall(pin))
    had = [sha256 for sha256 in accepted if sha256 in wheels]
    licence = next((wheels[sha256][1] for sha256 in had if wheels[sha256][1]), None)
    return Component(
        name=name, version=version, type=ComponentType.LIBRARY, bom_ref=f"{name}=={version}",
        purl=PackageURL("pypi", None, name, version),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256) for sha256 in had or accepted],
        licenses=[LicenseFactory().make_from_string(licence)] if licence else [],
        properties=[Property(name="ascend-fleet:file", value=wheels[sha256][0]) for sha256 in had],
    )  # fmt: skip


@functools.lru_cache(maxsize=2)
def _wheels(depot: Path, architecture: str) -> dict[str, tuple[str, str | None]]:
    """Return sha256 -> (file name, licence) of the depot's wheels for an architecture. Each is read."""
    if not depot.is_dir():
        raise AscendError(
            "the depot does not exist", wanted="a folder", found="none", where=str(depot), remedy="make sbom DEPOT=..."
        )
    found = {}
    for path in sorted(depot.rglob("*.whl")):
        platforms = {tag.platform for tag in parse_wheel_filename(path.name)[3]}
        if any(platform == "any" or platform.endswith(architecture) for platform in platforms):
            found[files.sha256(str(path))] = (path.name, _licence(path))
    return found


def _licence(wheel: Path) -> str | None:
    """Return the licence as a wheel's metadata says it: (an expression, one classifier, or a short line), else None."""
    with zipfile.ZipFile(wheel) as archive:
        name = next((name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)), None)
        metadata = email.message_from_bytes(archive.read(name)) if name else email.message_from_string("")
    if metadata["License-Expression"]:
        return str(metadata["License-Expression"])
    classifiers = {
        line.rpartition(" :: ")[2] for line in metadata.get_all("Classifier", []) if line.startswith("License ::")
    }
    if len(classifiers) == 1 and (only := classifiers.pop()) in _CLASSIFIERS:
        return _CLASSIFIERS[only]
    words = str(metadata["License"] or "").strip()
    return words if words and "\n" not in words and len(words) <= 100 and words.upper() != "UNKNOWN" else None


if __name__ == "__main__":
    sys.exit(main())
