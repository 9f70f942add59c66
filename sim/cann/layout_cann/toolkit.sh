#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The installer inside the simulated toolkit package of the layout cann. What it knows of itself stands in package.env.
set -euo pipefail
umask 0022
cd "$(dirname "$0")"
source ./package.env
source ./common.sh
label=Toolkit
info=share/info/

# Without a driver a plain --install leaves pyACL out: then --full is what installs everything.
wanted() { [[ $1 != pyACL || $mode == full ]] || driver; }

install_python() { # pip3 of whoever installs
  if ! pip3 install --quiet --no-index --no-deps --force-reinstall -t "$home/python/site-packages" wheels/te-*.whl >>"$log" 2>&1; then
    say ERROR 'pip3 is not found or cannot install te, please check pip3 in PATH.'
    say ERROR "cann-ge-compiler_${version}_linux-$arch.run --full --pylocal --quiet --nox11 install failed"
    rm -rf "$home"
    exit 1
  fi
}

install_all() {
  local part
  install -d -m 0755 "$root" "$home"
  for part in "${parts[@]}"; do
    wanted "$part" || continue
    say INFO "install package cann-${part}_${version}_linux-$arch.run start"
    copy_component "$part" "$home"
    [[ $part != ge-compiler ]] || install_python
    say INFO "cann-${part}_${version}_linux-$arch.run --full --quiet --nox11 --install-for-all install success"
  done
  cp set_env.sh "$home/set_env.sh"
  sed "s|@HOME@|$home|g" install.info >"$home/$arch-linux/ascend_toolkit_install.info"
  sed "s|@HOME@|$home|g; s|@ROOT@|$root|g; s|@ARCH@|$arch|g" uninstall.sh >"$home/$arch-linux/script/uninstall.sh"
  other_layout "$home" hcomm runtime
  links
  write_record
}

links() { # this version becomes the running one, also for those who come by the older layout's names
  local older=$root/ascend-toolkit
  ln -sfn "cann-$version" "$root/cann"
  install -d -m 0755 "$older"
  rm -rf "$older/latest" "$older/set_env.sh"
  ln -s "$root/cann" "$older/latest"
  ln -s "$older/latest/set_env.sh" "$older/set_env.sh"
}

read_options "$@"
home=$root/cann-$version
begin toolkit
if [[ $action == uninstall ]]; then
  [[ -e $home/$arch-linux/script/uninstall.sh ]] || die "there is no toolkit in $home."
  bash "$home/$arch-linux/script/uninstall.sh"
  exit 0
fi
say INFO 'install start'
say INFO "The installation path is $root."
driver || say WARNING 'driver package maybe not installed'
if [[ $action == upgrade ]]; then
  running=$(readlink -e "$root/cann") || die "there is no toolkit in $root, upgrade failed"
  rm -rf "${running:?}"
fi
rm -rf "${home:?}" # with its ops
install_all
summary Toolkit "Ascend-cann-toolkit_${version}_linux-$arch" "$root/cann/set_env.sh"
