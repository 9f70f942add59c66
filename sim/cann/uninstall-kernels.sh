#!/usr/bin/env bash
# The kernels' own uninstaller.
rm -rf "@HOME@/opp_kernel" "@HOME@/opp/built-in/op_impl/ai_core/tbe/kernel" "@TOOLKIT@/latest/opp_kernel"
sed -i '/^opp_kernel_/d' "@TOOLKIT@/latest/version.cfg"
echo '[Opp_Kernel] [INFO]: Opp_kernel uninstall success'
