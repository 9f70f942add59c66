# SPDX-License-Identifier: Apache-2.0
"""What failing tools say is recognised, in every dialect; what is no failure is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu import symptoms
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.symptom_table import TABLE
from ansible_collections.ascend.fleet.plugins.module_utils.ascend.npu.symptoms import recognise
from tests import samples
from tests.hangs import no_hang

ROOT = Path(__file__).resolve().parents[3]
SAMPLES = samples.expected("messages")
GONE = "cannot open shared object file: No such file or directory"


NOTHING_WRONG = [
    "",
    "tensor([[1.5, 2.5]], device='npu:0')",
    "Install success. 507033 files.",
    "Memory 507033 / 65536 MB, HBM 107001 MB, 500001 pages",
    "step 507033: loss 1.5, 107001 tokens/s",
    "result = 507033 tokens; results: 507033; barcode: 507033; secret = 507033",
    "failed: 100000 samples, error: 500000 rows, returned 500000",
    "failed 507033 requests, returned 507033 hits, 507033 errors, errors: 507033, avail: 507033",
    "ret = 0, error code: 0, drvRetCode=0, retCode=0x0",
    "error code: 404040",
    "2025-01-01 10:00:00 INFO 507033 [device.cc:507033] open device success",
    "Usage: npu-smi info <watch|proc|-h|-m|-l|-t type> [Options...]",
    "ee1001:\t48 89 c5 \tmov %rax,%rbp",
    "8C03A000 E30003AB 0xEE1001",
    "W11001: Op [x] does not hit the high-priority operator information library",
    "Warning: Driver Version: 25.0.rc1.b070 is invalid or not supported yet.",
]


def names(text: str) -> list[str]:
    return [symptom.name for symptom in recognise(text)]


def codes(text: str) -> list[str]:
    return [code for symptom in recognise(text) for code in symptom.codes]


@pytest.mark.parametrize("sample", SAMPLES)
def test_corpus(sample: str) -> None:
    said = samples.text(sample)
    assert names(said) == SAMPLES[sample]["symptoms"]
    assert sorted(codes(said)) == sorted(SAMPLES[sample]["codes"])


def test_answers_of_healthy_tools_are_no_symptoms() -> None:
    expected = {Path(sample).name for sample in SAMPLES}
    folders = ("npu-smi-info", "npu-smi-sub", "hccn", "version-files")
    said = {path.name: names(path.read_text(errors="replace")) for name in folders for path in samples.kind(name)}
    assert said
    assert {name: found for name, found in said.items() if found and name not in expected} == {}


@pytest.mark.parametrize("said", NOTHING_WRONG)
def test_nothing_is_wrong(said: str) -> None:
    assert names(said) == []


@pytest.mark.parametrize(
    ("said", "name", "code"),
    [
        ("dcmi module initialize failed. ret is -8005", "driver-not-answering", "-8005"),
        ("DCMI MODULE INITIALIZE FAILED. RET IS -8005", "driver-not-answering", "-8005"),
        ("\x1b[31mdcmi module initialize failed. ret is -8005\x1b[0m\r\n", "driver-not-answering", "-8005"),
        ("[ERROR] dcmi init failed, error code: -8005", "driver-not-answering", "-8005"),
        ("failed to get device health:ret code: -8010,health code: 4", "driver-not-answering", "-8010"),
        ("错误码：507033", "device-start-failed", "507033"),
        ("errcode:507033", "device-start-failed", "507033"),
        ("error code is : 507033", "device-start-failed", "507033"),
        ("acl error [507033]", "device-start-failed", "507033"),
        ("SetDevice failed.ret=507033", "device-start-failed", "507033"),
        ("aclrtSetDevice(id) failed: 507033 (main.cpp:72)", "device-start-failed", "507033"),
        ('{"detail":"x:\\n E30006: Failed to verify the OPP\\n"}', "opp-not-verified", "E30006"),
        ('{"detail":"x\\nE30006: Failed"}', "opp-not-verified", "E30006"),
        ("Memory_Allocation_Failure(EL0004): Failed to allocate memory.", "npu-out-of-memory", "EL0004"),
        ("ei0006: getting socket times out", "collective-not-connected", "EI0006"),
        ("HCCL failed, error code EI0006, see the log", "collective-not-connected", "EI0006"),
        ("GetDeviceCount:Call drvGetDevNum, drvRetCode=87", "card-held-elsewhere", "drvRetCode=87"),
        ("drvRet=87", "card-held-elsewhere", "drvRetCode=87"),
        ("Get physical device number failed, err: 87", "card-held-elsewhere", "drvRetCode=87"),
        ("[adx_dsmi.cpp:54][tid:588] Get physical device num failed. err = 87", "card-held-elsewhere", "drvRetCode=87"),
        ("Get physical device number failed, err: 4", "driver-not-answering", "drvRetCode=4"),
        ("call drvGetDevNum failed, ret:87!", "card-held-elsewhere", "drvRetCode=87"),
        ("halGetDeviceInfo failed, error code = 46", "no-permission", "drvRetCode=46"),
        ("halMemAlloc failed:size=2122688(bytes), type=2, drvRetCode=6!", "npu-out-of-memory", "drvRetCode=6"),
        ("Err_No:0x0093;ERR_DES:User is not belong to the group", "no-permission", "ERR_NO:0x0093"),
        ("acl init failed ret 507033", "device-start-failed", "507033"),
        ("初始化失败，返回-8005错误", "driver-not-answering", "-8005"),
        ("dcmi_init returned -8005", "driver-not-answering", "-8005"),
        ("error code is 507077", "cann-internal-error", "507077"),
        ("error code is 107099", "argument-refused", "107099"),
        ("error code is 207099", "resources-used-up", "207099"),
        ("E39999: Inner Error!", "cann-internal-error", "E39999"),
        ("EI0099: new in the next version", "network-error", "EI0099"),
        ("open device 0 failed, retCode=0x7020014", "cann-internal-error", "0x7020014"),
    ],
)
def test_dialects(said: str, name: str, code: str) -> None:
    assert names(said) == [name]
    assert codes(said) == [code]


# What single codes mean, from the lists of the driver, ACL and HCCL.
CODES = {
    "driver-not-answering": "-8005 -8006 -8009 -8010 -8011 -8012 -9005 -9012 drvRetCode=4 drvRetCode=7 E30005 E39002",
    "card-held-elsewhere": "-8020 -9020 drvRetCode=87 507008 EL0005 EL0015",
    "card-lost": "-8007 -8008 -9008 drvRetCode=2 EL0001",
    "no-permission": "-8002 -9002 207006 drvRetCode=46 drvRetCode=88 EL0007 ERR00012",
    "query-not-supported": "-8255 -9255",
    "query-not-in-container": "-8013 -9013",
    "device-upgrading": "-8017 -9021",
    "tool-misused": "-8001 -9001",
    "driver-error": "-8003 -8015 -8023 507899 500004 EL9999 drvRetCode=12",
    "no-card-available": "207004 drvRetCode=1",
    "device-number-invalid": "107001 EL0002",
    "npu-out-of-memory": "207001 207018 drvRetCode=6 EL0004 EI0011 ERR00006",
    "resources-used-up": "207005 207008 207011 EL0006 EL0009 EI0007 200003 207014",
    "device-start-failed": "507033",
    "driver-too-old": "207019 EE1015",
    "opp-not-verified": "E30006 E30009",
    "driver-files-damaged": "E30004",
    "previous-job-remains": "E30003 EJ0001",
    "context-missing": "107002 107003",
    "feature-not-supported": "207000 EL0014 EE1005 ERR01007",
    "operator-timeout": "507014 507017 507034 E30008",
    "operator-crashed": "507011 507015 507016 507035 507049 EZ2001",
    "aicpu-failed": "507018 507900 E39004",
    "card-hung": "507010 507901 drvRetCode=45",
    "card-memory-faulty": "507053 507054 507055",
    "npu-network-down": "507056 EI0009 EI0012 EI0013 EJ0002 EJ0004",
    "synchronise-timeout": "507046 507047 107019 EE1002",
    "collective-timeout": "507048 EI0002",
    "collective-not-connected": "EI0006 EI0015",
    "collective-arguments-differ": "EI0003 EI0005",
    "hccl-settings-wrong": "EI0001 EI0004 EI0014",
    "versions-differ-between-nodes": "EI0008",
    "p2p-failed": "EI0010",
    "port-in-use": "EI0019 EI0020 EJ0003",
    "network-error": "EI9999 EJ9999 ERR02200",
    "kernels-missing": "EZ3002 EZ3003 EZ0501 100024 561003",
    "cann-python-module-missing": "EC0010 E40020",
    "cann-environment-not-set": "148049",
    "stub-libraries-first": "100039",
    "cann-init-failed": "500000 500001",
    "cann-internal-error": "500002 507000 507051 507903 545000 EE9999 EZ9999 EH9999 E19999 E39999 EL0099",
    "argument-refused": "100000 107000 107017 145000 161002 EE1001 EE1003 EH0001 EL0003 ERR00001",
    "visible-devices-wrong": "EE2002",
    "torch-npu-error": "ERR00100 ERR99999",
}


@pytest.mark.parametrize(("name", "code"), [(name, code) for name, codes in CODES.items() for code in codes.split()])
def test_a_code_alone(name: str, code: str) -> None:
    forms = (
        [code] if code.startswith("drv") else [f"{code}: x", f"({code})"] if code[0] == "E" else [f"error code: {code}"]
    )
    for said in forms:
        assert [(symptom.name, symptom.codes) for symptom in recognise(said)] == [(name, (code,))]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            "DrvMngGetConsoleLogLevel failed. (ret=4)\ndcmi module initialize failed. ret is -8005\n",
            ["driver-not-answering"],
        ),
        (
            "DrvMngGetConsoleLogLevel failed. (g_conLogLevel=3)\n"
            "dcmi model initialized failed, because the device is used. ret is -8020\n"
            "npu get board type failed. ret is -9005\n"
            "GetDeviceCount:Call drvGetDevNum, drvRetCode=87\n"
            "rtGetDeviceCount:ErrCode=507899, desc=[driver error:internal error]",
            ["card-held-elsewhere"],
        ),
        (
            "error code is 507033\nE30006: Failed to verify the OPP\nNew device failed, retCode=0x7010006",
            ["opp-not-verified", "device-start-failed"],
        ),
        (
            f"ImportError: libhccl.so: {GONE}. Please check that the compiler package is installed. "
            "Please run 'source set_env.sh' in the CANN installation path.",
            ["cann-libraries-missing"],
        ),
        (
            "terminate called after throwing an instance of 'std::bad_alloc'\nAborted (core dumped)",
            ["host-out-of-memory"],
        ),
        ("Call aclInit(nullptr) failed : 500000 at file runtime.cc", ["cann-init-failed"]),
        ("ModuleNotFoundError: No module named 'tbe.common'", ["cann-environment-not-set"]),
        ("ModuleNotFoundError: No module named 'tbex'", ["python-module-missing"]),
        (f"npu-smi: error while loading shared libraries: libdrvdsmi_host.so: {GONE}", ["driver-library-missing"]),
        ("\tlibdcmi.so => not found\n\tlibc.so.6 => /lib/libc.so.6 (0x0000ffff)", ["driver-library-missing"]),
        (
            "call aclnnX failed, detail:EZ9999: Inner Error!\nCannot find bin of op Range, integral key 0",
            ["kernels-missing"],
        ),
    ],
)
def test_the_cause_comes_first_and_noise_goes(said: str, expected: list[str]) -> None:
    assert names(said) == expected


# Words that every program uses: what they name decides. The name of the symptom, and a part of the remedy.
EVERYDAY = [
    # rights
    ("PermissionError: [Errno 13] Permission denied: '/dev/davinci0'", "no-permission", "usermod -aG HwHiAiUser"),
    ("open device file /dev/devmm_svm fail: Permission denied", "no-permission", "usermod"),
    ("open /dev/hisi_hdc: Operation not permitted", "no-permission", "usermod"),
    ("/dev/davinci_manager: 权限不够", "no-permission", "usermod"),
    ("mkdir: cannot create directory 'kernel_meta': Permission denied", "working-folder-not-writable", "cd ~"),
    ("OSError: [Errno 30] Read-only file system: '/data/kernel_meta_123'", "working-folder-not-writable", "cd ~"),
    ("PermissionError: [Errno 13] Permission denied: '/root/ascend/log'",
     "permission-denied", "namei -l /root/ascend/log"),
    ("bash: ./train.sh: Permission denied", "permission-denied", "id; namei -l"),
    ("cat: '/srv/my data/x': Permission denied", "permission-denied", "namei -l '/srv/my data/x'"),
    ("chown: changing ownership of '/data/a': Operation not permitted", "permission-denied", "namei -l /data/a"),
    ("docker: permission denied while trying to connect to unix:///var/run/docker.sock", "permission-denied", "id"),
    ("/tmp/makeself.x/./a.sh: Permission denied", "temporary-folder-noexec", "is /tmp/makeself.x/./a.sh on"),
    ("OSError: [Errno 16] Device or resource busy: '/dev/davinci0'", "card-held-elsewhere", "fuser -v /dev/davinci"),
    # programs
    ("sh: 1: lspci: not found", "program-missing", "command -v lspci"),
    ("/bin/sh: line 1: g++: command not found", "program-missing", "command -v g++"),
    ("zsh: command not found: nvidia-smi", "program-missing", "command -v nvidia-smi"),
    ("bash: ip：未找到命令", "program-missing", "command -v ip"),
    ("bash: npu-smi：未找到命令", "command-not-found", "install the driver"),
    ("zsh: command not found: npu-smi", "command-not-found", "install the driver"),
    ("FileNotFoundError: [Errno 2] No such file or directory: 'hccn_tool'", "command-not-found", "install the driver"),
    # symbols
    ("libtorch_npu.so: undefined symbol: _ZN3Mki10GetLogSinkEv", "nnal-mismatch", "nnal"),
    ("x.so: undefined symbol: _ZNK3atb6Tensor4sizeEv", "nnal-mismatch", "nnal"),
    ("x.so: undefined symbol: _ZTIN3atb9OperationE", "nnal-mismatch", "nnal"),
    ("libtorch_npu.so: undefined symbol: aclrtGetDeviceUtilizationRate", "cann-mismatch", "ascend-env"),
    ("torch_npu/lib/libop_plugin_atb.so: undefined symbol: aclnnGroupedMatmulV4", "cann-mismatch", "ascend-env"),
    ("x.so: undefined symbol: _ZN2ge5Graph4ImplE", "cann-mismatch", "ascend-env"),
    ("x.so: undefined symbol: _ZN4gert6TensorC1Ev", "cann-mismatch", "ascend-env"),
    ("x.so: undefined symbol: HcclCommInitClusterInfo", "cann-mismatch", "ascend-env"),
    ("flash.so: undefined symbol: _ZN3c105ErrorC2ENS_14SourceLocationE", "torch-npu-mismatch", "torch X.Y.Z"),
    ("x.so: undefined symbol: _ZNK5torch8autograd4Node4nameEv", "torch-npu-mismatch", "torch X.Y.Z"),
    ("x.so: undefined symbol: _ZN2at4_ops10zeros_like4callE", "torch-npu-mismatch", "torch X.Y.Z"),
    ("x.so: undefined symbol: _ZTVN2at10TensorBaseE", "torch-npu-mismatch", "torch X.Y.Z"),
    ("dcmi.so: undefined symbol: halGetDeviceInfoByBuff", "library-versions-mixed", "one driver"),
    ("/e/torch_npu/lib/libtorch_npu.so: undefined symbol: nobodyKnowsThis",
     "symbol-undefined", "c++filt nobodyKnowsThis"),
    ("x.so: undefined symbol: _ZN3foo3atbEv", "symbol-undefined", "c++filt _ZN3foo3atbEv"),
    ("x.so: undefined symbol: cudaGetDeviceCount", "symbol-undefined", "libraries of different versions"),
    ("x.so: undefined symbol: ge::Graph::AddOp(ge::Operator const&)", "cann-mismatch", "ascend-env"),
    ("x.so: undefined symbol:_ZN3atb7ContextD0Ev, version ATB_1", "nnal-mismatch", "nnal"),
    # disks
    ("OSError: [Errno 28] No space left on device: '/data/out'", "disk-full", "which disk has /data/out"),
    ("RuntimeError: unable to write to file </torch_123_456_7>: No space left on device",
     "shared-memory-full", "/dev/shm"),
    ("mkdir: cannot create directory '/opt/a': Read-only file system", "file-system-read-only", "them has /opt/a"),
    # crashes and kills
    ("python3[4711]: segfault\nSegmentation fault", "program-crashed", "dmesg"),
    ("[rank3] exitcode: -9 (pid: 4711)", "process-killed", "who stopped the job?"),
    ("Memory cgroup out of memory: Killed process 17 (python)", "process-killed", "free -g"),
    # libraries and modules
    (f"ImportError: libacl.so.1: {GONE}", "system-library-missing", "ldd PROGRAM"),
    (f"ImportError: libgraphite2.so.3: {GONE}", "system-library-missing", "ldd PROGRAM"),
    (f"ImportError: libacl_op_compiler.so: {GONE}", "cann-libraries-missing", "ascend-env"),
    ("ModuleNotFoundError: No module named 'flash_attn'", "python-module-missing", "drift.yml"),
    # kernel modules
    ("modprobe: FATAL: Module drv_pcie_host not found.", "driver-module-refused", "reinstall the driver"),
    ("modprobe: FATAL: Module nfs not found in directory /lib/modules/5.10", "kernel-module-refused", "dmesg"),
    ("nfs: disagrees about version of symbol module_layout", "kernel-module-refused", "dmesg"),
    # versions
    ("/opt/conda/lib/libstdc++.so.6: version `GLIBCXX_3.4.30' not found",
     "c-library-too-old", "/opt/conda/lib/libstdc++.so.6"),
    ("/lib64/libstdc++.so.6: version `GLIBCXX_3.4.29' not found (required by /x/torch/lib/libtorch_cpu.so)",
     "c-library-too-old", "/lib64/libstdc++.so.6"),
    ("/lib64/libc.so.6: version `GLIBC_2.34' not found (required by /usr/local/Ascend/x/libhccl.so)",
     "c-library-too-old", "ldd --version"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "name", "remedy"), EVERYDAY)
def test_what_everyday_words_name_decides(said: str, name: str, remedy: str) -> None:
    (symptom,) = recognise(said)
    assert (symptom.name, remedy in symptom.remedy) == (name, True), symptom
    assert symptom.evidence in said.translate({ord("："): ":"})


@pytest.mark.parametrize(
    "said",
    [
        "AllReduce error: ranks disagree",  # "UCE ERROR" in other words
        "mount.nfs: clnt_create: RPC: Port mapper failure - Unable to receive",
        "JSON-RPC error: timeout",
        "read timed out. (read timeout=10)",
        "psycopg2.errors.OutOfMemory: out of shared memory",
        "inotify_add_watch failed: No space left on device",
        "Failed to initialize NVML: Driver/library version mismatch",
        "RuntimeError: The NVIDIA driver version does not match",
        "the NVIDIA driver is not installed",
        "raylet: node 3 lost heartbeat",
        "ERROR: ld.so: object '/lib64/libonion.so' from /etc/ld.so.preload cannot be preloaded"
        " (cannot open shared object file): ignored.",
        "please set ASCEND_RT_VISIBLE_DEVICES=0",
        "reading binary_info_config.json",
        "ValueError: The argument is invalid",
        "FileNotFoundError: [Errno 2] No such file or directory: '/data/x.json'",
        "git: 'lfs' is not supported",
        "get device count failed, err: 38",
        "connect failed, err: 87",
    ],
)
def test_everyday_words_without_evidence_say_nothing(said: str) -> None:
    assert names(said) == []


def test_no_code_is_lost() -> None:
    (symptom,) = recognise("error code is 107001\nERR00100 PTA call acl api failed\nEE1001: The argument is invalid.")
    assert symptom.codes == ("107001", "ERR00100", "EE1001")
    assert symptom.evidence == "error code is 107001"


def test_evidence_of_a_long_line_shows_the_place() -> None:
    for line in ("x" * 500 + " error code is 507033 " + "y" * 500, "a " * 5000 + "NPU out of memory" + " b" * 5000):
        (symptom,) = recognise(line)
        assert len(symptom.evidence) <= symptoms.MOST_EVIDENCE
        assert "507033" in symptom.evidence or "NPU out of memory" in symptom.evidence


@pytest.mark.parametrize("before", range(3960, 4030, 7))
def test_a_message_at_the_edge_of_a_piece_is_seen(before: int) -> None:
    assert names("z" * before + " dcmi module initialize failed. ret is -8005 " + "z" * 4000) == [
        "driver-not-answering"
    ]


@given(st.text())
def test_never_raises(said: str) -> None:
    for symptom in recognise(said):
        assert symptom.evidence


PIECES = st.sampled_from(
    [word for row in TABLE for word in row.phrases + row.codes + row.libraries] + [
        "error code is ", "ret is ", "result = ", "No module named ", GONE, "\n", "\\n", "\x1b[", ": ", "507033",
        "-8005", " .. "]
)  # fmt: skip


@given(st.lists(PIECES | st.text(max_size=3), max_size=12).map("".join))
def test_never_raises_on_what_resembles_messages(said: str) -> None:
    for symptom in recognise(said):
        assert len(symptom.evidence) <= symptoms.MOST_EVIDENCE
        assert symptom.name in NAMES


NUMBERS = st.integers(0, 999_999) | st.sampled_from([507033, 507899, 107001, 207018, 500001, 100000, 507008])
WORDS = st.sampled_from(
    ["step", "loss", "lr", "memory", "tokens", "epoch", "size", "pid", "time", "rank", "of", "grad_norm"]
)


@given(st.lists(st.tuples(WORDS, st.sampled_from([" ", "=", ": ", " = ", "["]), NUMBERS), max_size=20))
def test_ordinary_logs_say_nothing(words: list[tuple[str, str, int]]) -> None:
    assert names("[INFO] " + ", ".join(f"{word}{sign}{number}" for word, sign, number in words)) == []


@given(st.integers(100_000, 999_999), st.sampled_from(["MB", " MB", " ms", " tokens", "%", ".5", ":12", "/65536"]))
def test_amounts_are_no_codes(number: int, unit: str) -> None:
    assert names(f"result = {number}{unit}") == []
    assert names(f"failed: {number}{unit}") == []


def flood(line: str) -> str:
    return "".join(line % (number, number % 1000) for number in range(1_000_000 // len(line)))[:1_000_000]


@pytest.mark.parametrize(
    "said",
    [
        flood("[INFO] 2025-01-01 12:00:00 step %d loss 1.%04d lr 1e-5 mem 507033 / 65536 MB\n"),
        flood("%d failed 507%03d ms\n"),
        flood("%d error code is 507%03d "),
        flood("lib%d_%d.so: cannot open shared object file\n"),
        flood("%d No such file or directory dcmi torch== %d\n"),
        flood("E%05d: drvRetCode=%d "),
        "\n" * 1_000_000,
        " " * 1_000_000,
        "\x1b[0" * 333_333,
        "c o d e " * 125_000,
        "507033" * 166_666,
        "no module named " * 62_500,
    ],
    ids=[
        "log",
        "failures",
        "one-line",
        "libraries",
        "files",
        "codes",
        "lines",
        "blanks",
        "escapes",
        "spelt",
        "digits",
        "modules",
    ],
)
def test_a_megabyte_does_not_take_for_ever(said: str) -> None:
    with no_hang():
        recognise(said)


# The table ------------------------------------------------------------------------------------------------------------

NAMES = {row.name for row in TABLE}
