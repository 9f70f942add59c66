# SPDX-License-Identifier: Apache-2.0
"""What goes and what stays, with its reason: a pure function, and its table for the terminal."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.errors import AscendError
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.remove import words
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.remove.chosen import Asked
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.remove.selection import select

ENV, CANN, PYTHON = "/opt/ascend/env/", "/usr/local/Ascend/ascend-toolkit/", "/opt/ascend/python/"
PROCESS = {"pid": 4711, "user": "ml", "name": "python", "command": "python train.py", "how": "mapped"}


PRUNE = Asked()


def environment(release: str, made_s: int, **more: Any) -> dict[str, Any]:
    known = {"release": release, "cann": CANN + release, "python": "3.10.13", "made_s": made_s, "complete": True}
    return {"path": ENV + release, **known, "ours": True, "source": None, "belongings": [], **more}


def cann(version: str, **more: Any) -> dict[str, Any]:
    return {"path": CANN + version, "ours": True, "kernels": [], "belongings": [], **more}


def cached(name: str, *held: str, version: str = "", ours: bool = True) -> dict[str, Any]:
    path = "/var/cache/ascend-fleet/" + name
    return {"name": name, "path": path, "files": list(held), "cann": [version] if version else [], "ours": ours}


def there(**more: Any) -> dict[str, Any]:
    """Four releases, d the newest; b is current, a was before."""
    names = "abcd"
    found: dict[str, Any] = {
        "environments": {name: environment(name, made_s) for made_s, name in enumerate(names)},
        "current": "b",
        "previous": "a",
        "cann": {name: cann(name) for name in names},
        "pythons": {"3.10.13": {"path": PYTHON + "3.10.13", "ours": True, "archive": "f" * 64}},
        "cache": [],
        "leftovers": [],
        "parts": [],
        "services": [],
        "intent": {},
        "mounts": {},
        "processes": {},
    }
    return {**found, **more}


def removed(found: dict[str, Any], asked: Asked = PRUNE, kind: str = "environment") -> list[str]:
    return [row["name"] for row in select(found, asked)["remove"] if row["kind"] == kind]


def kept(found: dict[str, Any], asked: Asked = PRUNE, kind: str = "environment") -> dict[str, str]:
    return {row["name"]: row["reason"] for row in select(found, asked)["keep"] if row["kind"] == kind}


@pytest.mark.parametrize(("keep", "gone"), [(0, ["a", "c", "d"]), (1, ["c", "d"]), (2, ["c"]), (3, []), (9, [])])
def test_pruning_keeps_the_current_one_the_way_back_and_the_newest(keep: int, gone: list[str]) -> None:
    assert removed(there(), Asked(keep=keep)) == gone
    assert removed(there(), Asked(keep=keep), "CANN") == gone
    assert removed(there(), Asked(keep=keep), "Python") == []


def test_reasons() -> None:
    assert kept(there()) == {
        "a": "was current before, and rollback needs it",
        "b": "is current",
        "d": "is among the 2 newest others",
    }
    (row,) = [row for row in select(there(), Asked())["remove"] if row["kind"] == "environment"]
    assert row == {
        "kind": "environment",
        "name": "c",
        "path": ENV + "c",
        "size_mb": 0.0,
        "reason": "not current, not among the 2 kept",
    }
    assert kept(there(), kind="CANN")["d"] == "d needs it"


def test_without_a_current_one_the_newest_stays() -> None:
    assert removed(there(current=None, previous=None), Asked(keep=0)) == ["a", "b", "c"]
    assert kept(there(current=None), Asked(keep=0)) == {"d": "is the newest, and no environment is current"}
    assert removed(there(current="gone", previous=None), Asked(keep=1)) == ["a", "b"]


@pytest.mark.parametrize(
    ("speaks", "says"),
    [
        ({"processes": {ENV + "c": [PROCESS]}}, "pid 4711 of ml: python train.py (mapped)"),
        ({"mounts": {ENV + "c": [ENV + "c/saves"]}}, "a file system is mounted in it (/opt/ascend/env/c/saves)"),
    ],
)
def test_pruning_leaves_what_is_used_and_what_that_needs(speaks: dict[str, Any], says: str) -> None:
    assert removed(there(**speaks)) == []
    assert says in kept(there(**speaks))["c"]
    assert kept(there(**speaks), kind="CANN")["c"] == "c needs it"
    assert select(there(**speaks), Asked())["refusals"] == []


def test_forced_pruning_never_takes_the_current_one() -> None:
    found = there(processes={ENV + "c": [PROCESS], ENV + "b": [PROCESS]})
    assert removed(found, Asked(force=True)) == ["c"]


@pytest.mark.parametrize(
    ("more", "check"),
    [
        ({"current": "c"}, "current"),
        ({"processes": {ENV + "c": [PROCESS]}}, "in-use"),
        ({"processes": {CANN + "c": [PROCESS]}}, "in-use"),
        ({"environments": {"c": environment("c", 1, belongings=["edited"])}}, "users-files"),
        ({"cann": {"c": cann("c", belongings=["opp/vendors"])}}, "users-files"),
    ],
)
@pytest.mark.parametrize("asked", [Asked(release="c"), Asked(everything=True)])
def test_what_is_asked_for_by_name_is_refused_and_forced(more: dict[str, Any], check: str, asked: Asked) -> None:
    found = {**there(current=None), **more}
    refusals = select(found, asked)["refusals"]
    assert [refusal["check"] for refusal in refusals] == [check]
    assert all(refusals[0][part] for part in ("problem", "wanted", "found", "where", "remedy", "subject", "component"))
    forced = select(found, asked._replace(force=True))
    assert forced["refusals"] == []
    assert forced["remove"] == select(found, asked)["remove"]


def test_a_release_takes_all_its_environments_and_what_only_they_need() -> None:
    found = there()
    found["environments"]["c2"] = environment("c", 9, python="3.11.9")
    found["pythons"]["3.11.9"] = {"path": PYTHON + "3.11.9", "ours": True, "archive": "e" * 64}
    asked = Asked(release="c")
    assert removed(found, asked) == ["c", "c2"]
    assert removed(found, asked, "CANN") == ["c"]
    assert removed(found, asked, "Python") == ["3.11.9"]
    assert kept(found, asked)["a"] == "of release a"
    found["environments"]["a"]["cann"] = CANN + "c/"
    assert removed(found, asked, "CANN") == []


def test_a_release_that_is_not_there() -> None:
    assert select(there(), Asked(release="9.9"))["remove"] == []


def test_a_release_leaves_what_it_did_not_bring() -> None:
    """A CANN and a Python that nothing needs belong to pruning."""
    found = there()
    found["cann"]["x"] = cann("x")
    found["pythons"]["3.9.1"] = {"path": PYTHON + "3.9.1", "ours": True, "archive": "e" * 64}
    assert removed(found, Asked(release="c"), "CANN") == ["c"]
    assert removed(found, Asked(release="c"), "Python") == []
    assert removed(found, Asked(), "Python") == ["3.9.1"]
    assert removed(found, Asked(), "CANN") == ["c", "x"]


def test_an_interrupted_removal_is_remembered_for_its_release_alone() -> None:
    found = there(intent={"release": "mine", "cann": [CANN + "x"], "python": ["3.9.1"]})
    found["cann"]["x"] = cann("x")
    found["pythons"]["3.9.1"] = {"path": PYTHON + "3.9.1", "ours": True, "archive": "e" * 64}
    assert removed(found, Asked(release="mine"), "CANN") == ["x"]
    assert removed(found, Asked(release="mine"), "Python") == ["3.9.1"]
    assert removed(found, Asked(release="c"), "CANN") == ["c"]
    for odd in ({"release": "mine", "cann": 7, "python": [7]}, {"release": 7}):
        assert removed({**found, "intent": odd}, Asked(release="mine"), "CANN") == []


@pytest.mark.parametrize("asked", [Asked(keep=0), Asked(release="x"), Asked(everything=True, force=True)])
def test_what_is_not_ours_stays(asked: Asked) -> None:
    found = there()
    found["environments"]["x"] = environment("x", 99, ours=False)
    found["cann"]["y"] = cann("y", ours=False)
    found["pythons"]["z"] = {"path": PYTHON + "z", "ours": False, "archive": "None"}
    found["cache"] = [cached("movies", ours=False)]
    rows = select(found, asked)["remove"]
    assert {"x", "y", "z", "movies"}.isdisjoint(row["name"] for row in rows)


def test_what_nobody_knows_may_be_needed() -> None:
    found = there()
    found["environments"]["b"].update(cann=None, python=None)
    found["environments"]["a"]["python"] = found["environments"]["d"]["python"] = "3.11.9"
    assert removed(found) == ["c"]
    assert removed(found, kind="CANN") == []
    assert removed(found, kind="Python") == []
    assert kept(found, kind="CANN")["c"] == "b needs it"


def test_the_cache() -> None:
    found = there(
        cache=[
            cached("1", "Ascend-cann-toolkit_a.run", version="8.0.RC1"),
            cached("2", "Ascend-cann-toolkit_b.run", version="8.0.RC2"),
            cached("3", "Ascend-cann-toolkit_c.run", version="8.2.RC1"),
            cached("f" * 16, "cpython.tar.gz"),
            cached("e" * 16, "LLaMA-Factory.tar.gz"),
            cached("d" * 16, "LLaMA-Factory.tar.gz"),
            cached("4", "uv-0.7.whl"),
            cached("5", "odd"),
            cached("6"),
        ],
        cann={"8.0.RC1": cann("8.0.RC1"), "8.0.RC2": cann("8.0.RC2")},
    )
    found["environments"]["b"].update(cann=CANN + "8.0.RC2", source="e" * 64)
    found["environments"]["c"].update(source="d" * 64)
    gone = {row["path"][-1]: row["reason"] for row in select(found, Asked())["remove"] if row["kind"] == "cache"}
    assert gone == {
        "1": "nothing that remains needs it",
        "d": "nothing that remains needs it",
        "5": "nothing that remains needs it",
        "6": "left by an interrupted run",
    }
    reasons = {row["path"][-1]: row["reason"] for row in select(found, Asked())["keep"] if row["kind"] == "cache"}
    assert reasons == {
        "2": "for repairs of CANN 8.0.RC2",
        "3": "CANN 8.2.RC1 is not installed yet",
        "f": "for repairs of Python 3.10.13",
        "e": "for repairs of b",
        "4": "for repairs of environments",
    }
    release = [row["path"][-1] for row in select(found, Asked(release="8.2.RC1"))["remove"] if row["kind"] == "cache"]
    assert release == ["3", "6"]
    release = [row["path"][-1] for row in select(found, Asked(release="c"))["remove"] if row["kind"] == "cache"]
    assert release == ["d", "6"]
    assert len(removed(found, Asked(everything=True, force=True), "cache")) == len(found["cache"])


def test_wheels_that_were_sent_stay_with_their_environments() -> None:
    digests = {name: f"{name}-0123456789ab" for name in "abcd"}
    found = there(cache=[{**cached(f"{of}-x86_64", "wheels"), "environment": of} for of in [*digests.values(), "e-1"]])
    found["environments"] = {digests[name]: each for name, each in found["environments"].items()}
    found.update(current=digests["b"], previous=digests["a"])
    found["environments"][digests["b"] + "-abcdef01"] = found["environments"].pop(digests["b"])
    found["current"] = digests["b"] + "-abcdef01"  # with a checkout
    rows = select(found, Asked())
    gone = {row["path"]: row["reason"] for row in rows["remove"] if row["kind"] == "cache"}
    folder = "/var/cache/ascend-fleet/"
    assert gone == {
        f"{folder}{digests['c']}-x86_64": "nothing that remains needs it",
        f"{folder}e-1-x86_64": "nothing that remains needs it",
    }
    assert removed(found, Asked(release="d"), "cache") == ["wheels"]


def test_canns_own_files_stay_with_any_cann() -> None:
    parts = [
        {"kind": "CANN", "name": "set_env.sh", "path": CANN + "set_env.sh", "ours": True},
        {"kind": "log", "name": "x.log", "path": "/var/log/ascend_seclog/x.log", "ours": False},
        {"kind": "state", "name": "ascend-fleet", "path": "/var/lib/ascend-fleet", "ours": True},
    ]
    asked = Asked(everything=True, force=True)
    assert removed(there(parts=parts), asked, "CANN's file") == ["set_env.sh"]
    assert removed(there(parts=parts), asked, "log") == []
    assert select(there(parts=parts), asked)["remove"][-1]["kind"] == "state", "it tells what is ours, so it goes last"
    found = there(parts=parts)
    found["cann"]["y"] = cann("y", ours=False, kernels=["910b"])
    assert removed(found, asked, "CANN's file") == []
    assert removed(found, asked, "kernels") == ["y 910b"]
    assert removed(there(parts=parts), Asked(), "state") == []


def test_no_number() -> None:
    with pytest.raises(AscendError, match="not a number"):
        select(there(), Asked(keep=-1))


NAMES = st.sampled_from("abcd")


@given(
    st.integers(0, 5),
    st.booleans(),
    st.sampled_from(["", "a", "b", "z"]),
    st.booleans(),
    st.none() | NAMES,
    st.none() | NAMES,
    st.sets(NAMES),
    st.sets(NAMES),
    st.dictionaries(NAMES, NAMES),
)
def test_properties(
    keep: int,
    everything: bool,
    release: str,
    force: bool,
    current: str | None,
    previous: str | None,
    used: set[str],
    foreign: set[str],
    needs: dict[str, str],
) -> None:
    found = there(current=current, previous=previous, processes={ENV + name: [PROCESS] for name in used})
    for name in foreign:
        found["environments"][name]["ours"] = found["cann"][name]["ours"] = False
    for name, version in needs.items():
        found["environments"][name]["cann"] = CANN + version
    asked = Asked("" if everything else release, everything, keep, force)
    chosen = select(found, asked)
    gone = {(row["kind"], row["name"]) for row in chosen["remove"]}
    stays = {(row["kind"], row["name"]) for row in chosen["keep"]}
    assert not gone & stays
    assert len(gone) + len(stays) == 9, "each is decided, once"
    assert not {name for _kind, name in gone} & foreign
    for name, each in found["environments"].items():
        if ("environment", name) not in gone:
            assert ("CANN", each["cann"][len(CANN) :]) not in gone, "what stays has what it needs"
    if asked.mode == "prune":
        assert chosen["refusals"] == []
        assert ("environment", current) not in gone
        assert force or not {name for kind, name in gone if kind == "environment"} & used
    elif not force:
        refused = {each["subject"] for each in chosen["refusals"]}
        assert {name for kind, name in gone if kind == "environment"} & (used | {current}) == refused


# --- words -------------------------------------------------------------------------------------------------------


def test_the_table() -> None:
    selection: dict[str, list[Any]] = {
        "remove": [
            {"kind": "environment", "name": "8.0.RC1-0123456789ab", "path": "", "size_mb": 4710.4, "reason": "old"},
            {"kind": "CANN", "name": "8.0.RC1", "path": "", "size_mb": 999.4, "reason": "no environment needs it"},
        ],
        "keep": [
            {
                "kind": "environment",
                "name": "8.2.RC1-ba9876543210",
                "path": "",
                "size_mb": 5000.0,
                "reason": "is current",
            },
            {"kind": "cache", "name": "x.run", "path": "", "size_mb": 1.0, "reason": "for repairs"},
        ],
        "refusals": [],
    }
    assert words.lines(selection, 5709.8) == [
        "remove  environment  8.0.RC1-0123456789ab    4.6 GB  old",
        "remove  CANN         8.0.RC1                 999 MB  no environment needs it",
        "keep    environment  8.2.RC1-ba9876543210    4.9 GB  is current",
        "2 to remove, which frees 5.6 GB",
    ]
    assert words.lines({"remove": [], "keep": [], "refusals": []}, 0) == ["nothing to remove"]
    twice = [
        {**selection["remove"][0], "kind": "settings", "name": "60-x.conf", "path": f"/etc/{place}/60-x.conf"}
        for place in ("sysctl.d", "security/limits.d")
    ]
    said = words.lines({"remove": twice, "keep": [], "refusals": []}, 0)
    assert ["/etc/sysctl.d/60-x.conf" in said[0], "/etc/security/limits.d/60-x.conf" in said[1]] == [True, True]
    many = words.lines({"remove": selection["remove"] * 60, "keep": [], "refusals": []}, 1)
    assert many[-2] == "and 20 more"
    refused = words.lines({**selection, "refusals": [{}]}, 5709.8)
    assert refused[-1] == "refused for the reasons below; it would free 5.6 GB"


# --- served models ------------------------------------------------------------------------------------------------

SERVED = {"name": "llama3", "path": "/var/lib/ascend-fleet/serve/llama3", "environment": ENV + "c", "process": PROCESS}


def serving() -> dict[str, Any]:
    return there(services=[SERVED], processes={ENV + "c": [PROCESS], SERVED["path"]: [PROCESS]})


def test_what_serves_keeps_its_environment_and_is_no_matter_of_pruning() -> None:
    assert removed(serving(), Asked(keep=0)) == ["a", "d"]
    assert removed(serving(), Asked(keep=0), "service") == []


def test_everything_is_refused_while_models_are_served_and_ends_them_when_forced() -> None:
    asked = Asked(everything=True)
    refusals = select(serving(), asked)["refusals"]
    assert ("llama3", "in-use") in [(each["subject"], each["check"]) for each in refusals]
    rows = select(serving(), asked._replace(force=True))["remove"]
    assert (rows[0]["kind"], rows[0]["name"]) == ("service", "llama3"), "before what it runs in"
