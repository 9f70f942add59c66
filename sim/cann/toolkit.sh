#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The installer inside the simulated toolkit package. What it knows of itself stands in package.env.
set -euo pipefail
umask 0022
cd "$(dirname "$0")"
source ./package.env
source ./common.sh
label=Toolkit
components=(runtime compiler hccl opp test-ops toolkit aoe ncs mindstudio-toolkit pyACL)

series() { # X.Y, by which CANN's links name the running version: of 8.0.RC1.alpha001, too
  local numbers=${version%%[!0-9.]*}
  [[ $numbers =~ ^[0-9]+\.[0-9]+ ]] && echo "${BASH_REMATCH[0]}"
}

links() { # make it the running version, by the script that stays with it
  local script=$home/create_version_softlink.sh
  sed "s|@ROOT@|$root|g; s|@VERSION@|$version|g; s|@ARCH@|$arch|g; s|@SERIES@|$(series)|g; s|@INNER@|$inner|g" \
    create_version_softlink.sh >"$script"
  bash "$script"
}

remove() {
  rm -rf "$home"
  local latest=$root/ascend-toolkit/latest
  [[ $(readlink "$latest/runtime" 2>/dev/null) != "../$version/runtime" ]] || rm -rf "$latest"
  local link
  link=$root/ascend-toolkit/$(series)
  [[ $(readlink "$link" 2>/dev/null) != "./$version" ]] || rm -f "$link"
}

install_compiler_python() { # pip3 of whoever installs, as CANN's compiler does
  if ! pip3 install --quiet --no-index --no-deps --force-reinstall -t "$home/python/site-packages" wheels/te-*.whl >>"$log" 2>&1; then
    say ERROR 'pip3 is not found or cannot install te, please check pip3 in PATH.'
    say ERROR "CANN-compiler-$version-linux.$arch.run --full --pylocal --quiet --nox11 install failed"
    remove
    exit 1
  fi
}

install_all() {
  local component
  install -d -m 0755 "$root" "$root/ascend-toolkit" "$home" "$home/var"
  for component in "${components[@]}"; do
    say INFO "install package CANN-$component-$version-linux.$arch.run start"
    copy_component "$component" "$home"
    [[ $component != compiler ]] || install_compiler_python
    say INFO "CANN-$component-$version-linux.$arch.run --full --quiet --nox11 --install-for-all install success"
  done
  cp -a components/arch/. "$home/"
  other_layout "$home" toolkit hccl
  rm -f "$root/ascend-toolkit/set_env.sh" # of the layout cann it is a link
  sed "s|@HOME@|$root/ascend-toolkit/latest|g" set_env.sh >"$root/ascend-toolkit/set_env.sh"
  sed "s|@HOME@|$home|g" set_env.sh >"$home/$arch-linux/script/set_env.sh"
  sed "s|@HOME@|$home|g; s|@ROOT@|$root|g; s|@VERSION@|$version|g" uninstall.sh >"$home/$arch-linux/script/uninstall.sh"
  sed -i "s|@HOME@|$home|g; s|@ROOT@|$root|g" "$home/$arch-linux/ascend_toolkit_install.info" "$home/$arch-linux/install.conf"
  links
  write_record
}

read_options "$@"
home=$root/ascend-toolkit/$version
begin toolkit
if [[ $action == uninstall ]]; then
  remove
  rm -f /etc/Ascend/ascend_cann_install.info
  say INFO "Ascend-cann-toolkit_${version}_linux-$arch uninstall success"
  exit 0
fi
say INFO 'install start'
say INFO "The installation path is $root."
driver || say WARNING 'driver package maybe not installed'
if [[ $action == upgrade ]]; then
  running=$(readlink "$root/ascend-toolkit/latest/runtime") ||
    die 'Can not find softlink for this package in latest directory, upgrade failed'
  running=${running#../}
  rm -rf "${root:?}/ascend-toolkit/${running%%/*}"
fi
remove
install_all
summary Toolkit "Ascend-cann-toolkit_${version}_linux-$arch" "$root/ascend-toolkit/set_env.sh"
