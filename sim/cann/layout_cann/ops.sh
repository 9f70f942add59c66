#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The installer inside the simulated package ops of the layout cann. What it knows of itself stands in package.env.
set -euo pipefail
umask 0022
cd "$(dirname "$0")"
source ./package.env
source ./common.sh
label=ops_$chip
info=share/info/

for option in "$@"; do
  # It knows no full mode, says how it is used, and ends as if all were well.
  [[ $option != --full ]] || { echo 'Usage: --install | --devel | --upgrade | --uninstall  and their options' && exit 0; }
done
read_options "$@"
begin "ops_$chip"
home=$root/cann-$version
if [[ $action == uninstall ]]; then
  [[ -e $home/$arch-linux/script/ops_uninstall.sh ]] || die "there is no ops in $home."
  bash "$home/$arch-linux/script/ops_uninstall.sh"
  exit 0
fi
[[ -e $home/$arch-linux/ascend_toolkit_install.info ]] ||
  die "Please install toolkit version $version in $root before installing ops $version"
say INFO 'install start'
say INFO "The installation path is $root."
[[ ! -e $home/$arch-linux/script/ops_uninstall.sh ]] || bash "$home/$arch-linux/script/ops_uninstall.sh" >>"$log"
for part in "${parts[@]}"; do
  say INFO "install package cann-$chip-${part//_/-}_${version}_linux-$arch.run start"
  copy_component "$part" "$home"
  say INFO "cann-$chip-${part//_/-}_${version}_linux-$arch.run --full --quiet --nox11 install success"
done
other_layout "$home" kernels
sed "s|@HOME@|$home|g" install.info >"$home/$arch-linux/ascend_ops_install.info"
{
  sed "s|@HOME@|$home|g; s|@ROOT@|$root|g; s|@ARCH@|$arch|g; s|@CHIP@|$chip|g" ops_uninstall.sh
  # What it takes away: all that its parts brought.
  (cd components && for part in *; do (cd "$part" && find . ! -type d -printf 'rm -f "$home/%P"\n'); done)
  echo finish
} >"$home/$arch-linux/script/ops_uninstall.sh"
summary "ops_$chip" "Ascend-cann-$chip-ops_${version}_linux-$arch" "$root/cann/set_env.sh"
