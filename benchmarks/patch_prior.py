"""What the gradient of a patch prior costs over its own matrix products, and what autograd through a convolution costs.

Baselines in the same run: the matrix-product floor (the two products of the gradient on ready matrices, nothing else:
no cutting out, no expert, no putting back), and autograd through ``conv2d`` with the same energy. Times are medians of
alternating runs; memory is the growth of each process's own peak.

    python benchmarks/patch_prior.py [--size 224] [--experts 512] [--patch-size 8] [--repeats 15] [--threads 1]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn import functional as F

from restoration_core.priors.expert_functions import EXPERTS
from restoration_core.priors.patch_experts import PatchExperts

FLOOR, OURS, BOTH, SUBSET, AUTOGRAD = (
    "floor",
    "gradient",
    "energy and gradient",
    "gradient, stride 4",
    "autograd conv2d",
)


def candidates(arguments: argparse.Namespace, expert: str) -> dict[str, Callable[[], object]]:
    """Return the calls to be timed, all on the same random picture and filters."""
    generator = torch.Generator().manual_seed(0)
    size, count, side = arguments.patch_size, arguments.experts, arguments.size
    filters = torch.randn(count, 3, size, size, generator=generator) / size
    alphas, bias = torch.rand(count, generator=generator) + 0.1, torch.randn(count, generator=generator)
    prior = PatchExperts(filters, alphas, bias, EXPERTS[expert])
    x = torch.rand(1, 3, side, side, generator=generator)
    flat, back = filters.flatten(1).contiguous(), filters.flatten(1).T.contiguous()
    patches = (side - size + 1) ** 2
    # The floor is the fastest of several chunk sizes. Its matrices are drawn only once.
    pieces = {piece: _floor(flat, back, patches, min(piece, patches)) for piece in (1000, 3000, 10_000, patches)}
    best = min(pieces, key=lambda piece: min(_time(pieces[piece]) for _ in range(4)))
    offsets = torch.tensor([[1, 2]])
    coarse = prior.with_stride(4)

    def autograd() -> torch.Tensor:
        leaf = x.clone().requires_grad_()
        penalty = -prior.expert.log_density(F.conv2d(leaf, filters, bias))
        energy = (penalty * alphas[:, None, None]).sum() / patches
        return torch.autograd.grad(energy, leaf)[0]

    torch.testing.assert_close(prior.gradient(x), autograd(), rtol=1e-3, atol=1e-6)
    return {
        FLOOR: pieces[best],
        OURS: lambda: prior.gradient(x),
        BOTH: lambda: prior.energy_and_gradient(x),
        SUBSET: lambda: coarse.gradient_at(x, offsets),
        AUTOGRAD: autograd,
    }


def _floor(flat: torch.Tensor, back: torch.Tensor, patches: int, piece: int) -> Callable[[], None]:
    inputs = torch.rand(flat.shape[1], piece)
    responses, outputs = torch.empty(len(flat), piece), torch.empty(flat.shape[1], piece)
    whole, rest = divmod(patches, piece)

    def run() -> None:
        for _ in range(whole):
            torch.mm(flat, inputs, out=responses)
            torch.mm(back, responses, out=outputs)
        if rest:
            torch.mm(flat, inputs[:, :rest])
            torch.mm(back, responses[:, :rest])

    return run


def _time(call: Callable[[], object]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started


def _peak(arguments: argparse.Namespace, name: str, expert: str) -> float:
    """Return by how many MiB one call raises the peak of a fresh process."""
    command = [sys.executable, __file__, "--child", name, "--child-expert", expert]
    for option in ("size", "experts", "patch_size", "threads"):
        command += [f"--{option.replace('_', '-')}", str(getattr(arguments, option))]
    return float(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))


def _child(arguments: argparse.Namespace) -> None:
    size, count, side = arguments.patch_size, arguments.experts, arguments.size
    generator = torch.Generator().manual_seed(0)
    filters = torch.randn(count, 3, size, size, generator=generator)
    prior = PatchExperts(filters, torch.ones(count), torch.zeros(count), EXPERTS[arguments.child_expert])
    x = torch.rand(1, 3, side, side, generator=generator)
    # A small call first, so that the libraries' own code and threads are not counted.
    small = x[:, :, : 2 * size, : 2 * size]
    before = 0
    for picture in (small, x):
        before = _high_water_kib()
        if arguments.child == AUTOGRAD:
            leaf = picture.clone().requires_grad_()
            penalty = -prior.expert.log_density(F.conv2d(leaf, filters))
            penalty.sum().backward()
        elif arguments.child == SUBSET:
            prior.with_stride(4).gradient_at(picture, torch.tensor([[1, 2]]))
        elif arguments.child == BOTH:
            prior.energy_and_gradient(picture)
        else:
            prior.gradient(picture)
    print((_high_water_kib() - before) / 1024)


def _high_water_kib() -> int:
    # Not ru_maxrss, because a child process starts with the value of its parent.
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=224, help="side of the picture, in pixels")
    parser.add_argument("--experts", type=int, default=512)
    parser.add_argument("--patch-size", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--child-expert", default="logistic", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.child:
        _child(arguments)
        return
    print(
        f"{arguments.experts} experts, {arguments.patch_size} x {arguments.patch_size} x 3, {arguments.size} px,"
        f" float32, {arguments.threads} thread(s), median of {arguments.repeats} alternating runs, processor time"
    )
    for expert in EXPERTS:
        calls = candidates(arguments, expert)
        times: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(arguments.repeats):
            for name, call in calls.items():
                times[name].append(_time(call))
        floor = statistics.median(times[FLOOR])
        print(f"{expert:22}{'ms':>9}{'x floor':>10}{'peak MiB':>10}")
        for name, values in times.items():
            middle = statistics.median(values)
            memory = "" if name == FLOOR else f"{_peak(arguments, name, expert):10.0f}"
            print(f"  {name:20}{1e3 * middle:9.1f}{middle / floor:10.2f}{memory}")


if __name__ == "__main__":
    main()
