# SPDX-License-Identifier: Apache-2.0
"""What a user's session begins with: variables that profiles set, and whose CANN they source."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend import bounded, homes
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.cann import profiles
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.finding import Finding
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.node import Node
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.places import CANN_INSTALL_RECORD
from ansible_collections.ascend.fleet.plugins.module_utils.ascend_control.plan.plan import plan
from tests import environment_tree as tree
from tests.answers import write as tree_write
from tests.hangs import no_hang
from tests.silent_mount import silent
from tests.unit.plan.planner_nodes import converged, wanted

# A profile, a line's number and name of the finding and the folder it brings in.
PROFILES: list[tuple[str, str, list[tuple[int, str, str]]]] = [
    ("/root/.bashrc", "export PYTHONPATH=/home/anna/lib:$PYTHONPATH\n", [(1, "pythonpath-set", "/home/anna/lib")]),
    ("/root/.profile", "\n  PYTHONPATH='/a' ; export PYTHONPATH\n", [(2, "pythonpath-set", "/a")]),
    ("/root/.bash_profile", "if true; then export PYTHONPATH=/a; fi\n", [(1, "pythonpath-set", "/a")]),
    ("/etc/profile", 'declare -x PYTHONPATH="/a b:/c"\n', [(1, "pythonpath-set", "/a b, /c")]),
    ("/etc/bashrc", "export PYTHONPATH+=:/a\n", [(1, "pythonpath-set", "/a")]),
    ("/etc/bash.bashrc", "export X=1 PYTHONPATH=/a Y=2\n", [(1, "pythonpath-set", "/a")]),
    ("/etc/profile.d/x.sh", "export PYTHONPATH=~/lib:.\n", [(1, "pythonpath-set", "~/lib, .")]),
    ("/etc/profile.d/x.sh", "export PYTHONPATH=$HOME/lib\n", [(1, "pythonpath-set", "$HOME/lib")]),
    ("/etc/profile.d/x.sh", "D=/opt/x\nexport PYTHONPATH=${D}/lib\n", [(2, "pythonpath-set", "/opt/x/lib")]),
    ("/etc/profile.d/x.sh", "export PYTHONPATH=${D:-/opt/y}/lib\n", [(1, "pythonpath-set", "/opt/y/lib")]),
    ("/etc/profile.d/x.sh", "export PYTHONHOME=/usr\n", [(1, "pythonhome-set", "")]),
    ("/etc/environment", 'PATH="/bin"\nPYTHONPATH="/a"\n', [(2, "pythonpath-set", "/a")]),
    ("/etc/environment", "PYTHONHOME=/usr\n", [(1, "pythonhome-set", "")]),
    ("/etc/environment", "PYTHONPATH=\nPYTHONHOME=''\n", []),
    ("/root/.bashrc", "# export PYTHONPATH=/a\nls # PYTHONPATH=/a\nunset PYTHONPATH\nexport PYTHONPATH\n", []),
    ("/root/.bashrc", "PYTHONPATH=/a python3 x.py\nMYPYTHONPATH=/a\nalias x='PYTHONPATH=/a python3'\n", []),
    ("/root/.bashrc", "echo export PYTHONPATH=/a\nexport PYTHONPATH=$PYTHONPATH:\n", []),
    ("/root/.bashrc", "source /usr/local/Ascend/ascend-toolkit/set_env.sh\n", []),
    (
        "/root/.bashrc",
        "export PYTHONPATH=/usr/local/Ascend/ascend-toolkit/latest/python/site-packages:$PYTHONPATH\n",
        [],
    ),
    ("/root/.bashrc", "export PYTHONPATH=/usr/local/AscendX\n", [(1, "pythonpath-set", "/usr/local/AscendX")]),
    ("/root/.bashrc", "export PYTHONPATH=/data/Ascend/x${PYTHONPATH:+:${PYTHONPATH}}\n", []),
    ("/root/.bashrc", "export PYTHONPATH=${ASCEND_TOOLKIT_HOME}/python/site-packages:$ASCEND_OPP_PATH/op_impl\n", []),
    ("/root/.bashrc", "H=/usr/local/Ascend/x\nexport PYTHONPATH=$H/python:$PYTHONPATH\n", []),
    ("/root/.bashrc", 'export PYTHONPATH="/a\n', []),
    ("/etc/profile.d/x.csh", "export PYTHONPATH=/a\n", []),
    ("/root/.bashrc", "A=$A$A$A\n" * 50 + "export PYTHONPATH=$A\n", [(51, "pythonpath-set", "$A$A$A")]),
]


def settings(here: Node) -> list[Finding]:
    return profiles.settings(here, homes.look(here))


@pytest.mark.parametrize(("path", "text", "wanted"), PROFILES)
def test_profiles(path: str, text: str, wanted: list[tuple[int, str, str]], tmp_path: Path) -> None:
    for name, content in ((path, text), (CANN_INSTALL_RECORD, "Install_Path_Param=/data/Ascend\n")):
        file = tmp_path / name.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    found = settings(tree.node(tmp_path))
    assert [(one["where"], one["name"]) for one in found] == [(f"{path}:{line}", name) for line, name, _ in wanted]
    for one, (line, _, folder) in zip(found, wanted, strict=True):
        assert folder[:20] in one["problem"]
        assert one["found"].startswith(("PYTHONPATH", "PYTHONHOME"))
        assert one["found"] in text.splitlines()[line - 1]


def test_settings_are_bounded_and_odd_files_read(tmp_path: Path) -> None:
    folder = tmp_path / "etc/profile.d"
    folder.mkdir(parents=True)
    for number in range(30):
        (folder / f"{number}.sh").write_text("export PYTHONPATH=/a\n")
    (folder / "dir.sh").mkdir()
    (folder / "loop.sh").symlink_to("loop.sh")
    os.mkfifo(folder / "pipe.sh")
    (tmp_path / "etc/profile").write_bytes(b"\xff\xfeexport PYTHONPATH=/a\0b\n" + b"X='" * 20000)
    found = settings(tree.node(tmp_path))
    assert len(found) == profiles.MOST_SETTINGS
    assert [one["where"] for one in found[:2]] == ["/etc/profile:1", "/etc/profile.d/0.sh:1"]


# What `conda init` writes: it sets no variable that reaches into an environment.
CONDA = """\
# >>> conda initialize >>>
__conda_setup="$('/home/anna/miniconda3/bin/conda' 'shell.bash' 'hook' 2> /dev/null)"
if [ $? -eq 0 ]; then
    eval "$__conda_setup"
else
    if [ -f "/home/anna/miniconda3/etc/profile.d/conda.sh" ]; then
        . "/home/anna/miniconda3/etc/profile.d/conda.sh"
    else
        export PATH="/home/anna/miniconda3/bin:$PATH"
    fi
fi
unset __conda_setup
# <<< conda initialize <<<
"""
# A profile, its text, and of each finding its line, its name and what is quoted.
SESSIONS: list[tuple[str, str, list[tuple[int, str, str]]]] = [
    ("/root/.bashrc", "export LD_PRELOAD=/opt/x/libhook.so\n", [(1, "ld-preload-set", "LD_PRELOAD=/opt/x/libhook.so")]),
    (
        "/etc/profile.d/x.sh",
        'export LD_PRELOAD="$LD_PRELOAD /a/libgomp.so.1"\n',
        [(1, "ld-preload-set", 'LD_PRELOAD="$LD_PRELOAD /a/libgomp.so.1"')],
    ),
    ("/etc/environment", "LD_PRELOAD=/a.so\n", [(1, "ld-preload-set", "LD_PRELOAD=/a.so")]),
    ("/root/.bashrc", "export LD_PRELOAD=\nunset LD_PRELOAD\nLD_PRELOAD=/a.so python x.py\n", []),
    (
        "/root/.bashrc",
        "export LD_LIBRARY_PATH=$CONDA_PREFIX/lib:$LD_LIBRARY_PATH\n",
        [(1, "ld-library-path-set", "LD_LIBRARY_PATH=$CONDA_PREFIX/lib:$LD_LIBRARY_PATH")],
    ),
    (
        "/home/anna/.bashrc",
        "export LD_LIBRARY_PATH=$HOME/miniconda3/lib:/usr/lib64\n",
        [(1, "ld-library-path-set", "LD_LIBRARY_PATH=$HOME/miniconda3/lib:/usr/lib64")],
    ),
    (
        "/etc/profile.d/ascend.sh",
        "export LD_LIBRARY_PATH=/usr/local/Ascend/driver/lib64/common:/usr/local/Ascend/driver/lib64/driver:"
        "$LD_LIBRARY_PATH\nexport LD_LIBRARY_PATH=/usr/local/lib:/usr/lib64/openmpi/lib:${LD_LIBRARY_PATH}\n"
        "export LD_LIBRARY_PATH=${ASCEND_TOOLKIT_HOME}/lib64${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}\n",
        [],
    ),
    (
        "/root/.zshrc",
        "export ASCEND_RT_VISIBLE_DEVICES=0,1\n",
        [(1, "visible-devices-set", "ASCEND_RT_VISIBLE_DEVICES=0,1")],
    ),
    ("/root/.bashrc", "ASCEND_RT_VISIBLE_DEVICES=0 python x.py\nexport ASCEND_RT_VISIBLE_DEVICES=\n", []),
    (
        "/home/anna/.bashrc",
        "[ -f ~/CANN/ascend-toolkit/set_env.sh ] && source ~/CANN/ascend-toolkit/set_env.sh\n",
        [(1, "cann-other-set", "source ~/CANN/ascend-toolkit/set_env.sh")],
    ),
    ("/etc/profile", "if true; then . /usr/local/CANN9.0.0/cann/set_env.sh; fi\n", [
        (1, "cann-other-set", ". /usr/local/CANN9.0.0/cann/set_env.sh")]),
    ("/root/.bashrc", 'D=/opt/Ascend\nsource "$D/ascend-toolkit/latest/bin/setenv.bash" # ours\n', [
        (2, "cann-other-set", 'source "$D/ascend-toolkit/latest/bin/setenv.bash"')]),
    (
        "/root/.bashrc",
        "source /usr/local/Ascend/ascend-toolkit/7.0.0/aarch64-linux/script/set_env.sh\n",
        [(1, "cann-other-set", "source /usr/local/Ascend/ascend-toolkit/7.0.0/aarch64-linux/script/set_env.sh")],
    ),
    (
        "/root/.bashrc",
        "source /usr/local/Ascend/ascend-toolkit/set_env.sh\n. /usr/local/Ascend/nnal/atb/set_env.sh\n"
        "source /data/Ascend/ascend-toolkit/latest/set_env.sh\n. /usr/local/Ascend/ascend-toolkit/8.0.RC1/set_env.sh\n"
        "# source /home/anna/Ascend/ascend-toolkit/set_env.sh\nls # source /opt/Ascend/set_env.sh\n"
        "source ~/project/set_env.sh\nsource ~/.bash_aliases\n",
        [],
    ),
    ("/root/.bashrc", "export ASCEND_HOME_PATH=/home/berta/CANN/latest\n", [
        (1, "cann-other-set", "ASCEND_HOME_PATH=/home/berta/CANN/latest")]),
    (
        "/home/anna/.bashrc",
        CONDA,
        [],
    ),
    (
        "/root/.bashrc",
        "export HF_TOKEN=SECRET PYTHONPATH=/data/x:$PYTHONPATH WANDB=SECRET\n",
        [(1, "pythonpath-set", "PYTHONPATH=/data/x:$PYTHONPATH")],
    ),
    (
        "/root/.bashrc",
        "export A=SECRET; export LD_PRELOAD=/a.so; B='SECRET'; source /home/berta/CANN/set_env.sh --key SECRET\n",
        [(1, "ld-preload-set", "LD_PRELOAD=/a.so"), (1, "cann-other-set", "source /home/berta/CANN/set_env.sh")],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("path", "text", "wanted"), SESSIONS)
def test_what_sessions_begin_with(path: str, text: str, wanted: list[tuple[int, str, str]], tmp_path: Path) -> None:
    version = tmp_path / "usr/local/Ascend/ascend-toolkit/8.0.RC1"
    version.mkdir(parents=True)
    (version.parent / "latest").symlink_to("8.0.RC1")
    for name, content in ((path, text), (CANN_INSTALL_RECORD, "Install_Path_Param=/data/Ascend\n")):
        tree_file = tmp_path / name.lstrip("/")
        tree_file.parent.mkdir(parents=True, exist_ok=True)
        tree_file.write_text(content)
    found = settings(tree.node(tmp_path))
    assert [(one["where"], one["name"], one["found"]) for one in found] == [
        (f"{path}:{line}", name, quoted) for line, name, quoted in wanted
    ]
    assert all(one["remedy"] and one["problem"] for one in found)
    assert "SECRET" not in str(found)


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("beside/cann/set_env.sh", []),
        ("beside/cann-9.0.0/set_env.sh", []),
        ("ascend-toolkit/8.0.RC1/x86_64-linux/script/set_env.sh", []),
        ("beside/cann-9.1.0/set_env.sh", ["sessions use CANN 9.1.0, not 9.0.0, which is latest"]),
        ("ascend-toolkit/8.2.RC1/set_env.sh", ["sessions use CANN 8.2.RC1, not 8.0.RC1, which is latest"]),
    ],
)
def test_a_cann_beside_another_has_its_own_latest(script: str, told: list[str], tmp_path: Path) -> None:
    root = tmp_path / "usr/local/Ascend"
    for place, link, version in (("ascend-toolkit", "latest", "8.0.RC1"), ("beside", "cann", "cann-9.0.0")):
        (root / place / version).mkdir(parents=True)
        (root / place / link).symlink_to(version)
    (tmp_path / "root").mkdir()
    (tmp_path / "root/.bashrc").write_text(f"source /usr/local/Ascend/{script}\n")
    assert [one["problem"] for one in settings(tree.node(tmp_path))] == told


def test_each_setting_is_a_warning_of_the_plan(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    text = "export LD_PRELOAD=/a.so LD_LIBRARY_PATH=/b PYTHONPATH=/c PYTHONHOME=/d ASCEND_RT_VISIBLE_DEVICES=0\n"
    (tmp_path / "root/.bashrc").write_text(text + "source /home/anna/CANN/set_env.sh\n")
    found = settings(tree.node(tmp_path))
    assert len({one["name"] for one in found}) == 6
    facts = converged()
    facts["findings"] = found
    told = plan(facts, wanted())
    assert {one["check"] for one in told["warnings"]} == {one["name"] for one in found}
    # Also where the environment is built anew, which cures what is wrong within it.
    facts["environments"] = {"current": None, "previous": None, "all": {}}
    told = plan(facts, wanted())
    assert "environment" in [step["component"] for step in told["steps"]]
    assert {one["name"] for one in found} <= {one["check"] for one in told["warnings"]}


@pytest.mark.parametrize(
    ("path", "text", "name"),
    [
        ("/etc/csh.cshrc", "setenv LD_PRELOAD /a.so\n", "ld-preload-set"),
        ("/home/anna/.cshrc", "if ($?prompt) setenv PYTHONPATH '/a:/b' # mine\n", "pythonpath-set"),
        ("/etc/profile.d/x.csh", "setenv ASCEND_RT_VISIBLE_DEVICES 0\n", "visible-devices-set"),
        ("/etc/security/pam_env.conf", "LD_PRELOAD DEFAULT=/a.so\n", "ld-preload-set"),
        ("/etc/security/pam_env.conf", "LD_LIBRARY_PATH DEFAULT= OVERRIDE=@{HOME}/lib\n", "ld-library-path-set"),
        ("/home/anna/.pam_environment", "PYTHONPATH OVERRIDE=/a\n", "pythonpath-set"),
        ("/home/anna/.pam_environment", "PYTHONPATH=/a\n", "pythonpath-set"),
        ("/etc/environment.d/10-x.conf", "LD_PRELOAD=/a.so\n", "ld-preload-set"),
        ("/home/anna/.config/environment.d/x.conf", "LD_LIBRARY_PATH=$HOME/lib\n", "ld-library-path-set"),
        ("/home/anna/.config/fish/config.fish", "set -gx LD_LIBRARY_PATH /a /b\n", "ld-library-path-set"),
        ("/etc/fish/conf.d/x.fish", "if true; set -x -g PYTHONHOME /usr; end\n", "pythonhome-set"),
        ("/home/anna/.zprofile", "typeset -gx LD_PRELOAD=/a.so\n", "ld-preload-set"),
        ("/root/.bashrc", 'export "LD_PRELOAD=/a.so"\n', "ld-preload-set"),
        ("/root/.bashrc", "export 'PYTHONPATH=/a b' # x\n", "pythonpath-set"),
        ("/root/.bashrc", "export -- LD_PRELOAD=/a.so\n", "ld-preload-set"),
        ("/root/.bashrc", "[ -d /x ] && { LD_PRELOAD=/a.so; export LD_PRELOAD; }\n", "ld-preload-set"),
        # None of these sets anything for a session.
        ("/etc/csh.cshrc", "# setenv LD_PRELOAD /a.so\nalias x 'setenv LD_PRELOAD /a.so'\nexport LD_PRELOAD=/a\n", ""),
        ("/etc/csh.cshrc", "setenv LD_PRELOAD\nsetenv LD_PRELOAD ''\nunsetenv LD_PRELOAD /a\n", ""),
        ("/etc/security/pam_env.conf", "#LD_PRELOAD DEFAULT=/a.so\nLD_PRELOAD=/a.so\nLD_PRELOAD DEFAULT=\n", ""),
        ("/home/anna/.config/fish/config.fish", "set -g PYTHONPATH /a\nset PYTHONPATH /a\nset -e PYTHONPATH\n", ""),
        ("/root/.bashrc", "alias x=\"LD_PRELOAD=/a.so python\"\nX='LD_PRELOAD=/a.so'\nf 'LD_PRELOAD=/a.so'\n", ""),
        ("/etc/environment.d/10-x.conf", "# LD_PRELOAD=/a.so\nLD_PRELOAD=\n", ""),
    ],
)
def test_other_ways_to_set_a_variable_for_every_session(path: str, text: str, name: str, tmp_path: Path) -> None:
    tree_write(tmp_path, path, text)
    assert [one["name"] for one in settings(tree.node(tmp_path))] == ([name] if name else [])


SOURCES = [
    ("/root/.bashrc", ". /opt/x/env.sh\n", "/opt/x/env.sh"),
    ("/root/.bash_profile", "[ -f ~/.extra ] && source ~/.extra\n", "/root/.extra"),
    ("/home/anna/.bashrc", "if [ -f ~/.bash_aliases ]; then . ~/.bash_aliases; fi\n", "/home/anna/.bash_aliases"),
    ("/etc/profile", "D=/data/tools\n. $D/env.sh\n", "/data/tools/env.sh"),
]


@pytest.mark.parametrize(("profile", "line", "script"), SOURCES)
def test_what_profiles_source_is_read_as_well(profile: str, line: str, script: str, tmp_path: Path) -> None:
    tree_write(tmp_path, profile, line)
    tree_write(tmp_path, script, "X=1\nexport API_KEY=geheim99 LD_PRELOAD=$X/hook.so\n. /opt/deeper.sh\n")
    tree_write(tmp_path, "/opt/deeper.sh", "export PYTHONHOME=/usr\n")
    (found,) = settings(tree.node(tmp_path))
    assert (found["name"], found["where"]) == ("ld-preload-set", f"{script}:2, sourced by {profile}")
    assert "geheim99" not in str(found)


def test_a_sourced_file_is_the_sourcing_users(tmp_path: Path) -> None:
    tree_write(tmp_path, "/home/anna/.bashrc", ". /opt/x/env.sh\n")
    tree_write(tmp_path, "/opt/x/env.sh", ". ~/CANN/ascend-toolkit/set_env.sh\n")
    (found,) = settings(tree.node(tmp_path))
    assert (found["name"], found["where"]) == ("cann-other-set", "/opt/x/env.sh:1, sourced by /home/anna/.bashrc")
    assert "/home/anna/CANN/ascend-toolkit/set_env.sh" in found["problem"]


@pytest.mark.parametrize("line", [". /usr/share/x.sh", ". $X/env.sh", ". env.sh", ". /opt/*.sh", ". /opt/gone.sh"])
def test_what_is_not_read_of_what_profiles_source(line: str, tmp_path: Path) -> None:
    tree_write(tmp_path, "/root/.bashrc", line + "\n")
    for script in ("/usr/share/x.sh", "/env.sh", "/opt/x.sh", "/root/env.sh"):
        tree_write(tmp_path, script, "export LD_PRELOAD=/a.so\n")
    assert settings(tree.node(tmp_path)) == []


def test_many_sourced_files_are_not_all_read(tmp_path: Path) -> None:
    tree_write(tmp_path, "/root/.bashrc", "".join(f". /opt/{n}.sh\n" for n in range(profiles.MOST_SOURCED + 1)))
    tree_write(tmp_path, f"/opt/{profiles.MOST_SOURCED}.sh", "export LD_PRELOAD=/a.so\n")
    assert settings(tree.node(tmp_path)) == []
    tree_write(tmp_path, f"/opt/{profiles.MOST_SOURCED - 1}.sh", "export LD_PRELOAD=/a.so\n")
    assert len(settings(tree.node(tmp_path))) == 1


def test_a_sourced_file_that_never_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "PLACE_S", 0.3)
    tree_write(tmp_path, "/root/.bashrc", ". /opt/dead/env.sh\n. /opt/x/env.sh\n")
    tree_write(tmp_path, "/opt/x/env.sh", "export LD_PRELOAD=/a.so\n")
    (tmp_path / "opt/dead").mkdir()
    with no_hang(), silent(tmp_path / "opt/dead"):
        found = settings(tree.node(tmp_path))
    assert [(one["name"], one["found"]) for one in found] == [
        ("place-hangs", "/opt/dead/env.sh"),
        ("ld-preload-set", "LD_PRELOAD=/a.so"),
    ]
