#!/usr/bin/env bash
# The toolkit's own uninstaller. It takes the kernels of its version away too.
[ $# -eq 0 ] || { echo "[ERROR]: $1, parameter is not supported." && exit 1; }
rm -rf "@HOME@"
if [ "$(readlink "@ROOT@/ascend-toolkit/latest/runtime")" = "../@VERSION@/runtime" ]; then rm -rf "@ROOT@/ascend-toolkit/latest"; fi
rm -f /etc/Ascend/ascend_cann_install.info
echo "[Toolkit] [$(date '+%Y%m%d-%H:%M:%S')] [INFO]: toolkit uninstall success"
