# SPDX-License-Identifier: Apache-2.0
"""The table of symptoms: each row by an example of its own, its words, its name and its place."""

from __future__ import annotations

import re
import string

import pytest

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.symptom_table import TABLE
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.symptoms import recognise
from tests.unit.npu.test_symptoms import GONE, NAMES, ROOT, names

# For every row of the table: its name, words that show it, and words near them that do not.
EXAMPLES = [
    ("wrong-architecture", "/usr/local/bin/npu-smi: cannot execute binary file: Exec format error",
     "the exec plugin uses another format"),
    ("shared-memory-full",
     "Unexpected bus error encountered in worker. This might be caused by insufficient shared memory (shm).",
     "shared memory: 64 GB"),
    ("process-killed", "Out of memory: Killed process 4711 (python3) total-vm:1", "0 jobs were killed"),
    ("tool-crashed", "bash: line 1: 4711 Segmentation fault (core dumped) npu-smi info", "npu-smi info"),
    ("interpreter-missing", "bash: /opt/x/bin/pip: /old/bin/python: bad interpreter: No such file or directory",
     "a good interpreter"),
    ("file-system-read-only", "touch: cannot touch '/opt/x': Read-only file system", "read-only: no"),
    ("pip-missing", "compiler.sh: line 12: pip3: command not found", "pip3 found"),
    ("command-not-found", "-bash: npu-smi: command not found", "Command or option is not found."),
    ("sudo-needs-password", "sudo: a password is required", "the password is not required"),
    ("disk-full", "tar: ./lib64/a.so: Cannot write: No space left on device", "space left on device: 40 GB"),
    ("card-held-elsewhere", "dcmi model initialized failed, because the device is used. ret is -8020",
     "device is used by you"),
    ("device-upgrading", "Failed to execute npu-smi info. ret is -8017.", "upgraded 8017 nodes"),
    ("query-not-in-container", "Failed to execute npu-smi set. ret is -8013.", "containers: 8013"),
    ("query-not-supported", "This device does not support querying p2p-enable.",
     "This device supports querying p2p-enable."),
    ("card-lost", "Invalid card id.\nError parameter of -i\nUsage: npu-smi info [Options...]", "card id 4"),
    ("card-hung", "error code is 507010", "heartbeat 507010 ms ago"),
    ("card-memory-faulty", "RuntimeError: ACL stream synchronize failed, error code:507053", "ecc errors: 0"),
    ("driver-library-missing", f"npu-smi: error while loading shared libraries: libc_sec.so: {GONE}",
     "loaded /usr/local/Ascend/driver/lib64/common/libc_sec.so"),
    ("driver-not-answering", "dcmi module initialize failed. ret is -8012", "8012 MB free, driver ready"),
    ("driver-not-answering", "dcmi module initialize failed. ret is -8005", "dcmi version 8005"),
    ("driver-module-refused", "insmod: ERROR: could not insert module drv_pcie_host.ko: Invalid module format",
     "module drv_pcie_host inserted"),
    ("kernel-headers-missing", "make: *** /lib/modules/5.10.0-60/build: No such file or directory.  Stop.",
     "make: Entering directory '/lib/modules/5.10.0-60/build'"),
    ("driver-user-missing", "ERR_NO:0x0091;ERR_DES:HwHiAiUser not exists! Please add HwHiAiUser", "HwHiAiUser exists"),
    ("no-permission", "open /dev/davinci_manager: Permission denied", "open /opt/x: Permission denied"),
    ("working-folder-not-writable", "PermissionError: [Errno 13] Permission denied: '//kernel_meta'", "kernel_meta"),
    ("temporary-folder-noexec", "/var/tmp/x/selfgz4021/./install.sh: Permission denied", "selfgz4021"),
    ("permission-denied", "PermissionError: [Errno 13] Permission denied: '/home/anna/.cache/x'",
     "root@192.0.2.7: Permission denied (publickey,password)."),
    ("package-damaged", "Error in SHA256 checksums: 12ab is different from 34cd", "SHA256 checksums are OK. All good."),
    ("tar-missing", "./a.run: line 300: tar: command not found", "star: not found"),
    ("package-not-unpacked", "Extraction failed.\n Decompressin failed.", "Extraction ended"),
    ("install-path-refused", "[Toolkit] [ERROR]: the given dir, or its parents, permission is invalid.",
     "the given dir and its parents are fine"),
    ("kernels-need-toolkit", "[ASCEND]Please install toolkit, nnae or nnrt version X before installing kernels X",
     "toolkit install success"),
    ("install-already-running", "ERR_NO:0x0094;ERR_DES:There is already a process being executed", "process executed"),
    ("cann-half-installed", "[Runtime] [ERROR]: runtime package install failed, please retry after uninstall!",
     "runtime package installed successfully!"),
    ("set-env-in-strict-shell", "set_env.sh: line 14: LD_LIBRARY_PATH: unbound variable", "JOB: unbound variable"),
    ("torch-npu-source-folder", "ModuleNotFoundError: No module named 'torch_npu._C'", "import torch_npu._C"),
    ("setuptools-wrong", "ImportError: cannot import name 'packaging' from 'pkg_resources' (/opt/x/__init__.py)",
     "import pkg_resources"),
    ("numpy-too-new", "AttributeError: `np.float_` was removed in the NumPy 2.0 release.", "numpy 1.26.4"),
    ("cann-python-module-missing", "EC0010: [PID: 5] Failed to import Python module [ModuleNotFoundError].",
     "imported Python module"),
    ("cann-environment-not-set", "KeyError: 'ASCEND_HOME_PATH'", "ASCEND_HOME_PATH=/usr/local/Ascend"),
    ("protobuf-mismatch", "TypeError: Descriptors cannot be created directly.", "Descriptors created"),
    ("torch-npu-mismatch", "ImportError: /e/torch_npu/lib/libtorch_npu.so: undefined symbol: _ZN5torch3xyzE",
     "/e/torch_npu/lib/libtorch_npu.so loaded"),
    ("stub-libraries-first", "acl.so: undefined symbol: aclprofSetConfig", "aclprofSetConfig called"),
    ("library-versions-mixed", "npu-smi: symbol lookup error: npu-smi: undefined symbol: drvSetDeviceInfo",
     "symbols: 12"),
    ("nnal-mismatch", "libtorch_npu.so: undefined symbol: _ZN3atb9OperationD1Ev", "atb 8.0"),
    ("cann-mismatch", "ImportError: driver.so: undefined symbol: MsprofSysCycleTime", "MsprofSysCycleTime called"),
    ("python-mismatch", "ImportError: /e/x.so: undefined symbol: _PyGen_SetStopIterationValue", "PyObject"),
    ("symbol-undefined", "ImportError: /e/x.so: undefined symbol: iJIT_NotifyEvent", "defined symbol: x"),
    ("program-missing", "sh: lspci: command not found", "Command or option is not found."),
    ("kernel-module-refused", "modprobe: FATAL: Module br_netfilter not found in directory /lib/modules", "module"),
    ("process-killed", "./train.sh: line 3\nKilled\n", "0 jobs were killed"),
    ("program-crashed", "Segmentation fault (core dumped)", "pcieport 0000:80:00.0: PCIe Bus Error: severity=x"),
    ("static-tls-block", "libgomp-d22c30c5.so.1.0.0: cannot allocate memory in static TLS block", "block of memory"),
    ("c-library-too-old", "python: /lib/libc.so.6: version `GLIBC_2.34' not found (required by python)", "GLIBC_2.34"),
    ("c-library-too-old", "/opt/conda/lib/libstdc++.so.6: version `GLIBCXX_3.4.30' not found (required by /x.so)",
     "GLIBCXX_3.4.30"),
    ("torch-cpu-build-missing", "ERROR: No matching distribution found for torch==2.1.0+cpu", "torch==2.1.0+cpu"),
    ("no-wheel-for-this-python", "ERROR: No matching distribution found for torch-npu==2.1.0.post3", "torch-npu found"),
    ("wheel-not-as-locked", "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", "hashes match"),
    ("version-check-refused", "ImportError: x>=1 is required for a normal functioning of this module, but found x==0.",
     "functioning normally"),
    ("llamafactory-files-missing", "ValueError: Cannot open data/dataset_info.json due to [Errno 2] No such file",
     "FileNotFoundError: No such file or directory: 'm/adapter_config.json'"),
    ("deepspeed-build-failed", "AttributeError: 'DeepSpeedCPUAdam' object has no attribute 'ds_opt_adam'",
     "CPUAdam built"),
    ("cxx-headers-missing", "fatal error: 'type_traits' file not found", "#include <type_traits>"),
    ("nnal-missing", f"ImportError: libatb.so: {GONE}", "libatb.so loaded"),
    ("cann-libraries-missing", f"ImportError: libascendcl.so: {GONE}", "libascendcl.so => /usr/local/x/libascendcl.so"),
    ("torch-library-missing", f"OSError: libtorch_cpu.so: {GONE}", "libtorch_cpu.so"),
    ("opp-not-verified", "E30006: 2025-01-01 Failed to verify the OPP", "OPP verified"),
    ("driver-files-damaged", "E30004: 2025-01-01 The binary file of the NN process is damaged", "binary file"),
    ("cann-too-old", "RuntimeError: aclnnX or aclnnXGetWorkspaceSize not in libopapi.so, or libopapi.sonot found.",
     "libopapi.so"),
    ("driver-too-old", "X failed. Reason: The driver version capability is insufficient.", "driver version 24.1"),
    ("kernels-missing", "RuntimeError: Op Cast does not has any binary.", "Op Cast has 3 binaries"),
    ("operator-not-compiled", "E40021: [PID: 7] Failed to compile Op [Cast3].", "compiled Op Cast3"),
    ("visible-devices-wrong", "EE1001: The argument is invalid.Reason: set ASCEND_RT_VISIBLE_DEVICES:9 error",
     "ASCEND_RT_VISIBLE_DEVICES=0,1"),
    ("device-number-invalid", "SetDevice(device_id_), error code is 107001", "device 107001"),
    ("no-card-available", "aclrtGetDeviceCount(&device_count), error code is 207004", "cards: 207004"),
    ("cuda-asked-for", "AssertionError: Torch not compiled with CUDA enabled", "Torch compiled with CUDA disabled"),
    ("npu-in-forked-process", "RuntimeError: Cannot re-initialize NPU in forked subprocess.", "forked a subprocess"),
    ("npu-out-of-memory",
     "RuntimeError: NPU out of memory. Tried to allocate 2.00 GiB (NPU 3; 60.97 GiB total capacity)",
     "NPU memory 60.97 GiB"),
    ("resources-used-up", "create stream failed, runtime result = 207008", "streams: 207008"),
    ("host-out-of-memory", "OSError: [Errno 12] Cannot allocate memory", "memory allocated"),
    ("previous-job-remains",
     "EJ0001: Failed to initialize the HCCP process. Reason: Maybe the last training process is running.",
     "the training process is running"),
    ("port-in-use", "The server socket has failed to bind to [::]:29500 (errno: 98 - Address already in use).",
     "Address in use"),
    ("host-interface-wrong", "RuntimeError: [enforce fail at device.cc:79] rv != -1. Unable to find address for: eth9",
     "the address for eth9 was found"),
    ("collective-not-connected", "EI0006: 2025-01-01 Getting socket times out. Reason: remote rank did not connect",
     "sockets connected in time"),
    ("npu-network-down", "EJ0002: [PID: 3] The network port is down.Suggest: check it", "network port 0"),
    ("p2p-failed", "EI0010: [PID: 3] P2P communication failed. Reason: x", "P2P works"),
    ("collective-timeout", "EI0002: The wait execution of the Notify register times out.", "HCCL_EXEC_TIMEOUT=1800"),
    ("collective-arguments-differ",
     "EI0005: The arguments for collective communication are inconsistent between ranks: tag [a]",
     "arguments of ranks"),
    ("versions-differ-between-nodes", "EI0008: The CANN versions are inconsistent: tag [a]", "CANN version 8.0.RC1"),
    ("hccl-settings-wrong", "EI0001: Environment variable [HCCL_IF_IP] is invalid. Reason: x.", "HCCL_IF_IP=192.0.2.1"),
    ("operator-timeout", "E30008: AI CPU operator execution time out.", "execution time: 3 s"),
    ("operator-crashed", "ACL stream synchronize failed, error code:507015", "aicore 507015 Hz"),
    ("aicpu-failed", "error code is 507018\n[Error]: The aicpu execution is abnormal.", "aicpu 507018"),
    ("synchronise-timeout", "npuSynchronizeDevice, error code is 507046", "synchronised 507046"),
    ("card-held-elsewhere", "Call aclInit(nullptr) failed : 507008 at file runtime.cc line 403", "port 507008"),
    ("device-start-failed", "[ERROR]  acl set device 0 failed, errorCode = 507033", "started 507033 devices"),
    ("context-missing", "error code is 107002\n[Error]: The context is empty.", "context 107002"),
    ("feature-not-supported", "EE1005: The current system or device does not support IpcCloseMemory.",
     "system supports it"),
    ("cann-init-failed", "at_npu::native::AclSetCompileopt(x, y), error code is 500001", "compiled 500001"),
    ("operator-on-cpu", "CAUTION: The operator 'aten::x' is not supported and will fall back to run on the CPU",
     "on the CPU"),
    ("cann-wheels-in-pip-check", "te 0.4.0 requires cloudpickle, which is not installed.", "te 0.4.0 installed"),
    ("driver-not-answering", "npu get board type failed. ret is -9005", "board type 9005"),
    ("tool-misused", "Command or option is not found.", "option -9005"),
    ("driver-error", "Failed to execute npu-smi info. ret is -8022.", "ret is 0, 8022 rows"),
    ("driver-half-installed", "DrvMngGetConsoleLogLevel failed. (g_conLogLevel=3)", "g_conLogLevel=3"),
    ("driver-error", "get device count failed, runtime result = 507899.", "total 507899"),
    ("network-error", "HCCL function error: HcclCommInitRootInfo, error code is 4", "HCCL 4 functions"),
    ("argument-refused", "aclnnAdd failed, error code is 161002", "161002 arguments"),
    ("resources-used-up", "EC0099: no resources", "EC0099"),
    ("cann-internal-error", "EZ9999: Inner Error!", "no inner errors"),
    ("system-library-missing", f"ImportError: libGL.so.1: {GONE}", "libGL.so.1"),
    ("python-module-missing", "ModuleNotFoundError: No module named 'yaml'", "module named yaml"),
    ("torch-npu-error", "[ERROR] 2025-01-01 (PID:1, Device:0, RankID:-1) ERR00005 PTA internal error", "0 errors"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "shown", "near"), EXAMPLES, ids=[f"{example[0]}: {example[1][:24]}" for example in EXAMPLES]
)
def test_each_row_is_shown_by_its_words_alone(name: str, shown: str, near: str) -> None:
    first = recognise(f"some line\n{shown}\nanother line")[0]
    assert first.name == name
    assert first.evidence in shown
    assert first.remedy
    assert name not in names(near)


def test_every_row_has_an_example() -> None:
    shown = {(symptom.name, symptom.what) for _, text, _ in EXAMPLES for symptom in recognise(text)[:1]}
    assert {(row.name, row.what) for row in TABLE} - shown == set()


RELIED_UPON = {
    "driver-not-answering", "card-held-elsewhere", "driver-library-missing", "no-permission", "driver-half-installed",
    "card-lost", "query-not-supported", "wrong-architecture", "tool-crashed",
}  # fmt: skip


def test_names_are_stable_words() -> None:
    assert NAMES >= RELIED_UPON
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in NAMES)


def test_rows_speak_plainly() -> None:
    for row in TABLE:
        assert row.phrases or row.codes or row.libraries or row.modules or row.symbols, row.name
        assert row.what[0] in string.ascii_letters, row.what
        assert not row.what.endswith("."), row.what
        assert len(row.what) < 160, row.what
        assert row.remedy, row.name


def test_a_code_is_exactly_in_one_row() -> None:
    exact = [code for row in TABLE for code in row.codes if not set("*?") & set(code)]
    assert sorted(exact) == sorted(set(exact))


def test_fallbacks_stand_last() -> None:
    kinds = [row.fallback for row in TABLE]
    assert kinds == sorted(kinds)


def test_the_document_has_every_name() -> None:
    document = (ROOT / "docs/troubleshooting.md").read_text()
    documented = re.findall(r"^### ([a-z0-9-]+)$", document.partition("\n## What the tools say\n")[2], re.MULTILINE)
    assert sorted(documented) == sorted(NAMES), "docs/troubleshooting.md: a heading for every symptom, and no other"
