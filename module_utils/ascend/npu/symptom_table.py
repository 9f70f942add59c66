# SPDX-License-Identifier: Apache-2.0
"""What a node's failing tools say, what it means, and what helps. Data for ``symptoms``.

The order is the rank: causes come before consequences, and families of codes after their known members. A name may
have two rows, if the same trouble needs different words. docs/troubleshooting.md lists every name.

Words that every program uses (a permission, a missing command, a crash) count as evidence only beside something
definite, such as a path, a program or a symbol. Alone they match a fallback, which says what is unknown.

Sources, in brackets: dcmi, drv, smi = header files and npu-smi of hicann/driver; acl, err = list of aclError and
error_code.json of CANN; pta = NPUErrorCodes.h of Ascend/pytorch; hccl = messages of HCCL. The others are threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

Words = Tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One symptom, shown if a line has one of ``phrases`` and none of ``unless``, or the text has one of the rest.

    A phrase is written as the tool writes it; case, blanks and quotes are ignored. In it, " .. " stands for anything on
    the line, and a line feed for the line's edge. ``codes``, ``libraries`` (shared objects that were not found),
    ``modules`` (Python modules that were not found) and ``symbols`` (functions that a library lacks; "atb::" means that
    C++ namespace) take "*", "?" and "[A-Z]" as in file names. A ``fallback`` is shown only if no other row matches.
    ``{path}``, ``{program}`` and ``{symbol}`` in a remedy are replaced with what the line names.
    """

    name: str
    what: str
    remedy: str
    phrases: Words = ()
    codes: Words = ()
    libraries: Words = ()
    modules: Words = ()
    symbols: Words = ()
    unless: Words = ()
    fallback: bool = False


REPAIR = "ansible-playbook site.yml --limit NODE"
PLOG = "grep -rh ERROR ~/ascend/log/debug/plog | tail -n 30"
FIND_USER = "npu-smi info; fuser -v /dev/davinci*  # end the job or container that uses it, then wait 10 s"
KERNEL_LOG = "dmesg | grep -iE 'davinci|ascend|drv' | tail"

TABLE = (
    # The tools themselves
    Row("wrong-architecture",  # execve(2); dlopen(3); CANN's installer
        "the program or package was built for another processor architecture, or its file is damaged",
        "uname -m; file -L {path}  # install the package for this architecture",
        phrases=("exec format error", "cannot execute binary file", "wrong ELF class", "invalid ELF header",
                 "qemu- .. Could not open", "No packages to install !",
                 "architecture of the run package is inconsistent")),
    Row("interpreter-missing",  # execve(2): a script's first line, or the loader that an ELF file names
        "the interpreter of this script, or the loader of this program, is missing",
        "head -n 1 {path}; file {path}  # was the environment moved? is it for another C library?",
        phrases=("bad interpreter", "required file not found")),
    Row("shared-memory-full",  # torch DataLoader
        "the shared memory (/dev/shm) is too small for the worker processes",
        "df -h /dev/shm; ipcs -m  # in a container: --shm-size=16g or --ipc=host",
        phrases=("insufficient shared memory", "workers are out of shared memory", "/dev/shm .. No space left",
                 "No space left .. /dev/shm", "unable to write to file </torch_", "file </torch_ .. No space left")),
    Row("host-out-of-memory",
        "the program cannot get more memory, because the node has none left or a limit is reached",
        "free -g; ps aux --sort=-rss | head; ulimit -a  # in a container, check its own limit",
        phrases=("Cannot allocate memory", "std::bad_alloc", "bytes of host memory", "\nMemoryError"),
        codes=("200000", "EE1013", "EH0010", "EK0201"),
        unless=("static TLS",)),
    Row("process-killed",
        "the kernel killed the process because the node or its container ran out of memory",
        "dmesg | grep -i 'killed process' | tail; free -g",
        phrases=("Killed process", "oom-kill", "oom_reaper")),
    Row("tool-crashed",
        "a tool of the driver crashed",
        "dmesg | tail  # run it again as root; if it still crashes, reinstall the driver",
        phrases=("npu-smi .. segmentation fault", "npu-smi .. core dumped", "hccn_tool .. segmentation fault",
                 "hccn_tool .. core dumped", "segmentation fault .. npu-smi", "segmentation fault .. hccn_tool")),
    Row("pip-missing",
        "this Python has no pip3, which CANN's installer needs",
        REPAIR + "  # installs its own Python before CANN; environments need no pip",
        phrases=("pip3: command not found", "pip3: not found", "pip3 is not installed", "command not found: pip3"),
        modules=("pip",)),
    Row("command-not-found",
        "a tool of the driver is not installed, or not on this session's PATH",
        "ls /usr/local/bin/npu-smi /usr/local/sbin/npu-smi /usr/local/Ascend/driver/tools  # if there are none, "
        "install the driver",
        phrases=tuple(words % tool for tool in ("npu-smi", "hccn_tool", "msnpureport", "ascend-dmi") for words in (
            "%s: command not found", "command not found: %s", "%s: not found", "%s: No such file",
            "No such file or directory: %s", "%s: 未找到命令"))),
    Row("sudo-needs-password",
        "sudo asks for a password, and nobody can type one",
        "ansible-playbook ... --ask-become-pass  # or give the account a NOPASSWD rule",
        phrases=("sudo: a password is required", "sudo: a terminal is required", "is not in the sudoers file",
                 "no tty present and no askpass")),
    Row("disk-full",  # makeself; [err]
        "a disk is full, has no inodes left, or a quota is reached",
        "df -h; df -i  # which disk has {path}? installers unpack into TMPDIR, so put that on a larger disk",
        phrases=("No space left on device", "Not enough space left in", "Disk quota exceeded",
                 "Insufficient disk space"),
        codes=("EK0204",),
        unless=("inotify", "semget", "semaphore", "shmget", "/dev/shm", "</torch_")),
    Row("file-system-read-only",
        "a file system is mounted read-only, or disk errors made it read-only",
        "findmnt -lo TARGET,OPTIONS | grep -w ro; dmesg | tail  # which of them has {path}?",
        phrases=("Read-only file system", "只读文件系统"),
        unless=("kernel_meta",)),
    # npu-smi and the driver
    Row("card-held-elsewhere",  # [dcmi] [smi] [drv] [err]
        "another container or process uses a card",
        FIND_USER,
        phrases=("because the device is used", "device is used. ret", "is occupied by Docker",
                 "davinci .. resource busy", "resource busy .. davinci", "Resource_Busy", "The resources are busy"),
        codes=("-8020", "-9020", "drvRetCode=87", "EL0005", "EL0015")),
    Row("device-upgrading",  # [dcmi]
        "the card's firmware is being upgraded",
        "npu-smi upgrade -q mcu -i 0  # wait until it ends; do not power off",
        codes=("-8017", "-9021")),
    Row("query-not-in-container",  # [dcmi]
        "the driver does not answer this query inside a container",
        "run the command on the host itself",
        codes=("-8013", "-9013")),
    Row("query-not-supported",  # [smi] [dcmi]
        "this card or driver does not support the query",
        "nothing is broken; skip the query, or use a newer driver",
        phrases=("This device does not support", "This device dose not support", "This device doesn't support",
                 "does not support querying", "does not support setting"),
        codes=("-8255", "-9255", "-9256")),
    Row("card-lost",  # [smi] [dcmi] [drv] [err]
        "the driver does not know this card, which fell off the bus, or its number is wrong",
        "npu-smi info -l; lspci | grep -i d80  # if a card is missing, reboot; if it stays missing, contact the vendor",
        phrases=("Invalid card id", "Invalid phy id"),
        codes=("-8007", "-8008", "-9007", "-9008", "drvRetCode=2", "EL0001")),
    Row("card-hung",  # [acl] [drv]
        "a card lost its heartbeat, because it hangs, is being reset, or lost its connection to the driver",
        "npu-smi info -t health -i N; " + KERNEL_LOG + "  # then reset the card, or reboot",
        phrases=("task scheduler loses the heartbeat", "device .. lost heartbeat", "lost heartbeat .. device",
                 "device is abnormal", "HDC) session is disconnected"),
        codes=("507010", "507901", "drvRetCode=33", "drvRetCode=43", "drvRetCode=45")),
    Row("card-memory-faulty",  # [acl]
        "a card's memory has uncorrectable errors",
        "npu-smi info -t ecc -i N  # take the card out of use and contact the vendor",
        phrases=("\nUCE ERROR", ":UCE ERROR", "]UCE ERROR", "HBM MULTI BIT ECC"),
        codes=("507053", "507054", "507055", "507057")),
    Row("driver-library-missing",  # vllm-ascend#6264, matpool/npu-exporter
        "a library of the NPU driver is missing",
        "ls /usr/local/Ascend/driver/lib64/{common,driver}; ldconfig -p | grep -i ascend  # if there are none, "
        "reinstall the driver",
        libraries=("libdrv*", "libdcmi*", "libc_sec*", "libascend_hal*", "libmmpa*", "libdevmmap*", "libdsmi*",
                   "libslog*", "libnpu_smi*")),
    Row("driver-not-answering",  # [dcmi] [drv]
        "the driver says that it is not ready yet",
        "wait a minute, then npu-smi info; if it is still not ready, " + KERNEL_LOG + ", then reboot",
        codes=("-8012", "-9012", "drvRetCode=34", "drvRetCode=51")),
    Row("driver-not-answering",  # mind-cluster FAQ: -8005 where the reboot after a firmware change was left out
        "the NPU driver does not answer",
        "npu-smi info  # as root, on the host; if driver or firmware were changed, reboot; else " + KERNEL_LOG
        + ", then reinstall the driver",
        phrases=("Failed to obtain the number of devices", "The device failed to be connected",
                 "TSDaemon process is abnormal", *(
                     words % part for part in ("dcmi", "dsmi", "drv", "hdc", "davinci")
                     for words in ("%s .. rpc .. fail", "%s .. rpc .. error", "%s .. rpc .. time"))),
        codes=("-8005", "-8006", "-8009", "-8010", "-8011", "-9006", "-9009", "-9010", "-9011", "drvRetCode=4",
               "drvRetCode=7", "drvRetCode=9", "drvRetCode=16", "drvRetCode=17", "E30005", "E39002", "E39005",
               "E39009"),
        unless=("grpc", "torch", "json")),
    Row("driver-module-refused",  # modprobe(8)
        "the kernel refuses the driver's modules, which were built for another kernel or are not signed",
        "uname -r; lsmod | grep drv_; dmesg | tail  # reinstall the driver for this kernel, then reboot",
        phrases=tuple(words % part for part in ("drv_", "davinci", "ascend") for words in (
            "could not insert .. %s", "modprobe: FATAL .. %s", "%s .. Unknown symbol",
            "%s .. disagrees about version of symbol", "%s .. Key was rejected", "%s .. Invalid module format"))),
    Row("kernel-headers-missing",
        "the driver cannot build its modules, because the running kernel's headers are missing",
        "apt-get install linux-headers-$(uname -r) || dnf install kernel-devel-$(uname -r)",
        phrases=("/lib/modules/ .. /build .. No such file", "kernel headers .. not", "kernel source .. not found",
                 "kernel-devel .. not")),
    Row("driver-user-missing",  # hicann/driver env_check.sh
        "the account HwHiAiUser, which the driver needs, does not exist",
        "groupadd HwHiAiUser; useradd -g HwHiAiUser -d /home/HwHiAiUser -m HwHiAiUser -s /bin/bash",
        phrases=("HwHiAiUser not exists",),
        codes=("ERR_NO:0x0091",)),
    Row("no-permission",  # vllm-ascend#9490
        "this account is not allowed to use the cards",
        "id; ls -l /dev/davinci*  # run as root, or usermod -aG HwHiAiUser USER and log in again",
        phrases=("not have the operation permission", "User is not belong to", "npu-smi: Permission denied",
                 "hccn_tool: Permission denied", *(
            pattern % words for words in ("Permission denied", "Operation not permitted", "权限不够")
            for device in ("davinci", "devmm_svm", "hisi_hdc", "dvpp_cmdlist")
            for pattern in ("/dev/" + device + " .. %s", "%s .. /dev/" + device))),
        codes=("-8002", "-9002", "207006", "drvRetCode=46", "drvRetCode=88", "EL0007", "ERR_NO:0x0093", "ERR??012")),
    Row("working-folder-not-writable",  # vllm-ascend#433
        "CANN's operator compiler (TBE) cannot write kernel_meta into the working folder as this account",
        "cd ~ && COMMAND  # or any folder that this account can write to",
        phrases=tuple(pattern % words for words in ("Permission denied", "Read-only file system", "权限不够")
                      for pattern in ("kernel_meta .. %s", "%s .. kernel_meta"))),
    Row("temporary-folder-noexec",  # makeself: the scripts that it unpacked
        "the programs that a package unpacked cannot run, because their file system is mounted noexec",
        "findmnt -l | grep noexec  # is {path} on one of them? put TMPDIR on another disk",
        phrases=("selfgz .. Permission denied", "makeself .. Permission denied")),
    # CANN's installers
    Row("package-damaged",  # makeself's header
        "a package is truncated or damaged",
        "ansible-playbook playbooks/depot.yml  # fetch it again, and check it with sha256sum FILE",
        phrases=("Error in SHA256 checksums", "Error in MD5 checksums", "Unexpected archive size",
                 "please check this package", "sha256 .. mismatch", "End-of-central-directory signature not found")),
    Row("tar-missing",
        "the system has no tar, so the package cannot unpack itself",
        "apt-get install tar || dnf install tar",
        phrases=("tar: command not found", "\ntar: not found", ":tar: not found", "command not found: tar",
                 "tar: 未找到命令")),
    Row("install-path-refused",
        "CANN's installer refuses the folder because of its owner or mode, or a parent's",
        "namei -l /usr/local/Ascend  # chown root:root and chmod 0755 each of them",
        phrases=("or its parents, permission is invalid", "does not support install_for_all",
                 "unsecure install-path", "parent path doesn't exist")),
    Row("kernels-need-toolkit",  # ascend-deployer
        "the kernels package found no toolkit of its own version",
        REPAIR + "  # by hand: install the toolkit, source its set_env.sh, then install kernels of its version",
        phrases=("Please install toolkit", "before installing kernels")),
    Row("install-already-running",
        "another installation is running",
        "ps aux | grep [.]run  # wait until it ends, then try again",
        phrases=("do not execute multiple tasks at the same time", "already a process being executed"),
        codes=("ERR_NO:0x0094",)),
    Row("cann-half-installed",
        "an interrupted installation of CANN left parts behind",
        REPAIR + "  # repairs it; by hand: uninstall, then install again",
        phrases=("please retry after uninstall", "Can not find softlink for this package",
                 "package install failed, please retry")),
    Row("set-env-in-strict-shell",
        "set_env.sh was sourced by a shell with `set -u`, which it does not tolerate",
        "/usr/local/bin/ascend-env COMMAND  # or run set +u before you source it",
        phrases=("LD_LIBRARY_PATH: unbound variable", "PYTHONPATH: unbound variable",
                 "LD_LIBRARY_PATH: parameter not set")),
    # Python environments
    Row("torch-npu-source-folder",  # Ascend/pytorch faq
        "Python imports torch_npu from a source folder that was not built",
        "cd ~  # leave the source folder, then try again",
        modules=("torch_npu._c",)),
    Row("setuptools-wrong",  # gsplat#899
        "setuptools is too new (82 and later have no pkg_resources) or is 70.0.0",
        REPAIR + "  # or uv pip install 'setuptools<81'",
        phrases=("cannot import name packaging from pkg_resources",),
        modules=("pkg_resources",)),
    Row("numpy-too-new",  # LLaMA-Factory PR#4382
        "numpy 2 is installed, and this software needs numpy 1",
        REPAIR + "  # or uv pip install 'numpy<2'",
        phrases=("np.float_ was removed", "_ARRAY_API not found", "compiled using NumPy 1.x cannot be run",
                 "numpy .. no attribute float_", "numpy.core.multiarray failed to import",
                 "numpy.dtype size changed")),
    Row("cann-python-module-missing",  # LLaMA-Factory PR#3930
        "this Python lacks a module that CANN's operator compiler (TBE) needs",
        REPAIR + "  # restores what the lock names: decorator, attrs, psutil, scipy, cloudpickle, ...",
        phrases=("Failed to import Python module",),
        codes=("EC0010", "E40020", "E40024"),
        modules=("decorator", "attr", "attrs", "cloudpickle", "tornado", "absl", "pathlib2", "synr")),
    Row("cann-environment-not-set",  # Ascend/pytorch#29; [acl]
        "CANN's variables are not set in this session, because set_env.sh was not sourced",
        "/usr/local/bin/ascend-env COMMAND  # or source the set_env.sh of your CANN, also in "
        "cron, systemd, sudo",
        phrases=("KeyError: ASCEND_HOME_PATH", "_PATH environment variable is not set",
                 "check that the cann package is installed", "ASCEND_OPP_PATH is not set",
                 "ASCEND_OPP_PATH does not exist"),
        codes=("148049", "E20002"),
        modules=("acl", "tbe", "te", "hccl")),
    Row("protobuf-mismatch",
        "protobuf is too new for CANN's generated files",
        "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION=python COMMAND  # or uv pip install 'protobuf<3.21'",
        phrases=("Descriptors cannot be created directly", "Descriptors cannot not be created directly")),
    Row("torch-npu-mismatch",  # Ascend/pytorch#35, #37
        "torch and torch-npu do not match",
        REPAIR + "  # torch-npu X.Y.Z.postN works only with torch X.Y.Z",
        phrases=("no attribute get_npu_backend",),
        symbols=("c10::", "torch::", "at::", "caffe2::", "c10d::", "c10_npu::", "at_npu::", "torch_npu::", "THP*")),
    Row("stub-libraries-first",  # [acl]
        "a stub library comes before the real one in LD_LIBRARY_PATH",
        "echo $LD_LIBRARY_PATH | tr : '\\n' | grep -nE 'stub|devlib'  # move it to the end, or remove it",
        symbols=("aclprofSetConfig",),
        codes=("100039",)),
    Row("nnal-mismatch",  # vllm-ascend#117
        "CANN's acceleration library (nnal, ATB) is not the version that the program was built for, or was not sourced",
        "source /usr/local/Ascend/nnal/atb/set_env.sh  # install the nnal of the same version as CANN",
        symbols=("atb::", "Mki::", "AsdOps::", "AsdSip::", "asdBlas*")),
    Row("cann-mismatch",  # triton-ascend#328
        "CANN's libraries are not the version that the program was built for, or libraries of another CANN come first",
        "/usr/local/bin/ascend-env COMMAND  # if it still fails, install CANN and torch-npu of "
        "one release; echo $LD_LIBRARY_PATH",
        symbols=("Msprof*", "acl*", "ge::", "gert::", "GE*", "Hccl*", "hccl::", "Hcom*", "hcom::", "rt[A-Z]*", "op::",
                 "domi::", "optiling::", "platform_ascendc::", "fe::", "cce::", "Adx::", "Adx*", "Adump*", "Dlog*",
                 "dlog*", "error_message::", "ErrorManager::")),
    Row("library-versions-mixed",
        "a library of the driver is not the version that the program was built for",
        "cat /usr/local/Ascend/driver/version.info; echo $LD_LIBRARY_PATH  # one driver; in a container, the host's",
        symbols=("drv[A-Z]*", "hal[A-Z]*", "dcmi*", "dsmi*", "devdrv*", "devmm*")),
    Row("python-mismatch",
        "a library was built for a different Python than the one that loads it",
        "python3 --version; which -a python3  # " + REPAIR,
        symbols=("Py[A-Z]*", "_Py*")),
    Row("static-tls-block",  # Ascend/pytorch#7
        "a library was loaded too late to get static thread-local storage (on aarch64: libgomp)",
        "find / -name 'libgomp*.so*' -path '*torch*' 2>/dev/null  # then LD_PRELOAD=FILE COMMAND",
        phrases=("in static TLS block",)),
    Row("c-library-too-old",
        "the operating system's C library is older than the program needs",
        "ldd --version  # use a newer operating system",
        phrases=("version GLIBC_ .. not found",)),
    Row("c-library-too-old",
        "the C++ library that was found first is older than the program needs",
        "strings {path} | grep GLIBCXX | tail -n 1; echo $LD_LIBRARY_PATH  # is conda's before the system's? else "
        "use a newer system",
        phrases=("version GLIBCXX_ .. not found", "version CXXABI_ .. not found")),
    Row("torch-cpu-build-missing",  # lmdeploy#2745
        "pip looks for torch +cpu, which only PyTorch's own index has (x86_64)",
        "ansible-playbook playbooks/depot.yml  # or pip --extra-index-url of PyTorch's CPU builds",
        phrases=("no version of torch== .. +cpu", "No matching distribution found for torch== .. +cpu",
                 "satisfies the requirement torch== .. +cpu", "torch== .. +cpu .. conflict")),
    Row("no-wheel-for-this-python",  # Ascend/pytorch#18
        "the index has no wheel for this Python version and machine, or could not be reached",
        "python3 --version; uname -m; pip config list  # torch-npu 2.1.0.post3 needs Python 3.8 to 3.10",
        phrases=("No matching distribution found for torch", "satisfies the requirement torch",
                 "is not a supported wheel on this platform"),
        unless=("+cpu",)),
    Row("wheel-not-as-locked",  # pip, uv
        "a downloaded file is not the one that the lock names",
        "ansible-playbook playbooks/depot.yml  # then try again",
        phrases=("DO NOT MATCH THE HASHES", "Hash mismatch for")),
    Row("version-check-refused",
        "LLaMA-Factory or transformers refuses the version of a distribution",
        REPAIR + "  # restores the lock's versions",
        phrases=("required for a normal functioning of this module", "To fix: run pip install")),
    Row("llamafactory-files-missing",
        "old tags of LLaMA-Factory lack the files dataset_info.json and ds_z*_config.json",
        "point dataset_dir and deepspeed to your own files",
        phrases=("dataset_info.json .. No such file", "No such file .. dataset_info.json",
                 "Cannot open .. dataset_info.json", "No such file .. ds_z", "ds_z .. .json .. No such file")),
    Row("deepspeed-build-failed",  # DeepSpeed#7061
        "DeepSpeed cannot build its CPU optimiser, because a compiler, ninja, libaio or CANN's variables are missing",
        "apt-get install g++ ninja-build libaio-dev || dnf install gcc-c++ ninja-build libaio-devel  # or no offload",
        phrases=("ds_opt_adam", "Ninja is required to load", "Error building extension cpu_",
                 "Error building extension async_io", "Error building extension fused_", "async_io .. not",
                 "async_io requires"),
        libraries=("libaio*",),
        modules=("ninja",)),
    Row("cxx-headers-missing",
        "CANN's compiler finds no C++ headers",
        "apt-get install g++ || dnf install gcc-c++",
        phrases=("type_traits file not found", "filesystem file not found")),
    # CANN's libraries
    Row("nnal-missing",  # vllm-ascend#152
        "CANN's acceleration library (nnal, ATB) is not installed or was not sourced",
        "source /usr/local/Ascend/nnal/atb/set_env.sh  # vLLM needs it, LLaMA-Factory does not",
        libraries=("libatb*", "libmki*", "libasdops*")),
    Row("cann-libraries-missing",  # vllm-ascend#262
        "CANN's libraries are missing, because set_env.sh was not sourced or the toolkit is damaged",
        "/usr/local/bin/ascend-env COMMAND  # if it still fails, repair the toolkit: " + REPAIR,
        phrases=("Please run source set_env.sh",),
        libraries=("libhccl*", "libhcom*", "libascend*", "libacl_*", "libaclnn*", "libge_*", "libgraph.so",
                   "libgraph_*", "libruntime*", "libregister.so", "libplatform.so", "liberror_manager*",
                   "libopapi*", "libnnopbase*",
                   "libprofapi*", "libmsprof*", "libunified_dlog*", "libalog*", "libtiling*", "libte_fusion*",
                   "libmetadef*", "libexe_graph*", "liblowering*", "libaicpu*", "libcce*", "libop_*",
                   "libopt_feature*", "libcust_opapi*")),
    Row("torch-library-missing",
        "a library of torch or torch-npu is missing, because the environment is damaged",
        REPAIR,
        libraries=("libtorch*", "libc10*")),
    Row("opp-not-verified",  # vllm-ascend#4284; [err]
        "the driver refuses CANN's operator package, which does not match it or is damaged",
        "cat /usr/local/Ascend/driver/version.info  # install the driver that the release names, then " + REPAIR,
        phrases=("Failed to verify the OPP", "Failed to verify the signature of package"),
        codes=("E30006", "E30009", "E39006")),
    Row("driver-files-damaged",  # [err]
        "a program that the driver or CANN loads onto the card is damaged",
        "ls -lR /usr/local/Ascend/driver/device  # reinstall the driver, then reboot",
        codes=("E30004", "E39008", "E39011")),
    Row("cann-too-old",  # vllm PR#8054
        "CANN is too old for torch-npu and lacks an operator that it calls",
        REPAIR + "  # installs CANN and torch-npu of one release",
        phrases=("not in libopapi.so",)),
    Row("driver-too-old",  # gpustack#755; [acl]
        "the driver is too old for this CANN",
        "cat /usr/local/Ascend/driver/version.info  # install the driver that the release names, then reboot",
        phrases=("driver version capability is insufficient", "driver version capacity is insufficient",
                 "driver version is too low", "driver version .. not match", "Check version does not matched"),
        codes=("207019", "EE1015"),
        unless=("nvidia", "cuda", "nvml")),
    Row("kernels-missing",  # LLaMA-Factory#3796
        "operator binaries are missing: the kernels package is absent, or is for another chip or version",
        REPAIR + "  # installs kernels for this chip (910b), of the toolkit's version",
        phrases=("does not has any binary", "does not have any binary", "Parse dynamic kernel config fail",
                 "binary_info_config.json .. fail", "binary_info_config.json .. not",
                 "binary_info_config.json .. No such", "No such .. binary_info_config.json",
                 "fail .. binary_info_config.json", "Cannot find bin of op", "Cannot find binary for op",
                 "opp_kernels is not installed", "No supported Ops kernel", "opp_kernel is not installed"),
        codes=("EZ3002", "EZ3003", "EZ0501", "EZ9010", "E22001", "100024", "100029", "561003")),
    Row("operator-not-compiled",  # [err]
        "CANN could not compile an operator",
        PLOG,
        phrases=("Failed to compile Op",),
        codes=("E20001", "E40021", "E40001", "E40002")),
    # The cards' number and state
    Row("visible-devices-wrong",  # gpustack#3352
        "ASCEND_RT_VISIBLE_DEVICES names a card that does not exist",
        "echo $ASCEND_RT_VISIBLE_DEVICES; ls /dev/davinci*  # unset it, or count the cards seen here "
        "from 0",
        phrases=("set ASCEND_RT_VISIBLE_DEVICES .. error", "set ASCEND_RT_VISIBLE_DEVICES .. invalid",
                 "Set visible device failed",
                 "environment variable ASCEND_RT_VISIBLE_DEVICES is invalid"),
        codes=("EE2002",)),
    Row("device-number-invalid",  # [acl] [err]
        "the program asks for a card number that does not exist",
        "python -c 'import torch, torch_npu; print(torch.npu.device_count())'  # numbers run from 0",
        phrases=("Set device failed, invalid device", "valid device range is", "Invalid device ID",
                 "device id error", "The device ID is invalid"),
        codes=("107001", "200002", "EL0002"),
        unless=("visible devices", "ASCEND_RT_VISIBLE_DEVICES")),
    Row("no-card-available",  # [acl] [drv]
        "CANN finds no card that it can use",
        "npu-smi info; ls /dev/davinci*  # if there are none, look at driver or container, else at "
        "ASCEND_RT_VISIBLE_DEVICES",
        phrases=("no valid device", "The device is unavailable", "No NPUs are available", "Found no NPU"),
        codes=("207004", "drvRetCode=1")),
    Row("cuda-asked-for",  # LLaMA-Factory#4159
        "the program asks for CUDA, which an NPU does not have",
        "use ASCEND_RT_VISIBLE_DEVICES instead of CUDA_VISIBLE_DEVICES, and device npu:0 in the program",
        phrases=("Torch not compiled with CUDA enabled", "No CUDA GPUs are available", "Found no NVIDIA driver")),
    Row("npu-in-forked-process",
        "a forked process uses a card that its parent has opened",
        "call multiprocessing.set_start_method('spawn') before starting worker processes",
        phrases=("Cannot re-initialize NPU in forked subprocess",)),
    Row("npu-out-of-memory",  # [acl] [drv] [err]
        "a card's memory is used up",
        "npu-smi info  # is a process left over? else use a smaller batch, or "
        "PYTORCH_NPU_ALLOC_CONF=expandable_segments:True",
        phrases=("NPU out of memory", "memory on the device is exhausted", "driver error:out of memory",
                 "bytes of NPU memory", "Failed to apply for memory"),
        codes=("207001", "207018", "245000", "245002", "drvRetCode=6", "EL0004", "EI0011", "ERR??006")),
    Row("resources-used-up",  # [acl] [drv] [err]
        "a card has no streams, events or similar resources left",
        "npu-smi info  # end left-over processes, or run fewer on a card",
        phrases=("Memory resources are exhausted", "Reason: Resources are exhausted"),
        codes=("207005", "207007", "207008", "207009", "207010", "207011", "207012", "drvRetCode=14",
               "drvRetCode=37", "drvRetCode=47", "drvRetCode=48", "drvRetCode=49", "EL0006", "EL0008", "EL0009",
               "EL0010", "EL0011", "EL0012", "EL0013", "EI0007", "EC0009", "EE1007", "EE1023", "507002", "507032")),
    Row("previous-job-remains",  # [err]
        "processes of an earlier job still use the card",
        FIND_USER,
        phrases=("last training process is running", "started NN processes exceeds the limit",
                 "started user processes on the device exceeds"),
        codes=("E30003", "EJ0001")),
    # Between cards and nodes
    Row("port-in-use",  # [hccl]
        "a network port of the job is taken, often by a left-over process",
        "ss -ltnp | grep PORT  # end the old job, or set another MASTER_PORT or HCCL_IF_BASE_PORT",
        phrases=("Address already in use", "Failed to bind the IP port"),
        codes=("EI0019", "EI0020", "EJ0003")),
    Row("host-interface-wrong",  # gloo
        "the interface over which ranks find each other does not exist, or the node's own name does not resolve",
        "ip -brief address; getent hosts $(hostname)  # set train_interface (HCCL_SOCKET_IFNAME, GLOO_SOCKET_IFNAME)",
        phrases=("Unable to find address for:", "Unable to find interface for:",
                 "unable to resolve hostname to a (local) address")),
    Row("collective-not-connected",  # [hccl]; vllm-ascend#486
        "not all ranks connected in time, because one did not start, started late, or cannot be reached",
        "look at every rank's first error; check HCCL_SOCKET_IFNAME and the firewall; set HCCL_CONNECT_TIMEOUT=1200 "
        "(at most 7200)",
        phrases=("Getting socket times out", "get socket timeout", "got error: Socket Timeout",
                 "client socket has timed out", "collect cluster information of the communicator"),
        codes=("EI0006", "EI0015")),
    Row("npu-network-down",  # [hccl] [err] [acl]
        "the cards' own network fails: a port is down, has no address, or loses packets",
        "for i in {0..7}; do hccn_tool -i $i -link -g; hccn_tool -i $i -ip -g; done",
        phrases=("The network port is down", "transport init error", "SDMA memory copy task exception",
                 "An error CQE occurred", "ra hdc message process failed", "Check ip fail"),
        codes=("EI0009", "EI0012", "EI0013", "EI0018", "EJ0002", "EJ0004", "507056", "507914", "drvRetCode=95",
               "drvRetCode=96", "drvRetCode=97")),
    Row("p2p-failed",
        "two cards of the node cannot reach each other's memory",
        "npu-smi info -t topo; HCCL_INTRA_ROCE_ENABLE=1 COMMAND",
        phrases=("P2P communication failed", "Wait timeout for get P2P status", "connected p2p timeout"),
        codes=("EI0010",)),
    Row("collective-timeout",  # [hccl]; LLaMA-Factory#5551
        "a collective operation waited too long for another rank, which died, is slow, or cannot be reached",
        "look for the rank with the first error; preprocess before training; raise HCCL_EXEC_TIMEOUT and "
        "ddp_timeout",
        phrases=("Notify register times out", "Notify register waits for execution", "notify wait timeout",
                 "Heartbeat Lost Occurred"),
        codes=("EI0002", "507048")),
    Row("collective-arguments-differ",
        "ranks call a collective operation with different arguments, or with wrong ones",
        "use the same script, data and number of steps on every rank; " + PLOG,
        phrases=("collective communication are inconsistent between ranks",),
        codes=("EI0003", "EI0005")),
    Row("versions-differ-between-nodes",
        "the ranks have different versions of CANN",
        "ansible-playbook site.yml  # installs the same release on every node",
        phrases=("CANN versions are inconsistent", "HCCL versions are inconsistent"),
        codes=("EI0008",)),
    Row("hccl-settings-wrong",  # [hccl]
        "a variable or the rank table of HCCL is wrong",
        "env | grep -E 'HCCL|RANK'; hccn_tool -i N -ip -g  # compare with the rank table",
        phrases=("ranktable .. invalid", "ranktable information check failed", "Failed to parse the ranktable"),
        codes=("EI0001", "EI0004", "EI0014", "EI0016", "EI0017")),
    # At run time
    Row("operator-timeout",
        "an operator exceeded its time limit",
        PLOG,
        phrases=("AI CPU operator execution time",),
        codes=("507014", "507017", "507034", "E30008")),
    Row("operator-crashed",  # [acl] [pta]
        "an operator crashed on the card, because of wrong input, its own defect, or a faulty card",
        "ASCEND_LAUNCH_BLOCKING=1 COMMAND; npu-smi info -t health -i N",
        phrases=("aicore execution is abnormal", "vector core execution is abnormal", "aicore trap",
                 "ffts+ .. exception"),
        codes=("507011", "507015", "507016", "507035", "507036", "507042", "507043", "507044", "507045", "507049",
               "507050", "EZ2001")),
    Row("aicpu-failed",  # [acl] [err]
        "the card's AI CPU fails, often because driver and CANN do not match",
        "cat /usr/local/Ascend/driver/version.info  # install the driver that the release names; " + PLOG,
        phrases=("aicpu execution is abnormal", "AI CPU scheduler is abnormal"),
        codes=("507018", "507019", "507020", "507900", "507902", "E30007", "E39004", "E39007", "E39010")),
    Row("synchronise-timeout",  # LLaMA-Factory#975
        "the card did not finish in time, because it waits for another rank or hangs",
        "look for the rank with the first error; preprocess before training; raise HCCL_EXEC_TIMEOUT and ddp_timeout",
        phrases=("Stream synchronize timeout",),
        codes=("507046", "507047", "107019", "107020", "507012", "EE1002")),
    Row("card-held-elsewhere",  # PaddleOCR#16162, Paddle#72458
        "CANN cannot identify the chip (507008): another container or process uses the card, or the driver's "
        "folders are not mounted",
        FIND_USER + "; in a container, mount /usr/local/Ascend/driver",
        codes=("507008",)),
    Row("device-start-failed",  # Paddle#68865, vllm-ascend#4284
        "a card does not start, because driver and CANN do not match or another process uses the card",
        "npu-smi info; cat /usr/local/Ascend/driver/version.info  # install the driver that the release names, reboot; "
        + PLOG,
        phrases=("Failed to start the device",),
        codes=("507033",)),
    Row("context-missing",  # [acl] [pta]
        "a thread used a card before it selected one, or after an earlier failure closed it",
        "look for an earlier error; call torch.npu.set_device in every process and thread",
        phrases=("The context is empty",),
        codes=("107002", "107003")),
    Row("feature-not-supported",  # [acl] [drv] [err]
        "this card, driver or CANN lacks a feature that the program uses",
        "do without the feature, or use the release's versions",
        phrases=("The operation is unsupported", "current system or device does not support"),
        codes=("207000", "207021", "200001", "200006", "drvRetCode=65534", "EL0014", "EE1005", "EE1006", "EE1016",
               "EH0006", "EH0011", "EK0004", "EK0005", "ERR??007")),
    Row("cann-init-failed",  # FlagGems PR#5707
        "CANN cannot initialise, because its compiler's Python modules, its kernels or a matching driver are missing",
        PLOG + "; /usr/local/bin/ascend-env python -c 'import tbe, acl'  # then " + REPAIR,
        phrases=("AclSetCompileopt", "GEInitialize failed", "aclInit .. failed:500"),
        codes=("500000", "500001")),
    Row("operator-on-cpu",
        "an operator has no NPU version and runs on the CPU, slowly but correctly",
        "nothing is broken; a newer torch-npu may have one",
        phrases=("npu_cpu_fallback", "will fall back to run on the CPU")),
    Row("cann-wheels-in-pip-check",  # vllm-ascend#437
        "pip complains about CANN's own Python packages, which is harmless",
        "nothing to do; they are on PYTHONPATH and not part of the environment",
        phrases=("te 0.4.0 requires", "op-compile-tool .. requires", "auto-tune .. requires",
                 "hccl 0.1.0 requires", "opc-tool 0.1.0 requires", "schedule-search .. requires")),
    # Where nothing more is known
    Row("driver-not-answering",  # [smi]
        "npu-smi cannot identify the board, because the driver does not answer",
        "npu-smi info  # as root, on the host; " + KERNEL_LOG + "; reboot, or reinstall the driver",
        codes=("-9005", "-9019"),
        fallback=True),
    Row("tool-misused",  # [smi] [dcmi]
        "the tool does not know the option or value",
        "npu-smi info -h  # its options differ between versions",
        phrases=("Error parameter of", "Command or option is not found", "Input parameter format error",
                 "unrecognized arguments"),
        codes=("-8001", "-9001", "drvRetCode=3", "drvRetCode=8"),
        fallback=True),
    Row("driver-error",  # [dcmi]
        "the driver's library failed; only the family of its code is known",
        KERNEL_LOG + "; npu-smi info as root; reboot, or reinstall the driver",
        codes=("-8*", "-9*", "EL9999"),
        fallback=True),
    Row("driver-half-installed",  # [drv]
        "the NPU driver is not loaded, or only half installed",
        "lsmod | grep drv_; ls -l /dev/davinci_manager; " + KERNEL_LOG + "  # reinstall the driver, then reboot",
        phrases=("DrvMngGetConsoleLogLevel failed", "dcmi .. fail", "dcmi .. error", "dcmi .. not found",
                 "dcmi .. not exist", "davinci_manager .. No such file", "driver package maybe not installed",
                 "NPU driver is not installed", "NPU driver not installed", "Ascend driver is not installed"),
        fallback=True),
    Row("driver-error",  # [acl]
        "the driver reports an internal error",
        "npu-smi info; " + KERNEL_LOG,
        phrases=("driver error:internal error", "get ascend_hal device count"),
        codes=("507899", "5078*", "500004", "drvRetCode=*"),
        fallback=True),
    Row("network-error",  # [hccl] [pta]
        "HCCL, which connects the cards, failed; only the family of its code is known",
        "look at every rank's first error; " + PLOG,
        phrases=("HCCL function error", "HCCL error in"),
        codes=("EI*", "EJ*", "ERR??200"),
        fallback=True),
    Row("argument-refused",  # [acl] [err] [pta]
        "CANN refuses a value that the program gave it",
        "read the line's Reason; " + PLOG,
        phrases=("Error]: The argument is invalid",),
        codes=("1000*", "1070*", "1450*", "1480*", "1610*", "3610*", "E10*", "EE10*", "EH00*", "EL003", "EL0003",
               "EK00*", "ERR??001", "ERR??002", "ERR??003", "ERR??004"),
        fallback=True),
    Row("resources-used-up",  # [acl]
        "CANN lacks a resource or a feature; only the family of the code is known",
        PLOG,
        codes=("2000*", "2070*", "2450*", "30000*", "EC*"),
        fallback=True),
    Row("cann-internal-error",  # [acl] [err]
        "CANN reports an internal error; only the family of the code is known",
        PLOG,
        phrases=("Inner Error!",),
        codes=("5000*", "5070*", "5079*", "5450*", "5456*", "5610*", "E?9999", "E3*", "E1*", "E2*", "E4*", "E5*",
               "E6*", "E7*", "E8*", "E9*", "EL*", "EZ*", "EE*", "EM*", "EB*", "EF*", "EG*", "EP*", "0x7*"),
        fallback=True),
    Row("system-library-missing",
        "a shared library is missing that does not belong to the driver, CANN or torch",
        "ldd PROGRAM | grep 'not found'  # install the distribution's package that contains it, or set LD_LIBRARY_PATH",
        libraries=("lib*",),
        fallback=True),
    Row("python-module-missing",
        "this Python lacks the module: it is the wrong Python, or the module was deleted or never in the lock",
        "ansible-playbook playbooks/drift.yml --limit NODE  # does the environment lack it? then " + REPAIR,
        modules=("*",),
        fallback=True),
    Row("symbol-undefined",
        "a library lacks a function; which library should contain it is unknown",
        "c++filt {symbol}; ldd PROGRAM; echo $LD_LIBRARY_PATH  # are there libraries of different versions?",
        phrases=("undefined symbol", "symbol lookup error"),
        fallback=True),
    Row("program-missing",
        "a program is not installed, or not on this session's PATH; the line names it",
        "command -v {program}; echo $PATH  # install the distribution's package that contains it",
        phrases=("command not found", "sh: .. : not found", "未找到命令"),
        fallback=True),
    Row("permission-denied",  # ssh's refusal is another matter
        "this account is not allowed to do something (the line says what); whether this concerns the cards is unknown",
        "id; namei -l {path}; findmnt -l | grep noexec  # who owns the path, and can programs run there?",
        phrases=("Permission denied", "Operation not permitted", "You have no permission", "only root user",
                 "权限不够"),
        unless=("publickey", "gssapi", "(password", ",password"),
        fallback=True),
    Row("package-not-unpacked",  # makeself
        "a package could not unpack itself: there is no tar or gzip, or too little space, or it is damaged",
        "command -v tar gzip; df -h /var/tmp; sh PACKAGE.run --check",
        phrases=("Extraction failed", "Decompressin failed"),
        fallback=True),
    Row("kernel-module-refused",  # modprobe(8)
        "the kernel refuses a module; the line names it",
        "uname -r; dmesg | tail",
        phrases=("could not insert module", "modprobe: FATAL", "Unknown symbol in module",
                 "disagrees about version of symbol", "Key was rejected by service", "Invalid module format"),
        fallback=True),
    Row("process-killed",
        "the process was killed (signal 9) by the kernel for lack of memory, by a scheduler, or by a person",
        "dmesg | grep -i 'killed process' | tail; free -g  # if that shows nothing, who stopped the job?",
        phrases=("SIGKILL", "exitcode: -9 (", "\nKilled\n"),
        fallback=True),
    Row("program-crashed",
        "a program crashed for an unknown reason",
        "dmesg | tail; PYTHONFAULTHANDLER=1 COMMAND  # which program, and in which library?",
        phrases=("segmentation fault", "core dumped", "dumped core", "exit code 139", "exit status 139",
                 "bus error", "illegal instruction", "stack smashing detected", "double free or corruption",
                 "free(): invalid", "munmap_chunk(): invalid", "malloc(): ", "terminate called after", "SIGSEGV",
                 "SIGABRT", "SIGBUS", "fatal python error", "段错误", "\nAborted\n"),
        unless=("PCIe Bus Error", "shared memory", "/dev/shm"),
        fallback=True),
    Row("torch-npu-error",  # [pta]
        "torch-npu reports an error of CANN or HCCL, whose cause is further up",
        PLOG,
        phrases=("NPU function error", "NPU error,", "CANN error:", "call acl api failed"),
        codes=("ERR*",),
        fallback=True),
)  # fmt: skip
