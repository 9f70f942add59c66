# SPDX-License-Identifier: Apache-2.0
"""The program that torchrun starts once per card: a matmul, then all_reduce over all ranks and over pairs of nodes.

It runs unchanged on NPUs (HCCL) and on the CPU (gloo); only the back end and the device differ. Each rank answers in
its own file, with a line of JSON for each thing that it learned, like the proof of an environment, so a rank that hangs
or is killed has said where.

A rank that fails would leave the others waiting for HCCL's time limits, half an hour. So each has a thread that asks
torchrun's store once a second whether one has failed, and ends. The first to raise the number ``rack/failed`` has the
first error, which caused the others'. A node that vanished raises nothing: rank 0 watches that each node's own number
continues. ``add`` alone is used: older torches have no other call that does not wait.
"""

from __future__ import annotations

import json
from typing import Any, Dict, List

# argv: JSON with "device" (npu, cpu), "answers" (folder), "counts" (ranks of each node), "sizes" (bytes), "repeats",
# "pairs" (rounds of pairs of nodes; those of a round share no node), "limit_s", "beat_s".
PROGRAM = r"""
import json, os, sys, threading, time
from datetime import timedelta
asked = json.loads(sys.argv[1])
rank, world, local, own_node = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "GROUP_RANK"))
answer = open(os.path.join(asked["answers"], "%06d" % rank), "w")
def tell(**what):
    answer.write(json.dumps(what) + "\n")
    answer.flush()
tell(at="import torch", pid=os.getpid())
os.environ.setdefault("TORCH_DEVICE_BACKEND_AUTOLOAD", "0")
import torch
import torch.distributed as dist
on_cards = asked["device"] == "npu"
done = threading.Event()
def store():
    place = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    return dist.TCPStore(*place, is_master=False, timeout=timedelta(seconds=asked["limit_s"]))
def leave(why):
    tell(left=why)
    os._exit(77)
def watch():
    try:
        own = store()
        seen = {}
        while not done.is_set():
            if own.add("rack/failed", 0):
                leave("another rank failed")
            if local == 0:
                own.add("rack/beat/%d" % own_node, 1)
            if rank == 0:
                silent = [node for node in range(len(asked["counts"])) if is_silent(own, node, seen)]
                if silent:
                    own.add("rack/failed", 1)
                    tell(silent=silent)
                    leave("no heartbeat")
            done.wait(1)
    except Exception as error:
        if not done.is_set():
            leave("the store is gone: %s" % error)
def is_silent(own, node, seen):
    beat = own.add("rack/beat/%d" % node, 0)
    if node not in seen or seen[node][0] != beat:
        seen[node] = (beat, time.monotonic())
    # A node that has not begun yet may still import torch, of a file system that is slow the first time.
    return time.monotonic() - seen[node][1] > asked["beat_s"] * (1 if beat else 8)
def settled():
    if on_cards:
        torch.npu.synchronize()
def filled(size, value):
    return torch.full((max(1, size // 4),), float(value), dtype=torch.float32, device=device)
def reduced(size, repeats, group, ranks):
    tensor = filled(size, rank + 1)
    dist.all_reduce(tensor, group=group)
    settled()
    right = sum(each + 1 for each in ranks)
    wrong = tensor[tensor != right]
    if wrong.numel():
        gave = size, len(ranks), wrong[0].item(), right
        raise ArithmeticError("all_reduce of %d bytes over %d ranks gave %s, not %s" % gave)
    tensor = filled(size, 0)
    settled()
    dist.barrier(group=group)
    began = time.perf_counter()
    for _ in range(repeats):
        dist.all_reduce(tensor, group=group)
    settled()
    return (time.perf_counter() - began) / repeats
def ranks_of(nodes):
    first = [sum(asked["counts"][:node]) for node in range(len(asked["counts"]))]
    return [first[node] + number for node in nodes for number in range(asked["counts"][node])]
def work():
    tell(at="a matmul")
    product = torch.ones(512, 512, device=device) @ torch.ones(512, 512, device=device)
    settled()
    if (product != 512).any().item():
        raise ArithmeticError("a matmul of ones gave %s, not 512" % product.flatten()[0].item())
    tell(at="init_process_group")
    limit = timedelta(seconds=asked["limit_s"])
    dist.init_process_group("hccl" if on_cards else "gloo", timeout=limit)
    for size in asked["sizes"]:
        tell(at="all_reduce of %d bytes" % size)
        tell(size=size, seconds=reduced(size, asked["repeats"], None, range(world)))
    pairs = [pair for round_ in asked["pairs"] for pair in round_]
    tell(at="new_group of %d pairs" % len(pairs))
    groups = {tuple(pair): dist.new_group(ranks_of(pair), timeout=limit) for pair in pairs}
    for round_ in asked["pairs"]:
        for pair in round_:
            if own_node in pair:
                tell(at="all_reduce between nodes %d and %d" % tuple(pair))
                ranks = ranks_of(pair)
                tell(pair=pair, seconds=reduced(asked["sizes"][-1], asked["repeats"], groups[tuple(pair)], ranks))
        tell(at="a barrier")
        dist.barrier()
    done.set()
    tell(at="the last barrier")
    dist.barrier()
    tell(done=True)
try:
    if on_cards:
        tell(at="import torch_npu")
        import torch_npu
        tell(at="set_device(%d)" % local)
        torch.npu.set_device(local)
    device = "npu:%d" % local if on_cards else "cpu"
    torch.set_num_threads(1)
    threading.Thread(target=watch, daemon=True).start()
    work()
except Exception as error:
    words = "%s: %s" % (type(error).__name__, error)
    tell(error=words[:2000])
    try:
        tell(first=store().add("rack/failed", 1) == 1)
    except Exception as gone:
        tell(first=None, store=str(gone))
    os._exit(1)
# Not through the exit handlers: a back end that waits there for others would hang a rank that has done its work.
os._exit(0)
"""


# argv: address and port of torchrun's store. For a node whose ranks were killed, and could not say so themselves.
ALARM = """
import os, sys
from datetime import timedelta
os.environ.setdefault("TORCH_DEVICE_BACKEND_AUTOLOAD", "0")
import torch.distributed as dist
dist.TCPStore(sys.argv[1], int(sys.argv[2]), is_master=False, timeout=timedelta(seconds=5)).add("rack/failed", 1)
os._exit(0)
"""


def parse(text: str) -> Dict[str, Any]:
    """Return what one rank reported: ``{"at", "pid", "sizes", "pairs", "error", "first", "left", "silent", "done"}``.

    ``sizes``: bytes -> seconds of one all_reduce; ``pairs``: ``[[node, node], seconds]``; ``first``: whether its error
    is the first of all, None if unknown; ``left``: why it ended without an error of its own.
    """
    result: Dict[str, Any] = {"at": "its start", "pid": None, "error": None, "first": None, "left": None}
    result.update(silent=[], done=False)
    sizes: Dict[str, float] = {}
    pairs: List[Any] = []
    for line in text.splitlines():
        try:
            document = json.loads(line)
        except ValueError:
            continue  # half a line, of a rank that was killed
        if not isinstance(document, dict):
            continue
        if "size" in document:
            sizes[str(document["size"])] = document["seconds"]
        elif "pair" in document:
            pairs.append([document["pair"], document["seconds"]])
        else:
            result.update({key: value for key, value in document.items() if key in result})
    return {**result, "sizes": sizes, "pairs": pairs}
