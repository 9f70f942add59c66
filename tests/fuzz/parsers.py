# SPDX-License-Identifier: Apache-2.0
"""Feed damaged text to every parser of a node's text, and hold what must hold for all of it.

    python tests/fuzz/parsers.py --runs 1000000 --seed 1

No parser raises, takes more than MOST_SECONDS of CPU, or writes a problem longer than MOST_PROBLEM. npu-smi's table
never has more devices than before the damage (unless text was inserted or doubled), and when it was only cut, all that
is said of a device was said before. Samples: rendered tables, the small ones below, and the folders of ASCEND_CORPUS.

The same seed gives the same runs, on any number of processes. Exit code 1: something failed; its input is in a file.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MOST_SECONDS = 0.5
MOST_PROBLEM = 1000
MOST_BYTES = 1_000_000  # of a damaged text; MOST_SECONDS is for these
CHUNK = 500
MOST_FILES = 10  # of failing inputs, a parser


@dataclass(frozen=True)
class Parser:
    """``folders`` of the corpus hold its samples; ``share``: how often it has its turn. Others: one sample in ten."""

    module: str
    function: str
    folders: tuple[str, ...]
    share: int = 1

    @property
    def name(self) -> str:
        return f"{self.module}.{self.function}"

    def load(self) -> Callable[[str], Any]:
        function: Callable[[str], Any] = getattr(
            importlib.import_module("ansible_collections.ascend.fleet.plugins.module_utils.ascend." + self.module),
            self.function,
        )
        return function


SUB = ("npu-smi-sub", "errors")
HCCN = ("hccn",)
FILES = ("version-files",)
# Every function of module_utils/ascend that takes a node's text.
PARSERS: list[Parser] = [
    Parser("npu.npu_smi", "parse_info", ("npu-smi-info",), share=20),
    Parser("npu.npu_smi_query", "read_pairs", SUB),
    Parser("npu.npu_smi_query", "parse_health", SUB),
    Parser("npu.hccn_answer", "read", HCCN),
    Parser("npu.hccn", "parse_address", HCCN),
    Parser("npu.hccn", "parse_gateway", HCCN),
    Parser("npu.hccn", "parse_link", HCCN),
    Parser("npu.hccn", "parse_net_health", HCCN),
    Parser("npu.hccn", "parse_link_stat", HCCN),
    Parser("npu.hccn", "parse_tls", HCCN),
    Parser("npu.hccn", "parse_ping", HCCN),
    Parser("npu.hccn_conf", "parse_conf", HCCN),
    Parser("cann.files", "parse_product_info", FILES),
    Parser("cann.files", "parse_version_cfg", FILES),
    Parser("cann.files", "parse_version_info", FILES),
    Parser("cann.files", "parse_install_info", FILES),
    Parser("ssh_certificate", "parse", ("ssh-certificate",)),
    Parser("npu.symptoms", "recognise", ("errors", "torch-npu"), share=2),
]

# For those who have no corpus: one text of each form.
SMALL: dict[str, tuple[str, ...]] = {
    "npu-smi-sub": (
        "\tTotal Count                    : 2\n\n\tNPU ID                         : 0\n\tChip Count      : 1\n",
        "\tNPU ID      Chip ID     Chip Logic ID     Chip Name\n\t0           0           0         Ascend 910B3\n",
        "\tHealth Status                  : Alarm\n\tError Code         : 80E18005\n\tError Information    : NA\n",
    ),
    "ssh-certificate": (
        "ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAILn6iD/TW+F7qLN"
        "E3SLX5/4617EFmLVlRpx/QZ5X4JwiAAAAIMG/cHJdPLhX+LXOX6ZveWo8JPpKlfraGGeLmdvfTYu5AAAAAAAAAAAAAAACAAAAB25"
        "wdS0wMDEAAAAZAAAAB25wdS0wMDEAAAAKMTkyLjAuMi4zMQAAAABrDUKFAAAAAGuD95UAAAAAAAAAAAAAAAAAAAAzAAAAC3NzaC1"
        "lZDI1NTE5AAAAIC5c5TDxV6DWbSMkPBxTjYn2yVruaalK9JbCdMuv6F7hAAAAUwAAAAtzc2gtZWQyNTUxOQAAAEB7wbDyMWOntyt"
        "CFkxZoNUqdd/+8URXGuATalWajEbeof8VGda/gJcDPzG9D4ge3l+H7pID7KqOzSPXTqbiiiIF npu-001",
    ),
    "errors": ("dcmi module initialize failed. ret is -8005\n",),
    "hccn": (
        "ipaddr:10.20.0.11\nnetmask:255.255.255.0\n",
        "[devid 4]link up count : 2\n[devid 4]link change records :\n[devid 4]   Sat May  4 09:59:59 2024   LINK UP\n",
        "+------+---------+\n| Port | Address |\n+------+---------+\n| a0   | fe80::1 |\n+------+---------+\n",
        "address_0=10.20.0.11\nnetmask_0=255.255.255.0\nnetdetect_0=10.20.0.1\n",
    ),
    "version-files": (
        "Version=24.1.rc2\nascendhal_version=7.35.19\npackage_version=24.1.rc2\n",
        '# version: 1.0\nruntime_running_version=[7.3.0.1.231:8.0.RC1]\nrequired_package_amct_version="7.3"\n',
        "package_name=Ascend-cann-toolkit\nversion=8.0.RC1\ninnerversion=V100R001\narch=aarch64\nos=linux\n",
    ),
    "torch-npu": ("RuntimeError: ACL stream synchronize failed, error code:507033\nEE1001: [PID: 1] a parameter\n",),
}

NOISE = (
    b"[ERROR] DRV(123,npu-smi):2024-05-01-10:00:00.000.000 [ascend][curpid: 1] failed\n",
    b"...\n",
    b"| ... |\n",
    b"|        |                 |               |\n",
    b"+---------------------------+---------------+----------------------------------------------------+\n",
    b"+===========================+===============+====================================================+\n",
    b"\x1b[31;1m\x1b[2J",
    b"\x1b]0;title\x07",
    b"\x00\xff\xfe",
    "\u3000：昇腾".encode(),
    b"> > ",
    b"\r\n",
    b"\t\t:\n",
    b"=" * 3000,
    b"|" * 500,
    b" " * 2000 + b"\n",
    b"\x1b[" * 300,
    b"[" * 500,
)

Damage = Callable[[Random, bytes], bytes]


def cut(random: Random, text: bytes) -> bytes:
    return text[: random.randint(0, len(text))]


def beginning_lost(random: Random, text: bytes) -> bytes:
    return text[random.randint(0, len(text)) :]


def lines_lost(random: Random, text: bytes) -> bytes:
    share = random.random()
    return b"".join(line for line in text.splitlines(keepends=True) if random.random() < share)


def lines_shuffled(random: Random, text: bytes) -> bytes:
    lines = text.splitlines(keepends=True)
    first = random.randint(0, len(lines))
    some = lines[first : first + random.randint(2, 12)]
    random.shuffle(some)
    return b"".join([*lines[:first], *some, *lines[first + len(some) :]])


def bits_flipped(random: Random, text: bytes) -> bytes:
    damaged = bytearray(text)
    for _ in range(random.randint(1, 8) if text else 0):
        damaged[random.randrange(len(damaged))] ^= 1 << random.randrange(8)
    return bytes(damaged)


def shifted(random: Random, text: bytes) -> bytes:
    """Blanks come and go in some lines, as when a table was written for another font."""
    lines = text.split(b"\n")
    for _ in range(random.randint(1, 4)):
        number = random.randrange(len(lines))
        at = random.randint(0, len(lines[number]))
        after = lines[number][at:]
        after = after.replace(b" ", b"", random.randint(1, 3)) if random.random() < 0.5 else b" " * at + after
        lines[number] = lines[number][:at] + after
    return b"\n".join(lines)


def doubled(random: Random, text: bytes) -> bytes:
    first = random.randint(0, len(text))
    chunk = text[first : first + random.randint(0, 600)]
    return text[:first] + chunk * random.choice((2, 2, 3)) + text[first + len(chunk) :]


def repeated(random: Random, text: bytes) -> bytes:
    times = random.choice((2, 2, 2, 3, 20))
    return text * times if len(text) * times < MOST_BYTES else text


def noise_inserted(random: Random, text: bytes) -> bytes:
    at = random.randint(0, len(text))
    if random.random() < 0.7:
        at = text.rfind(b"\n", 0, at) + 1
    return text[:at] + random.choice(NOISE) + text[at:]


DAMAGES: tuple[Damage, ...] = (
    cut,
    cut,
    beginning_lost,
    lines_lost,
    lines_shuffled,
    bits_flipped,
    shifted,
    doubled,
    repeated,
    noise_inserted,
)
ADDING = {doubled, repeated, noise_inserted}


@dataclass(frozen=True)
class Sample:
    """``devices`` are those that a rendered table says; None: what the parser reads in the undamaged text."""

    text: bytes
    devices: tuple[Any, ...] | None = None


@dataclass
class Tally:
    """What was seen of one parser."""

    runs: int = 0
    exceptions: int = 0
    violations: int = 0
    slowest_s: float = 0.0
    failures: list[tuple[str, str]] = field(default_factory=list)  # (why, input), the first few

    def add(self, other: Tally) -> None:
        self.runs += other.runs
        self.exceptions += other.exceptions
        self.violations += other.violations
        self.slowest_s = max(self.slowest_s, other.slowest_s)
        self.failures = (self.failures + other.failures)[:MOST_FILES]


def find_modules() -> None:
    """Make the project's modules importable, as tests/conftest.py does it for pytest."""
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    if str(ROOT / "collections") not in sys.path:
        sys.path.insert(0, str(ROOT / "collections"))


@lru_cache(maxsize=1)
def samples() -> dict[str, list[Sample]]:
    """Return the texts of each folder of the corpus, in a steady order."""
    any_table = importlib.import_module("tests.fuzz.tables").any_table
    found = {folder: [Sample(text.encode()) for text in texts] for folder, texts in SMALL.items()}
    tables = [any_table(Random(number), 8) for number in range(40)]
    found["npu-smi-info"] = [Sample(table.text().encode(), table.devices) for table in tables]
    corpus = os.environ.get("ASCEND_CORPUS")
    for folder, texts in found.items() if corpus else ():
        texts += [Sample(file.read_bytes()) for file in sorted(Path(corpus or "", folder).glob("*.txt"))]
    return found


@lru_cache(maxsize=4096)
def devices_of(parse: Callable[[str], Any], sample: Sample) -> tuple[Any, ...]:
    """Return the devices of the undamaged text."""
    if sample.devices is not None:
        return sample.devices
    return tuple(parse(sample.text.decode(errors="replace")).devices)


def run_chunk(job: tuple[int, int, int, tuple[str, ...]]) -> dict[str, Tally]:
    """Do the runs of one chunk: its number and the seed decide all of them."""
    seed, number, runs, names = job
    find_modules()
    random = Random(f"{seed}:{number}")
    chosen = [parser for parser in PARSERS if parser.name in names]
    loaded = {parser.name: parser.load() for parser in chosen}
    every = [text for texts in samples().values() for text in texts]
    tallies = {parser.name: Tally() for parser in chosen}
    for parser in random.choices(chosen, [parser.share for parser in chosen], k=runs):
        own = [text for folder in parser.folders for text in samples()[folder]]
        sample = random.choice(every if random.random() < 0.1 else own)
        damages = random.choices(DAMAGES, k=random.choice((1, 1, 2, 3)))
        text = sample.text
        for damage in damages:
            text = damage(random, text)
        one_run(tallies[parser.name], loaded[parser.name], sample, text, damages)
    return tallies


def one_run(tally: Tally, parse: Callable[[str], Any], sample: Sample, damaged: bytes, damages: list[Damage]) -> None:
    text = damaged.decode(errors="replace")
    tally.runs += 1
    start = time.process_time()
    try:
        result = parse(text)
    except Exception:  # noqa: BLE001  (this is what is looked for)
        tally.exceptions += 1
        keep(tally, traceback.format_exc(), text)
        return
    seconds = time.process_time() - start
    tally.slowest_s = max(tally.slowest_s, seconds)
    why = list(violations(result, lambda: devices_of(parse, sample), damages))
    why += [f"{seconds:.2f} s of CPU"] * (seconds > MOST_SECONDS)
    if why:
        tally.violations += 1
        keep(tally, "\n".join(why) + "\n", text)


def keep(tally: Tally, why: str, text: str) -> None:
    if len(tally.failures) < MOST_FILES:
        tally.failures.append((why, text))


def violations(result: Any, undamaged: Callable[[], tuple[Any, ...]], damages: list[Damage]) -> Iterator[str]:
    for problem in getattr(result, "problems", ()):
        if len(problem) > MOST_PROBLEM:
            yield f"a problem of {len(problem)} characters: {problem[:200]}"
    devices = getattr(result, "devices", ())
    if devices and not ADDING.intersection(damages):
        whole = undamaged()
        if len(devices) > len(whole):
            yield f"{len(devices)} devices of {len(whole)}"
        if set(damages) == {cut}:
            yield from (f"no such device: {device}" for device in devices if not any(said(device, o) for o in whole))


def said(device: Any, original: Any) -> bool:
    """Whether all that is known of the device is so in the original."""
    there = asdict(original)
    return all(value in (None, "", there[name]) for name, value in asdict(device).items())


def chunks(seed: int, runs: int, names: tuple[str, ...]) -> Iterator[tuple[int, int, int, tuple[str, ...]]]:
    for number in range((runs + CHUNK - 1) // CHUNK):
        yield seed, number, min(CHUNK, runs - number * CHUNK), names


def fuzz(seed: int, runs: int, names: tuple[str, ...], jobs: int, seconds: float | None) -> dict[str, Tally]:
    """Do all runs and return what was seen, by parser. Stops behind ``seconds``, if that is given."""
    total = {name: Tally() for name in names}
    start = told = time.monotonic()
    with multiprocessing.Pool(jobs) as pool:
        for tallies in pool.imap_unordered(run_chunk, chunks(seed, runs, names)):
            for name, tally in tallies.items():
                total[name].add(tally)
            now = time.monotonic()
            if now - told > 5:
                told = now
                done = sum(tally.runs for tally in total.values())
                failed = sum(tally.exceptions + tally.violations for tally in total.values())
                print(f"{done} of {runs} runs, {done / (now - start):.0f}/s, {failed} failed", flush=True)
            if seconds is not None and now - start > seconds:
                break
    return total


def report(total: dict[str, Tally]) -> str:
    counts = Counter({parser.name: sum(len(samples()[folder]) for folder in parser.folders) for parser in PARSERS})
    rows = [f"{'parser':<36}{'samples':>8}{'mutations':>11}{'exceptions':>12}{'slowest ms':>12}{'violations':>12}"]
    for name, tally in total.items():
        slowest = f"{tally.slowest_s * 1000:.1f}"
        rows.append(
            f"{name:<36}{counts[name]:>8}{tally.runs:>11}{tally.exceptions:>12}{slowest:>12}{tally.violations:>12}"
        )
    runs, exceptions, wrong = (
        sum(getattr(tally, name) for tally in total.values()) for name in ("runs", "exceptions", "violations")
    )
    slowest = f"{max((tally.slowest_s for tally in total.values()), default=0) * 1000:.1f}"
    return "\n".join([*rows, f"{'all':<36}{'':>8}{runs:>11}{exceptions:>12}{slowest:>12}{wrong:>12}"])


def write_failures(total: dict[str, Tally]) -> None:
    for name, tally in total.items():
        for why, text in tally.failures:
            with tempfile.NamedTemporaryFile("w", prefix=f"fuzz-{name}-", suffix=".txt", delete=False) as stream:
                stream.write(text)
            print(f"\n{name} on {stream.name}:\n{why}", end="")


def main(argv: Sequence[str] | None = None) -> int:
    options = argparse.ArgumentParser(description="Feed damaged text to every parser of a node's text.")
    options.add_argument("--runs", type=int, default=1_000_000)
    options.add_argument("--seed", type=int, default=None, help="default: another one each time; it is printed")
    options.add_argument("--seconds", type=float, help="stop then")
    options.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options.add_argument("--parser", default="", help="only those whose name holds this")
    given = options.parse_args(argv)
    seed = given.seed if given.seed is not None else int(time.time())
    names = tuple(parser.name for parser in PARSERS if given.parser in parser.name)
    if not names:
        options.error(f"no parser's name holds {given.parser}")
    find_modules()
    samples()  # before the processes begin: they share it
    print(f"seed {seed}", flush=True)
    total = fuzz(seed, given.runs, names, given.jobs, given.seconds)
    print(report(total))
    write_failures(total)
    failed = sum(tally.exceptions + tally.violations for tally in total.values())
    if failed:
        print(f"{failed} of {sum(tally.runs for tally in total.values())} runs failed; again: --seed {seed}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
