# As CANN's own of this layout behaves: it leads to the folder in which it lies, by whatever link it is sourced; entries of
# CANNs in the same place are taken out before its own are put in front, so that sourcing it twice does not pile up. What it
# expands unguarded is unset in a bare session, and fails under set -u.
__cann_env() {
  local home place name entry kept
  home=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
  place=$(dirname "$home")
  for name in PATH LD_LIBRARY_PATH PYTHONPATH; do
    kept=
    while read -r -d : entry; do
      case $entry in
        "$place"/cann[-_/]*) ;;
        *) kept=$kept:$entry ;;
      esac
    done <<<"${!name}:"
    export "$name=${kept#:}"
  done
  local driver=/usr/local/Ascend/driver/lib64
  local libraries=$home/lib64:$home/lib64/plugin/opskernel:$home/lib64/plugin/nnengine
  libraries=$libraries:$home/opp/built-in/op_impl/ai_core/tbe/op_tiling/lib/linux/$(uname -m)
  export PATH="$home/bin:$home/tools/ccec_compiler/bin:$PATH"
  export LD_LIBRARY_PATH="$libraries:$driver:$driver/common:$driver/driver${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
  export PYTHONPATH="$home/python/site-packages:$home/opp/built-in/op_impl/ai_core/tbe:$PYTHONPATH"
  export ASCEND_HOME_PATH=$home ASCEND_TOOLKIT_HOME=$home ASCEND_AICPU_PATH=$home
  export ASCEND_OPP_PATH=$home/opp TOOLCHAIN_HOME=$home/toolkit
  export CMAKE_PREFIX_PATH="$home/lib64/cmake${CMAKE_PREFIX_PATH:+:$CMAKE_PREFIX_PATH}"
}
__cann_env
unset -f __cann_env
