# SPDX-License-Identifier: Apache-2.0
"""Every fault of CANN on disk, seen as what it is and as nothing else."""

from __future__ import annotations

import shutil

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.cann import (
    layout as cann_layout,
    layouts as cann_layouts,
    packages as cann_packages,
    proof as cann_proof,
    receipts as cann_receipts,
)
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.text import listed
from tests.answers import names, write
from tests.unit.cann.on_disk import (
    ALTERED,
    COMPLETE,
    FOREIGN,
    HALF,
    KERNEL,
    MACHINE,
    NEW,
    NUMBER,
    RECORD,
    ROOT,
    STATE,
    WHOLE,
    Cann,
    Fault,
    V,
    in_turn,
    lead,
    lose,
    put,
    read_toolkit,
    rewrite,
)

ARCH = f"{V}/{MACHINE}-linux"
INFO = f"{ARCH}/ascend_toolkit_install.info"
MANY = dict.fromkeys(cann_layouts.PARTS, V)


def cfg(**changes: str) -> Fault:
    return lambda cann: cann.put_cfg({**MANY, "aoe": V, **changes})


FAULTS: dict[str, tuple[Fault, str, str, list[str]]] = {
    # fault: (what happens, state of the toolkit, one of its problems, names of the findings)
    "info lost": (lose(INFO), HALF, f"missing {MACHINE}-linux/ascend", ["cann-half-installed"]),
    "info empty": (put(INFO, ""), HALF, f"empty {MACHINE}-linux/ascend", ["cann-half-installed"]),
    "info of another version": (
        put(INFO, f"version={NEW}\narch={MACHINE}\n"),
        HALF,
        f"names {NEW}",
        ["cann-version-mismatch"],
    ),
    "info torn": (
        put(INFO, "version=8.0.R"),
        HALF,
        "names 8.0.R",
        ["cann-version-mismatch"],
    ),
    "info without a version": (put(INFO, "\0\0\0\0\n"), HALF, "line 1: bytes that are not text",
                               ["cann-half-installed", "cann-version-mismatch"]),
    "info says another machine": (
        put(INFO, f"version={V}\narch={FOREIGN}\n"),
        HALF,
        f"is for {FOREIGN}, this machine is {MACHINE}",
        ["cann-architecture"],
    ),
    "component lost": (
        lose(f"{V}/hccl"),
        HALF,
        "missing part hccl",
        ["cann-half-installed"],
    ),
    "component's version.info empty": (
        put(f"{V}/opp/version.info", ""),
        HALF,
        "empty opp/version.info",
        ["cann-half-installed"],
    ),
    "component of another version": (
        put(f"{V}/opp/version.info", f"Version={NUMBER[V]}\nversion_dir={NEW}\n"),
        HALF,
        f"opp/version.info names {NEW}",
        ["cann-version-mismatch"],
    ),
    "component of another build": (
        put(f"{V}/opp/version.info", f"Version=7.2.0.1.099\nversion_dir={V}\n"),
        HALF,
        f"gives {NUMBER[V]} for opp, but its version.info gives 7.2.0.1.099",
        ["cann-version-mismatch"],
    ),
    "library lost": (
        lose(f"{ARCH}/lib64/libhccl.so"),
        HALF,
        f"missing {MACHINE}-linux/lib64/libhccl.so",
        ["cann-half-installed"],
    ),
    "library empty": (
        put(f"{ARCH}/lib64/libhccl.so", ""),
        HALF,
        f"empty {MACHINE}-linux/lib64/libhccl.so",
        ["cann-half-installed"],
    ),
    "own set_env.sh lost": (
        lose(f"{ARCH}/script/set_env.sh"),
        HALF,
        f"missing {MACHINE}-linux/script/set_env.sh",
        ["cann-set-env-missing"],
    ),
    "top set_env.sh lost": (lose("set_env.sh"), HALF, "missing ascend-toolkit/set_env.sh", ["cann-set-env-missing"]),
    "top set_env.sh empty": (put("set_env.sh", ""), HALF, "empty ascend-toolkit/set_env.sh", ["cann-set-env-missing"]),
    "arch folder lost": (
        lose(ARCH),
        HALF,
        f"missing {MACHINE}-linux",
        ["cann-half-installed"],
    ),
    "version.cfg lost": (lose("latest/version.cfg"), HALF, "missing ascend-toolkit/latest/version.cfg",
                         ["cann-half-installed"]),
    "version.cfg empty": (put("latest/version.cfg", ""), HALF, "empty ascend-toolkit/latest/version.cfg",
                          ["cann-half-installed"]),
    "version.cfg torn": (
        put("latest/version.cfg", f"runtime_running_version=[{NUMBER[V]}:{V}]\ncompiler_runn"),
        HALF,
        "line 2: not a key=value pair: compiler_runn",
        ["cann-half-installed"],
    ),
    "version.cfg of another version": (
        cfg(**dict.fromkeys(MANY, NEW)), HALF, f"gives CANN {NEW} for hccl", ["cann-version-mismatch"],
    ),
    "version.cfg mixed": (cfg(opp=NEW), HALF, f"gives CANN {NEW} for opp", ["cann-version-mismatch"]),
    "latest lost": (lose("latest"), HALF, "missing ascend-toolkit/latest", ["cann-latest-absent"]),
    "latest/opp lost": (lose("latest/opp"), HALF, "missing ascend-toolkit/latest/opp", ["cann-half-installed"]),
    "latest a link": (lead("latest", V), WHOLE, "", []),
    "latest a link to nothing": (
        lead("latest", NEW),
        HALF,
        f"points to no installed version ({NEW}: latest)",
        ["cann-latest-dangling"],
    ),
    "latest's version is gone": (
        in_turn(lambda cann: cann.put_toolkit(NEW), lose(NEW)),
        HALF,
        "points to no installed version (8.1.RC1: ",
        ["cann-latest-dangling"],
    ),
    "latest/aoe points to nothing": (lead("latest/aoe", f"../{V}/none"), WHOLE, "", ["cann-latest-dangling"]),
    "latest/aoe of another version": (lead("latest/aoe", f"../{NEW}/aoe"), WHOLE, "", ["cann-latest-mixed"]),
    "latest/opp of another version": (
        lead("latest/opp", f"../{NEW}/opp"),
        HALF,
        "ascend-toolkit/latest is mixed: ",
        ["cann-latest-mixed"],
    ),
    "file lost": (lose(f"{V}/aoe/content/part.bin"), ALTERED, "missing aoe/content/part.bin", ["cann-altered"]),
    "file shortened": (put(f"{V}/aoe/content/part.bin", "x"), ALTERED, "has 1 bytes, not", ["cann-altered"]),
    "small file that decides": (
        lambda cann: rewrite(cann.home() / "aoe/version.info"),
        ALTERED,
        "aoe/version.info has different content",
        ["cann-altered"],
    ),
    "link leads elsewhere": (
        lead(f"{V}/lib64", "elsewhere"),
        ALTERED,
        f"lib64 points to elsewhere, not {MACHINE}-linux/lib64",
        ["cann-altered"],
    ),
    "record of another root": (
        put("../../../../etc/Ascend/ascend_cann_install.info", "Toolkit_InstallPath=/usr/local\n"),
        WHOLE,
        "",
        ["cann-record-stale"],
    ),
    "record of a lost root": (
        lambda cann: write(cann.root, RECORD, "Toolkit_InstallPath=/data/Ascend\n"),
        WHOLE,
        "",
        ["cann-record-stale"],
    ),
    "record empty": (lambda cann: write(cann.root, RECORD, ""), WHOLE, "", ["cann-record-stale"]),
    "record of another product": (
        lambda cann: write(cann.root, RECORD, "Nnae_InstallPath=/opt\n"), WHOLE, "", [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_a_fault_is_seen_as_what_it_is(cann: Cann, name: str) -> None:
    fault, state, words, expected = FAULTS[name]
    fault(cann)
    facts, findings = cann.read()
    toolkit = facts["versions"][V]["toolkit"]
    assert (toolkit["state"], names(findings)) == (state, expected), (toolkit, findings)
    assert any(words in problem for problem in toolkit["problems"]) or not words, toolkit["problems"]
    assert toolkit["problem_count"] >= len(toolkit["problems"])
    real = read_toolkit(str(cann.root / ROOT.strip("/")), str(cann.root / STATE.strip("/")), V)
    # One way to read: what the module cann_package sees is what the facts say.
    assert real["state"] == state or "latest" in name


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_without_a_manifest_the_files_are_held_to_each_other(cann: Cann, name: str) -> None:
    fault, state, _words, expected = FAULTS[name]
    shutil.rmtree(cann.root / STATE.strip("/"))
    fault(cann)
    facts, findings = cann.read()
    assert facts["versions"][V]["toolkit"]["state"] == (WHOLE if state == ALTERED else state)
    assert names(findings) == [found for found in expected if found != "cann-altered"]


LATEST = "ascend-toolkit/latest"
CFG = f"{LATEST}/version.cfg"
# A fault, and by which texts a receipt of an earlier version knows it.
EARLIER: dict[str, tuple[Fault, list[str]]] = {
    "link lost": (lose("latest/opp"), [f"missing {LATEST}/opp"]),
    "link to nothing": (lead("latest/opp", f"../{V}/none"), [f"{LATEST}/opp leads to nothing"]),
    "no version": (lead("latest", NEW), [f"{LATEST} leads to no version that is there ({NEW}: latest)"]),
    "mixed": (
        lead("latest/opp", f"../{NEW}/opp"),
        [f"{LATEST} is mixed: {listed(sorted(set(MANY) - {'opp'}))} to {V}; opp to {NEW}"],
    ),
    "version.cfg torn": (
        put("latest/version.cfg", f"runtime_running_version=[{NUMBER[V]}:{V}]\ncompiler_runn"),
        [
            f"{CFG}: line 2: no key=value: compiler_runn",
            *(f"{CFG} has no running version of {part}" for part in cann_layouts.PARTS if part != "runtime"),
        ],
    ),
}


@pytest.mark.parametrize("name", EARLIER)
def test_a_receipt_knows_another_layout_whatever_the_words_are(cann: Cann, name: str) -> None:
    """Also one that has the words of an earlier version: its CANN is not installed again after an upgrade."""
    fault, texts = EARLIER[name]
    fault(cann)
    state = str(cann.root / STATE.strip("/"))
    tree = cann_layout.Tree(str(cann.root / ROOT.strip("/")), state, str(cann.root))
    differs = cann_proof.differing(tree, V, cann_packages.toolkit_problems(tree, V, deep=False) or [])
    states = []
    for known in (texts, differs, texts[1:]):
        cann_receipts.write(state, V, "toolkit", cann_receipts.Receipt(tuple(known)))
        states.append(cann.read()[0]["versions"][V]["toolkit"]["state"])
    assert states == ["unproven", "unproven", HALF]
    assert not set(differs) & set(texts)


KERNEL_FAULTS: dict[str, tuple[Fault, str, list[str]]] = {
    "index lost": (
        lose(f"{V}/{KERNEL}/config/ascend910b/binary_info_config.json"), HALF, ["cann-half-installed"],
    ),
    "index empty": (
        put(f"{V}/{KERNEL}/config/ascend910b/binary_info_config.json", ""),
        HALF,
        ["cann-half-installed"],
    ),
    "binaries lost": (lose(f"{V}/{KERNEL}/ascend910b"), HALF, ["cann-half-installed"]),
    "a binary lost": (
        in_turn(
            put(f"{V}/{KERNEL}/ascend910b/mul.o", "b"),
            lambda cann: cann.remember(),
            lose(f"{V}/{KERNEL}/ascend910b/mul.o"),
        ),
        ALTERED,
        ["cann-altered"],
    ),
    "component lost": (
        lose(f"{V}/opp_kernel"), HALF, ["cann-half-installed"],
    ),
    "of another version": (
        put(f"{V}/opp_kernel/version.info", f"Version={NUMBER[NEW]}\nversion_dir={NEW}\n"),
        HALF,
        ["cann-kernels-version"],
    ),
    "version.cfg says another version": (cfg(opp_kernel=NEW), HALF, ["cann-kernels-version"]),
    "link to those of another version": (
        lead("latest/opp_kernel", f"../{NEW}/opp_kernel"),
        HALF,
        ["cann-kernels-version", "cann-latest-dangling"],
    ),
    "none but config": (
        lose(f"{V}/{KERNEL}/config/ascend910b"), HALF, ["cann-half-installed"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(KERNEL_FAULTS))
def test_a_fault_of_the_kernels_is_not_the_toolkits(cann: Cann, name: str) -> None:
    fault, state, expected = KERNEL_FAULTS[name]
    fault(cann)
    facts, findings = cann.read()
    version = facts["versions"][V]
    assert version["toolkit"] == COMPLETE
    assert (version["kernels"]["910b"]["state"], names(findings)) == (state, expected), version
