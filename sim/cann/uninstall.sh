#!/usr/bin/env bash
# The toolkit's own uninstaller. It takes the kernels of its version away too, and makes a remaining version the running one.
[ $# -eq 0 ] || { echo "[ERROR]: $1, parameter is not supported." && exit 1; }
cd / || exit 1
toolkit=@ROOT@/ascend-toolkit
rm -rf "@HOME@"
for link in "$toolkit"/[0-9]*.*; do [ -e "$link" ] || rm -f "$link"; done
if [ "$(readlink "$toolkit/latest/runtime")" = "../@VERSION@/runtime" ]; then rm -rf "$toolkit/latest"; fi
remaining=$(find "$toolkit" -mindepth 2 -maxdepth 2 -name create_version_softlink.sh -printf '%T@ %p\n' | sort -n | tail -n 1)
if [ -z "$remaining" ]; then
  rm -f /etc/Ascend/ascend_cann_install.info
elif [ ! -e "$toolkit/latest" ]; then
  bash "${remaining#* }"
fi
echo "[Toolkit] [$(date '+%Y%m%d-%H:%M:%S')] [INFO]: toolkit uninstall success"
