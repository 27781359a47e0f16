"""The price of a full iteration over the bare network.

One iteration of Mahendran & Vedaldi's objective (feature match, total variation, range, bound, jitter, Adam per row)
against the network's forward and backward pass alone, to the same layer with a loss of the same shape, and against the
same iteration written with plain autograd and ``torch.optim.Adam``. The three take turns, medians are compared.

    python benchmarks/iteration.py [--case NAME] [--batch N] [--rounds N] [--threads N] [--default-allocator]
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from restoration_core.networks import Classifier, open_network
from restoration_core.objectives import make_problem, mv2016_adam
from restoration_core.reconstruction import BatchSolver, Problem, keep_freed_memory

CASES = {"cifar_alexnet": ("bundled", "conv3/relu", 64), "alexnet": ("random", "conv4/relu", 224)}
JITTER = 4
CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=sorted(CASES), action="append", help="default: both")
    parser.add_argument("--batch", type=int, action="append", help="default: 1, 4 and 16")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=10, help="iterations per timing")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: processor time, for a busy machine")
    parser.add_argument("--default-allocator", action="store_true", help="as a process that does not keep freed memory")
    arguments = parser.parse_args()
    kept = not arguments.default_allocator and keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    machine = platform.processor() or platform.machine()
    memory = "kept" if kept else "given back"
    print(f"torch {torch.__version__}, {machine}, {arguments.threads} thread(s), {arguments.clock} time")
    print(f"freed memory {memory}")
    for case in arguments.case or list(CASES):
        for batch in arguments.batch or [1, 4, 16]:
            measure(case, batch, arguments.rounds, arguments.steps, CLOCKS[arguments.clock])


def measure(case: str, batch: int, rounds: int, steps: int, clock: Callable[[], float]) -> None:
    """Time the three in turn and print milliseconds per iteration and their ratios."""
    weights, layer, size = CASES[case]
    classifier = open_network(case, weights)
    images = torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(0))
    preset = mv2016_adam(classifier, layer)
    problems = [
        make_problem(
            classifier, image, layer, preset, seed=seed, jitter=JITTER, jitter_until=None, iterations=1_000_000 // size
        )
        for seed, image in enumerate(images)
    ]
    runs = {
        "bare": bare_network(classifier, layer, images, padded=True),
        "full": full_iteration(classifier, size, problems),
        "autograd": plain_autograd(classifier, layer, images, problems[0], padded=True),
    }
    times: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run(2)
    for _ in range(rounds):
        for name, run in runs.items():
            started = clock()
            run(steps)
            times[name].append((clock() - started) / steps)
    middle = {name: statistics.median(values) for name, values in times.items()}
    # Ratios of runs that follow each other, because the speed of a shared machine drifts.
    full, autograd = (
        statistics.median(a / b for a, b in zip(times[name], times["bare"], strict=True))
        for name in ("full", "autograd")
    )
    print(
        f"{case} {layer} {size} px, batch {batch:2d}: bare {1e3 * middle['bare']:7.2f} ms, "
        f"full iteration {1e3 * middle['full']:7.2f} ms = {full:.2f} x, "
        f"plain autograd {1e3 * middle['autograd']:7.2f} ms = {autograd:.2f} x",
        flush=True,
    )


def _padded(x: Tensor, padded: bool) -> Tensor:
    """Return a batch of one as two equal rows, as the solver runs it."""
    return torch.cat([x, x]) if padded and len(x) == 1 else x


def bare_network(classifier: Classifier, layer: str, images: Tensor, padded: bool) -> Callable[[int], None]:
    """Return forward and backward to ``layer`` with the squared error of the features, nothing else."""
    x = _padded(images, padded).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        target = classifier.features(x, [layer])[layer]

    def run(steps: int) -> None:
        for _ in range(steps):
            leaf = x.detach().requires_grad_()
            phi = classifier.features(leaf, [layer])[layer]
            torch.autograd.grad((phi - target).square().sum(), leaf)

    return run


def full_iteration(classifier: Classifier, size: int, problems: list[Problem]) -> Callable[[int], None]:
    """Return the batched solver on ``problems``, with its losses recorded every 10 iterations."""
    solver: BatchSolver[int] = BatchSolver(classifier, size)
    for number, problem in enumerate(problems):
        solver.add(number, problem)

    def run(steps: int) -> None:
        if solver.advance(steps):
            raise RuntimeError("a row ended while it was being timed")

    return run


def plain_autograd(
    classifier: Classifier, layer: str, images: Tensor, problem: Problem, padded: bool
) -> Callable[[int], None]:
    """Return the same iteration with every term in the autograd graph and ``torch.optim.Adam``."""
    size, pixels = images.shape[-1], images.shape[-1] ** 2
    with torch.no_grad():
        target = classifier.features(images, [layer])[layer]
    side = size + problem.jitter - 1
    canvas = torch.rand(len(images), 3, side, side, generator=torch.Generator().manual_seed(1)).requires_grad_()
    mean = torch.tensor(classifier.mean).reshape(1, 3, 1, 1)
    variation, range_ = problem.terms
    optimizer = torch.optim.Adam([canvas], lr=problem.learning_rate.at(0), betas=problem.betas)
    generator = torch.Generator().manual_seed(2)

    def run(steps: int) -> None:
        for _ in range(steps):
            corners = torch.randint(problem.jitter, (len(images), 2), generator=generator).tolist()
            x = torch.stack([c[:, i : i + size, j : j + size] for c, (i, j) in zip(canvas, corners, strict=True)])
            phi = classifier.features(_padded(x, padded), [layer])[layer][: len(x)]
            loss = ((phi - target).square().flatten(1).sum(1) / target.square().flatten(1).sum(1)).sum()
            edged = torch.nn.functional.pad(x, (0, 1, 0, 1), mode="replicate")
            down, right = edged[..., 1:, :-1] - x, edged[..., :-1, 1:] - x
            loss = loss + variation.weight * (down.square() + right.square()).sum() / pixels
            loss = loss + range_.weight * (x - mean).square().sum(1).pow(3).sum() / pixels
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                deviation = canvas - mean
                norm = 255 * deviation.norm(dim=1, keepdim=True)
                canvas.copy_(mean + deviation * (problem.bound / norm).clamp(max=1))

    return run


if __name__ == "__main__":
    main()
