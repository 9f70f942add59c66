# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What both installers share: options, log, EULA, checks of the place. Sets: action mode quiet for_all root label log.
# The first two arguments are the package's name and the caller's folder, from the archive's header.

conf() { [[ ! -r /etc/ascend-sim/node.conf ]] || sed -n "s/^$1=//p" /etc/ascend-sim/node.conf | tail -n 1; }

stamp() { date +%Y%m%d-%H:%M:%S; }

say() { # say LEVEL TEXT: on the terminal and in the log
  printf '[%s] [%s] [%s] %s\n' "$label" "$(stamp)" "$1" "$2" | tee -a "$log"
}

die() {
  say ERROR "$1"
  exit 1
}

read_options() {
  shift 2
  action='' mode=run quiet=n for_all=n root=/usr/local/Ascend
  local option
  for option in "$@"; do
    case $option in
      --install | --devel | --run) action=install ;;
      --full) action=install mode=full ;;
      --upgrade) action=upgrade ;;
      --uninstall) action=uninstall ;;
      --check) exit 0 ;;
      --version) printf '%s\n' "$version" && exit 0 ;;
      --quiet) quiet=y ;;
      --install-for-all) for_all=y ;;
      --install-path=*) root=${option#*=} ;;
      --force | --type=* | --whitelist=*) ;;
    esac
  done
  [[ -n $action ]] || {
    echo 'Only one of --install, --upgrade, --uninstall, --full, --devel must be given.' >&2
    exit 1
  }
}

open_log() { # open_log NAME
  install -d -m 0750 /var/log/ascend_seclog
  log=/var/log/ascend_seclog/ascend_$1_install.log
  touch "$log"
  chmod 0640 "$log"
  say INFO "LogFile:$log"
}

# The faults that node.conf asks of an installer before it does anything.
misbehave() {
  local fault
  fault=$(conf installer)
  case $fault in
    silent) exit 0 ;;
    hang) sleep 86400 ;;
    exit:*) exit "${fault#exit:}" ;;
  esac
}

accept_eula() {
  [[ $quiet == y || $action == uninstall ]] && return
  printf 'CANN End User License Agreement (simulated: there is nothing to agree to)\nRelease date: November,9th 2023\n'
  printf 'Do you accept the EULA to install CANN?[Y/N]\n'
  local answer=N
  read -r answer || true
  [[ $answer == [Yy] ]] || exit 1
}

# Every parent of the place belongs to root and is 755 or wider; the place itself has others' rights with --install-for-all.
check_place() {
  [[ $root == /* && $root != *//* ]] || die "the install path $root is invalid."
  [[ -d ${root%/*} || ${root%/*} == '' ]] || die "parent path doesn't exist, please create ${root%/*} first"
  local path=$root mode
  while [[ -n $path ]]; do
    if [[ -e $path ]]; then
      mode=$(stat -c %a "$path")
      [[ $(stat -c %u "$path") == 0 && $((8#$mode & 0755)) == $((0755)) ]] ||
        die 'the given dir, or its parents, permission is invalid.'
    fi
    path=${path%/*}
  done
}

check_record() {
  local record=/etc/Ascend/ascend_cann_install.info recorded
  [[ -r $record ]] || return 0
  recorded=$(sed -n 's/^Toolkit_InstallPath=//p' "$record")
  [[ -z $recorded || $recorded == "$root" ]] && return
  [[ $(conf record) == overwrite ]] ||
    die "the install path $root is different from $recorded in $record."
  mv "$record" "$record.$(date +%Y%m%d%H%M%S)"
}

begin() { # begin LOG: what an installer looks at before it touches its place
  misbehave
  accept_eula
  open_log "$1"
  if [[ $(uname -m) != "$arch" ]]; then
    say INFO "The current OS is $(uname -m)"
    die 'No packages to install !'
  fi
  check_place
  check_record
}

write_record() {
  install -d -m 0755 /etc/Ascend
  echo "Toolkit_InstallPath=$root" >/etc/Ascend/ascend_cann_install.info
}

driver() { [[ -e /usr/local/Ascend/driver/version.info ]]; }

summary() { # summary WHAT PACKAGE SET_ENV
  local state='Not installed.' width=$((${#1} + 3))
  ! driver || state='Installed in /usr/local/Ascend/driver.'
  printf '===========\n= Summary =\n===========\n\n'
  printf '%-*s%s\n' "$width" Driver: "$state" "$width" "$1:" "$2 $action success, installed in $root."
  cat <<SUMMARY

Please make sure that the environment variables have been configured.
-  To take effect for all users, you can add "source $3" to /etc/profile.
-  To take effect for current user, you can exec command below: source $3 or add "source $3" to ~/.bashrc.
SUMMARY
}

# What node.conf's layout=other does to a package: the layout of no version that is known. A component's folder has another
# name, another component has no version.info of its own, and the kernels' configuration lies beside their folder.
other_layout() { # other_layout HOME COMPONENT [COMPONENT]: one for the name and one for the version.info, or the kernels
  [[ $(conf layout) == other ]] || return 0
  local kernel=$1/opp/built-in/op_impl/ai_core/tbe/kernel
  if [[ $2 == kernels ]]; then
    mkdir "${kernel%/*}/config"
    mv "$kernel/config/ascend$chip" "${kernel%/*}/config/"
  else
    mv "$1/${info-}$2" "$1/${info-}other-$2"
    mv "$1/${info-}$3/version.info" "$1/${info-}$3/$3.info"
  fi
}

# A component that node.conf names kills the installer in its middle: a half-installed tree, as power cuts leave.
copy_component() { # copy_component NAME TARGET; info is the folder of what is known of components, "" is the target itself
  if [[ $(conf installer) == "dies:$1" ]]; then
    install -d -m 0755 "$2/${info-}$1"
    : >"$2/${info-}$1/version.info"
    kill -KILL $$
  fi
  cp -a "components/$1/." "$2/"
}
