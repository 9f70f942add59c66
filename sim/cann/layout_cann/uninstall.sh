#!/usr/bin/env bash
# The toolkit's own uninstaller. It takes ops away too; links that lead nowhere afterwards go, others are left.
[ $# -eq 0 ] || { echo "[ERROR]: $1, parameter is not supported." && exit 1; }
cd / || exit 1
say() { echo "[Toolkit] [$(date '+%Y-%m-%d %H:%M:%S')] [INFO]: $1" | tee -a /var/log/ascend_seclog/ascend_toolkit_install.log; }
say LogFile:/var/log/ascend_seclog/ascend_toolkit_install.log
rm -rf "@HOME@"
for link in "@ROOT@/cann" "@ROOT@/ascend-toolkit/latest" "@ROOT@/ascend-toolkit/set_env.sh"; do
  [ -e "$link" ] || rm -f "$link"
done
rmdir "@ROOT@/ascend-toolkit" 2>/dev/null
# The record is of whoever is still there.
set -- "@ROOT@"/cann-*/@ARCH@-linux/ascend_toolkit_install.info
[ -e "$1" ] || rm -f /etc/Ascend/ascend_cann_install.info
say 'Toolkit uninstall success'
