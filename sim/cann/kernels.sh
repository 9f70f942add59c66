#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The installer inside the simulated kernels package. What it knows of itself stands in package.env.
set -euo pipefail
umask 0022
cd "$(dirname "$0")"
source ./package.env
source ./common.sh
label=kernels_$chip

read_options "$@"
misbehave
accept_eula
open_log "kernels_$chip"
# The place is two levels above ASCEND_OPP_PATH where set_env.sh was sourced, else the default.
toolkit=$root/ascend-toolkit
[[ -z ${ASCEND_OPP_PATH-} ]] || toolkit=$(dirname "$(dirname "$(readlink -m "$ASCEND_OPP_PATH")")")
home=$toolkit/$version
if [[ $action == uninstall ]]; then
  [[ ! -e $home/opp_kernel/script/uninstall.sh ]] || bash "$home/opp_kernel/script/uninstall.sh"
  exit 0
fi
compgen -G "$home/*-linux/ascend_toolkit_install.info" >/dev/null ||
  die "Please install toolkit, nnae or nnrt version $version before installing kernels $version"
say INFO 'install start'
say INFO "The installation path is $toolkit."
say INFO "install package Ascend${chip^^}-opp_kernel-$inner.run start"
rm -rf "$home/opp_kernel"
copy_component opp_kernel "$home"
other_layout "$home" kernels
ln -sfn "../$version/opp_kernel" "$toolkit/latest/opp_kernel"
install -d -m 0755 "$home/opp_kernel/script"
sed "s|@HOME@|$home|g; s|@TOOLKIT@|$toolkit|g" uninstall-kernels.sh >"$home/opp_kernel/script/uninstall.sh"
for kind in running upgrade installed; do
  grep -q "^opp_kernel_${kind}_version" "$toolkit/latest/version.cfg" ||
    echo "opp_kernel_${kind}_version=[$inner:$version]" >>"$toolkit/latest/version.cfg"
done
say INFO "Ascend${chip^^}-opp_kernel-$inner.run --full --quiet --nox11 install success"
say INFO "Ascend-cann-kernels-${chip}_${version}_linux install success. The installation path is $toolkit."
