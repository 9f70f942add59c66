#!/usr/bin/env bash
# The uninstaller of ops alone.
[ $# -eq 0 ] || { echo "[ERROR]: $1, parameter is not supported." && exit 1; }
cd / || exit 1
home=@HOME@
log=/var/log/ascend_seclog/ascend_ops_@CHIP@_install.log
say() { echo "[ops_@CHIP@] [$(date '+%Y-%m-%d %H:%M:%S')] [INFO]: $1" | tee -a "$log"; }
finish() {
  find "$home" -mindepth 1 -type d -empty -delete
  say 'ops_@CHIP@ uninstall success'
}
say "LogFile:$log"
rm -f "$home/@ARCH@-linux/ascend_ops_install.info" "$home/@ARCH@-linux/script/ops_uninstall.sh"
