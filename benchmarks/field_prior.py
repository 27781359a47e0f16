"""What the gradient of a convolutional field costs over its bare convolutions, and what autograd costs.

Baselines in the same run, on the same pyramid of ready, padded pictures: one ``conv2d`` and one ``conv_transpose2d`` a
scale and nothing else (no pooling, padding, expert or putting back), and autograd through the same energy. They take
turns; ratios are medians over neighbours in time. The error against autograd is printed, so that no wrong result is
timed.

    python benchmarks/field_prior.py [--size 64 --size 224] [--experts 64] [--filter-size 7] [--scales 3] [--batch 4]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from restoration_core.priors.convolutional_experts import ConvolutionalExperts
from restoration_core.priors.expert_functions import EXPERTS

CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, action="append", help="side of the picture; default: 64 and 224")
    parser.add_argument("--channels", type=int, default=3)
    parser.add_argument("--experts", type=int, default=64)
    parser.add_argument("--filter-size", type=int, default=7)
    parser.add_argument("--scales", type=int, default=3)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--expert", choices=sorted(EXPERTS), default="student_t")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: processor time, for a busy machine")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for size in arguments.size or [64, 224]:
        measure(arguments, size)


def measure(arguments: argparse.Namespace, size: int) -> None:
    """Time the three in turn; print milliseconds per picture and their ratios."""
    generator = torch.Generator().manual_seed(0)
    count, side, scales = arguments.experts, arguments.filter_size, arguments.scales
    filters = torch.randn(count, arguments.channels, side, side, generator=generator) / side
    ones = torch.ones(1, scales, count)
    expert = EXPERTS[arguments.expert]
    prior = ConvolutionalExperts(filters, torch.zeros(count), ones, ones, [0.1], expert)
    x = torch.rand(arguments.batch, arguments.channels, size, size, generator=generator)
    runs = {
        "gradient": lambda: prior.gradient(x),
        "bare": bare_convolutions(filters, x, scales),
        "autograd": lambda: by_autograd(prior, x),
    }
    expected, found = by_autograd(prior, x), prior.gradient(x)
    error = float((found - expected).abs().max() / expected.abs().max())
    clock = CLOCKS[arguments.clock]
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(arguments.rounds):
        for name, run in runs.items():
            started = clock()
            run()
            times[name].append((clock() - started) / arguments.batch)
    ratios = {
        name: statistics.median(a / b for a, b in zip(times["gradient"], times[name], strict=True)) for name in runs
    }
    milliseconds = {name: 1e3 * statistics.median(values) for name, values in times.items()}
    print(
        f"{count} {arguments.expert} experts {side} x {side} on {scales} scales, batch of {arguments.batch} of"
        f" {arguments.channels} x {size} x {size}: gradient {milliseconds['gradient']:.2f} ms a picture ="
        f" {ratios['bare']:.2f} x the bare convolutions ({milliseconds['bare']:.2f} ms) and"
        f" {ratios['autograd']:.2f} x autograd ({milliseconds['autograd']:.2f} ms); largest relative error {error:.1e}"
    )


def pyramid(x: Tensor, scales: int, side: int) -> list[Tensor]:
    """Return the picture at every scale with its margins, as the prior convolves it."""
    before, behind = (side - 1) // 2, side // 2
    return [
        F.pad(F.avg_pool2d(x, 2**scale, ceil_mode=True), (before, behind, before, behind), mode="reflect")
        for scale in range(scales)
    ]


def bare_convolutions(filters: Tensor, x: Tensor, scales: int) -> Callable[[], None]:
    """Return both convolutions of every scale, one after the other, in the memory format that is best for them."""
    kernels = filters.contiguous(memory_format=torch.channels_last)
    planes = [plane.contiguous(memory_format=torch.channels_last) for plane in pyramid(x, scales, filters.shape[2])]

    def run() -> None:
        with torch.no_grad():
            for plane in planes:
                F.conv_transpose2d(F.conv2d(plane, kernels), kernels)

    return run


def by_autograd(prior: ConvolutionalExperts, x: Tensor) -> Tensor:
    """Return the gradient of the sum of energies by autograd through the definition."""
    leaf = x.clone().requires_grad_()
    energy = torch.zeros(())
    for scale, plane in enumerate(pyramid(leaf, prior.scales, prior.patch_size)):
        alphas, gammas = prior.level_alphas[0, scale], prior.level_gammas[0, scale]
        responses = F.conv2d(plane, gammas[:, None, None, None] * prior.filters)
        energy = energy - (alphas[:, None, None] * prior.expert.log_density(responses)).sum() / x[0, 0].numel()
    return torch.autograd.grad(energy, leaf)[0]


if __name__ == "__main__":
    main()
