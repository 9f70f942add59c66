# SPDX-License-Identifier: Apache-2.0
"""ascend-env as it is, run by bash: what a command finds in its environment, and what is said where there is none."""

from __future__ import annotations

import os
import platform
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.conftest import ROOT

PROGRAM = ROOT / "roles" / "torch_npu" / "files" / "ascend-env"
# As CANN's: expands what may be unset, ends with a command that fails, and prepends each time that it is sourced.
SET_ENV = """
export LD_LIBRARY_PATH=/cann/lib64:/cann/lib64/plugin:$LD_LIBRARY_PATH
export PYTHONPATH=/cann/python/site-packages:$PYTHONPATH
export ASCEND_HOME_PATH=/cann
false
"""


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    return made(tmp_path)


def made(tmp_path: Path) -> Path:
    """An environment whose CANN has a set_env.sh."""
    script = tmp_path / "cann" / "8.0.RC1" / f"{platform.machine()}-linux" / "script" / "set_env.sh"
    script.parent.mkdir(parents=True)
    script.write_text(SET_ENV)
    place = tmp_path / "env" / "8.0.RC1-x"
    (place / "bin").mkdir(parents=True)
    (place / ".cann_home").write_text(f"{tmp_path / 'cann' / '8.0.RC1'}\n")
    return place


def ascend_env(environment: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    bare = {"PATH": "/usr/bin:/bin", "ASCEND_FLEET_ENVIRONMENT": str(environment), **variables}
    return subprocess.run(["bash", PROGRAM, *command], env=bare, capture_output=True, text=True, check=False)


def variables_of(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    assert done.returncode == 0, done.stderr
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


def test_what_a_command_finds(environment: Path) -> None:
    found = variables_of(ascend_env(environment, "env"))
    assert found["PATH"] == f"{environment}/bin:/usr/bin:/bin"
    assert found["VIRTUAL_ENV"] == str(environment)
    assert found["ASCEND_HOME_PATH"] == "/cann"
    assert found["PYTHONPATH"] == "/cann/python/site-packages", "an empty element would be the current directory"
    assert found["LD_LIBRARY_PATH"].startswith("/cann/lib64:/cann/lib64/plugin:")
    assert found["LD_LIBRARY_PATH"].count("/driver/lib64") == 3
    assert "::" not in found["LD_LIBRARY_PATH"]


def test_twice_is_once(environment: Path) -> None:
    once = ascend_env(environment, "env")
    twice = ascend_env(environment, "bash", str(PROGRAM), "env")
    assert variables_of(once) == variables_of(twice) | {"SHLVL": variables_of(once)["SHLVL"]}


def test_what_the_user_set_is_kept(environment: Path) -> None:
    found = variables_of(ascend_env(environment, "env", LD_LIBRARY_PATH="/mine", ASCEND_RT_VISIBLE_DEVICES="0,1"))
    assert "/mine" in found["LD_LIBRARY_PATH"].split(":")
    assert found["ASCEND_RT_VISIBLE_DEVICES"] == "0,1"


@pytest.mark.parametrize("path", [None, "", "/nowhere", "/usr/bin:/bin"])
def test_a_session_with_little_in_path(environment: Path, path: str | None) -> None:
    """sudo's secure_path and cron's PATH, and what a service manager may leave of it."""
    bare = {"ASCEND_FLEET_ENVIRONMENT": str(environment), **({} if path is None else {"PATH": path})}
    done = subprocess.run([PROGRAM, "/usr/bin/env"], env=bare, capture_output=True, text=True, check=False)
    found = variables_of(done)["PATH"].split(":")
    assert (done.stderr, found[0]) == ("", f"{environment}/bin")
    assert {"/usr/bin", "/bin"} <= set(found)
    assert len(found) == len(set(found))


@pytest.mark.parametrize("end", ["set -e; false", "set -eo pipefail; false | true", "return 3"])
def test_a_set_env_that_ends_badly(environment: Path, end: str) -> None:
    script = next(environment.parent.parent.glob("cann/*/*/script/set_env.sh"))
    script.write_text(SET_ENV + end + "\n")
    assert variables_of(ascend_env(environment, "env"))["ASCEND_HOME_PATH"] == "/cann"


def test_arguments_and_exit_code_are_the_commands(environment: Path) -> None:
    done = ascend_env(environment, "bash", "-c", 'printf "<%s>" "$@"; exit 7', "name", "a b", "*", "")
    assert (done.returncode, done.stdout) == (7, "<a b><*><>")


def test_a_job_keeps_the_environment_that_it_started_with(environment: Path) -> None:
    link = environment.parent / "current"
    link.symlink_to(environment.name)
    assert variables_of(ascend_env(link, "env"))["VIRTUAL_ENV"] == str(environment)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("rm -r {}", "leads nowhere"),
        ("rm {}/.cann_home", "not finished"),
        ("echo /nowhere/8.0.RC1 > {}/.cann_home", "set_env.sh is missing from /nowhere/8.0.RC1"),
    ],
)
def test_where_there_is_none(environment: Path, damage: str, words: str) -> None:
    assert os.system(damage.format(environment)) == 0
    done = ascend_env(environment, "true")
    assert done.returncode == 127
    assert words in done.stderr
    assert "next: run site.yml" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("closed", ["env", "env/8.0.RC1-x", "cann/8.0.RC1"])
def test_who_may_not_enter_is_told_which_folder(closed: str) -> None:
    """Not that something is missing, of which the account can know nothing."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        place = made(Path(folder))
        (Path(folder) / closed).chmod(0o700)
        done = subprocess.run(
            ["bash", "-s", "--", "true"],
            input=PROGRAM.read_text(),
            env={"PATH": "/usr/bin:/bin", "ASCEND_FLEET_ENVIRONMENT": str(place)},
            user=65534,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 127
    assert f"ascend-env: this account is not allowed to enter {folder}/{closed}\n" in done.stderr


def test_it_says_where_the_examples_are(environment: Path, tmp_path: Path) -> None:
    none = ascend_env(environment, "--examples")
    assert (none.returncode, none.stdout) == (127, "")
    assert "has no examples\nascend-env: next: run site.yml" in none.stderr
    (environment / "share/llamafactory/examples").mkdir(parents=True)
    (environment / ".cann_home").unlink()  # they are files: no CANN is needed to copy them
    (tmp_path / "current").symlink_to(environment)
    said = ascend_env(tmp_path / "current", "--examples")
    assert said.stdout == f"{tmp_path}/current/share/llamafactory/examples\n"


def test_no_command() -> None:
    done = ascend_env(Path("/"))
    assert done.returncode == 127
    assert "usage: ascend-env COMMAND" in done.stderr


def other_cann(home: Path) -> Path:
    """Another CANN, as its installer's record says."""
    record = home / f"{platform.machine()}-linux" / "ascend_toolkit_install.info"
    record.parent.mkdir(parents=True)
    record.write_text("package_name=Ascend-cann-toolkit\n")
    (home / "lib64").mkdir()
    return home


def test_the_later_layouts_own_file_is_taken(tmp_path: Path) -> None:
    place = made(tmp_path)
    home = tmp_path / "beside" / "cann-9.0.0"
    home.mkdir(parents=True)
    (home / "set_env.sh").write_text("export ASCEND_HOME_PATH=$(cat /dev/null)later PYTHONPATH=/later:$PYTHONPATH\n")
    (place / ".cann_home").write_text(f"{home}\n")
    found = variables_of(ascend_env(place, "env"))
    assert (found["ASCEND_HOME_PATH"], found["PYTHONPATH"]) == ("later", "/later")


def test_folders_of_another_cann_are_left_out_and_users_own_are_not(environment: Path, tmp_path: Path) -> None:
    older = other_cann(tmp_path / "Ascend" / "ascend-toolkit" / "8.2.RC1")
    (older.parent / "latest").symlink_to("8.2.RC1")
    later = other_cann(tmp_path / "Ascend" / "beside" / "cann-9.0.0")
    (later.parent / "cann").symlink_to("cann-9.0.0")
    others = [older, older.parent / "latest", later, later.parent / "cann"]
    mine = [
        tmp_path / "ascend/models/cann/python",
        tmp_path / "u/cann-9-tests/lib",
        tmp_path / "src/ascend-toolkit/py",
        tmp_path / "with space/lib",
    ]
    paths = ":".join([f"{each}/lib64" for each in others] + [str(each) for each in mine])
    operators = f"{older}/opp/vendors/ours:/srv/operators"
    found = variables_of(
        ascend_env(environment, "env", LD_LIBRARY_PATH=paths, PYTHONPATH=paths, ASCEND_CUSTOM_OPP_PATH=operators)
    )
    for name in ("LD_LIBRARY_PATH", "PYTHONPATH"):
        assert [each for each in others if f"{each}/" in found[name]] == [], name
        assert [each for each in mine if str(each) not in found[name].split(":")] == [], name
    assert found["ASCEND_CUSTOM_OPP_PATH"] == "/srv/operators"


def test_what_a_session_has_of_its_own_cann_is_kept(environment: Path, tmp_path: Path) -> None:
    home = other_cann(tmp_path / "Ascend" / "ascend-toolkit" / "8.0.RC1")
    (home / "set_env.sh").write_text("true\n")
    (home.parent / "latest").symlink_to("8.0.RC1")
    (environment / ".cann_home").write_text(f"{home}\n")
    vendors = f"{home.parent}/latest/opp/vendors/ours/op_api/lib"
    found = variables_of(ascend_env(environment, "env", LD_LIBRARY_PATH=vendors))
    assert vendors in found["LD_LIBRARY_PATH"].split(":")
