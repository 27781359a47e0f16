"""The price of rows that are the same to the last bit in any batch.

Forward and backward pass of whole networks, through a :class:`Classifier` (dense layers filled up to eight rows, at
most eight rows at once) and through the same module as its author wrote it; the two take turns, medians are compared.
Beside the times: in how many of the batch's rows the gradient differs in some bit from that of the same picture in a
batch of two.

    python benchmarks/separate_rows.py [--case NAME] [--batch N] [--rounds N] [--threads N] [--clock cpu]
"""

from __future__ import annotations

import argparse
import copy
import platform
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from restoration_core.networks import Classifier, open_network
from restoration_core.networks.separate_rows import SeparateRowsAttention, SeparateRowsLinear
from restoration_core.reconstruction import keep_freed_memory

CASES = {"cifar_alexnet": 32, "alexnet": 224, "resnet50": 64, "swin_t": 64}
"""Network -> side of the pictures in pixels."""
CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=list(CASES), action="append", help="default: all")
    parser.add_argument("--batch", type=int, action="append", help="default: 2, 4, 8 and 16")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: processor time, for a busy machine")
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    processor = platform.processor() or platform.machine()
    print(f"torch {torch.__version__}, {processor}, {arguments.threads} thread(s), {arguments.clock} time")
    for name in arguments.case or list(CASES):
        network = open_network(name, "bundled" if name == "cifar_alexnet" else "random")
        plain = as_written(network)
        for batch in arguments.batch or [2, 4, 8, 16]:
            measure(network, plain, CASES[name], batch, arguments.rounds, CLOCKS[arguments.clock])


def as_written(network: Classifier) -> Callable[[Tensor], Tensor]:
    """Return the same network with torch's own dense layers and attention, for pictures in [0, 1]."""
    module = copy.deepcopy(network.module)
    for part in module.modules():
        if type(part) is SeparateRowsLinear:
            part.__class__ = nn.Linear
        elif type(part) is SeparateRowsAttention:
            part.__class__ = nn.MultiheadAttention
    mean, std = (torch.tensor(values).reshape(1, 3, 1, 1) for values in (network.mean, network.std))

    def run(x: Tensor) -> Tensor:
        output: Tensor = module(((x - mean) / std).contiguous(memory_format=network.memory_format))
        return output

    return run


def measure(
    network: Classifier,
    plain: Callable[[Tensor], Tensor],
    size: int,
    batch: int,
    rounds: int,
    clock: Callable[[], float],
) -> None:
    """Time both in turn and print milliseconds, their ratio, and the rows that differ."""
    last = network.layers[-1]
    passes: dict[str, Callable[[Tensor], Tensor]] = {
        "plain": plain,
        "separate": lambda x: network.features(x, [last])[last],
    }
    pictures = torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(0))
    times: dict[str, list[float]] = {name: [] for name in passes}
    for _ in range(rounds):
        for name, run in passes.items():
            started = clock()
            gradient(run, pictures)
            times[name].append(clock() - started)
    differing = {name: rows_that_differ(run, pictures) for name, run in passes.items()}
    before, now = (1000 * statistics.median(times[name]) for name in passes)
    print(
        f"{network.name}, {size} px, batch {batch}: plain {before:.1f} ms ({differing['plain']} rows differ), "
        f"separate {now:.1f} ms, {now / before:.2f} x ({differing['separate']} differ)",
        flush=True,
    )


def gradient(run: Callable[[Tensor], Tensor], pictures: Tensor) -> Tensor:
    """Return the gradient of the sum of squares of the output."""
    leaf = pictures.clone().requires_grad_()
    (found,) = torch.autograd.grad(run(leaf).square().sum(), leaf)
    return found


def rows_that_differ(run: Callable[[Tensor], Tensor], pictures: Tensor) -> int:
    """Return how many rows get another gradient than in a batch of two."""
    together = gradient(run, pictures)
    pairs = [gradient(run, pictures[[row, (row + 1) % len(pictures)]])[0] for row in range(len(pictures))]
    return sum(not torch.equal(row, pair) for row, pair in zip(together, pairs, strict=True))


if __name__ == "__main__":
    main()
