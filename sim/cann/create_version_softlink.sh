#!/usr/bin/env bash
# Makes this version the running one: latest is a real folder of one link a component, and version.cfg names the versions.
toolkit=@ROOT@/ascend-toolkit
latest=$toolkit/latest
home=$toolkit/@VERSION@
[ ! -L "$latest" ] || rm -f "$latest" # of the layout cann
install -d -m 0755 "$latest" "$latest/@ARCH@-linux" "$latest/python/site-packages" "$latest/var"
for component in runtime compiler hccl opp toolkit aoe ncs mindstudio-toolkit pyACL opp_kernel; do
  rm -f "$latest/$component"
  [ ! -d "$home/$component" ] || ln -sfn "../@VERSION@/$component" "$latest/$component"
done
ln -sfn "../@VERSION@/opp" "$latest/ops"
for component in lib64 bin include ascend_toolkit_install.info; do
  ln -sfn "../../@VERSION@/@ARCH@-linux/$component" "$latest/@ARCH@-linux/$component"
done
for component in lib64 bin include; do ln -sfn "@ARCH@-linux/$component" "$latest/$component"; done
find "$latest/python/site-packages" -type l -delete
for package in "$home"/python/site-packages/*; do
  ln -sfn "../../../@VERSION@/python/site-packages/${package##*/}" "$latest/python/site-packages/${package##*/}"
done
ln -sfn "./@VERSION@" "$toolkit/@SERIES@"
{
  echo '# version: 1.0'
  for kind in running upgrade installed; do
    for component in runtime compiler hccl opp toolkit aoe ncs opp_kernel; do
      [ ! -d "$home/$component" ] || echo "${component}_${kind}_version=[@INNER@:@VERSION@]"
    done
  done
} >"$latest/version.cfg"
