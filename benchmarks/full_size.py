"""Time and memory of reconstructions at full size with a learned prior on the picture and one on a feature map.

AlexNet to conv4/relu and VGG-16 to conv3_3/relu on 224 px pictures, random weights (they change neither time nor
memory): feature match, 512 experts of 8 x 8 on the picture with ``patch_stride`` 4, 512 experts of 3 x 3 over all
channels of a map, jitter, bound, Adam, records every 10 iterations. Baseline in the same run: the network's forward and
backward pass alone to the same layer, with a loss of the same shape, on the same batch as the solver passes it (one
picture is run as two rows, see ``benchmarks/iteration.py``). Both take turns, order swapped each time; a ratio is the
median over the pairs, of processor time, so that it can be read on a busy machine. Peak memory is that of a fresh
process that does nothing else.

The goals are judged on one picture with the stated strides: 1.3 times the bare network, 6 GB. Beside it stands what
the priors cannot do without: the two matrix products of each on ready matrices of the same shapes, without cutting out,
expert and putting back. The other rows say what strides, larger batches and a deeper layer change. Exit status 1: a
goal is missed.

    python benchmarks/full_size.py [--case alexnet] [--case vgg16] [--batch N] [--pairs N] [--steps N] [--no-others]
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from iteration import JITTER, bare_network, full_iteration

from restoration_core.networks import Classifier, open_network
from restoration_core.objectives import make_problem, none
from restoration_core.priors.expert_functions import EXPERTS
from restoration_core.priors.patch_experts import PatchExperts
from restoration_core.reconstruction import Problem, Term, keep_freed_memory

SIZE = 224
EXPERTS_EACH = 512
LARGEST_RATIO, LARGEST_MEMORY_GB = 1.3, 6.0


@dataclass(frozen=True)
class Case:
    """A network inverted from a layer; a stride of 0 leaves that prior out."""

    network: str
    layer: str
    map_layer: str
    map_stride: int
    deeper: str
    image_stride: int = 4

    @property
    def title(self) -> str:
        priors = [f"8 x 8 on the picture at stride {self.image_stride}"] if self.image_stride else []
        priors += [f"3 x 3 on {self.map_layer} at stride {self.map_stride}"] if self.map_stride else []
        return " + ".join(priors) or "no learned prior"


CASES = {
    "alexnet": Case("alexnet", "conv4/relu", "conv2/relu", map_stride=4, deeper="conv5/relu"),
    "vgg16": Case("vgg16", "conv3_3/relu", "conv2_2/relu", map_stride=4, deeper="conv4_3/relu"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=sorted(CASES), action="append", help="default: both")
    parser.add_argument("--batch", type=int, default=4, help="of the rows that are not judged")
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument(
        "--steps", type=int, default=10, help="iterations per timing; a multiple of 10 has every record"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-others", action="store_true", help="only what the goals are judged on")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    kept = keep_freed_memory()
    if arguments.child:
        print(json.dumps({"peak_gb": child(Case(**json.loads(arguments.child)), arguments.steps)}))
        return
    print(f"torch {torch.__version__}, {platform.processor() or platform.machine()}, {arguments.threads} thread(s)")
    print(f"processor time, median of {arguments.pairs} pairs of {arguments.steps} iterations; freed memory", end=" ")
    print("kept" if kept else "given back")
    judged = [judge(CASES[name], arguments) for name in arguments.case or sorted(CASES)]
    sys.exit(0 if all(judged) else 1)


def judge(case: Case, arguments: argparse.Namespace) -> bool:
    """Measure a case, print it, and return whether both goals are reached."""
    classifier = open_network(case.network, "random")
    print(f"\n{case.network}, {case.layer}, {SIZE} px, {EXPERTS_EACH} experts a prior")
    ratio = measure(classifier, case, 1, arguments.pairs, arguments.steps)
    memory = peak_of_a_fresh_process(case, arguments.threads)
    for what, value, goal in (("x", ratio, LARGEST_RATIO), ("GB peak", memory, LARGEST_MEMORY_GB)):
        print(f"  goal {'reached' if value <= goal else 'MISSED'}: {value:.2f} {what} <= {goal:g} {what}", flush=True)
    if not arguments.no_others:
        full = replace(case, map_stride=1)
        for other in (replace(case, image_stride=0, map_stride=0), replace(case, map_stride=0), full):
            measure(classifier, other, 1, arguments.pairs, arguments.steps)
        measure(classifier, replace(full, image_stride=1), 1, max(1, arguments.pairs // 3), arguments.steps)
        measure(classifier, case, arguments.batch, max(1, arguments.pairs // 3), arguments.steps)
        measure(classifier, replace(case, layer=case.deeper), 1, arguments.pairs, arguments.steps)
    return ratio <= LARGEST_RATIO and memory <= LARGEST_MEMORY_GB


def measure(classifier: Classifier, case: Case, batch: int, pairs: int, steps: int) -> float:
    """Time whole iterations and the bare network in turn; print milliseconds and return the ratio."""
    images = pictures(batch)
    bare = bare_network(classifier, case.layer, images, padded=True)
    full = full_iteration(classifier, SIZE, problems(classifier, case, batch, steps * (pairs + 2)))
    floor = matrix_products(classifier, case, batch)
    times: dict[str, list[float]] = {"bare": [], "full": [], "floor": []}
    runs: list[tuple[str, Callable[[int], None]]] = [("bare", bare), ("full", full), ("floor", floor)]
    for _, run in runs:
        run(2 if run is bare else steps)
    for _ in range(pairs):
        for name, run in runs:
            started = time.process_time()
            run(steps)
            times[name].append((time.process_time() - started) / steps)
        runs.reverse()
    ratio, products = (
        statistics.median(a / b for a, b in zip(times[name], times["bare"], strict=True)) for name in ("full", "floor")
    )
    milliseconds = {name: 1e3 * statistics.median(values) for name, values in times.items()}
    print(
        f"  {case.layer}, batch {batch}: bare network {milliseconds['bare']:7.1f} ms, iteration"
        f" {milliseconds['full']:7.1f} ms = {ratio:.2f} x (matrix products alone {products:.2f} x), {case.title}",
        flush=True,
    )
    return ratio


def matrix_products(classifier: Classifier, case: Case, batch: int) -> Callable[[int], None]:
    """Return the two products of each learned prior on ready matrices, and nothing else."""
    products = []
    channels, side, _ = classifier.shape(case.map_layer, SIZE)
    for depth, width, patch, stride in ((3, SIZE, 8, case.image_stride), (channels, side, 3, case.map_stride)):
        if stride:
            patches = ((width - patch) // stride + 1) ** 2
            filters = torch.rand(EXPERTS_EACH, depth * patch**2)
            columns = torch.rand(depth * patch**2, patches)
            responses, pulled = torch.empty(EXPERTS_EACH, patches), torch.empty_like(columns)
            products.append((filters, filters.T.contiguous(), columns, responses, pulled))

    def run(steps: int) -> None:
        for _ in range(steps * batch):
            for filters, back, columns, responses, pulled in products:
                torch.mm(filters, columns, out=responses)
                torch.mm(back, responses, out=pulled)

    return run


def pictures(batch: int) -> torch.Tensor:
    return torch.rand(batch, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


def problems(classifier: Classifier, case: Case, batch: int, iterations: int) -> list[Problem]:
    """Return one problem per row, with the learned priors as terms."""
    terms = []
    if case.image_stride:
        terms.append(Term("priors.image", field(3, 8, case.image_stride), 1e-3))
    if case.map_stride:
        channels = classifier.shape(case.map_layer, SIZE)[0]
        terms.append(Term(f"priors.{case.map_layer}", field(channels, 3, case.map_stride), 1e-3, case.map_layer))
    made = (
        make_problem(
            classifier, image, case.layer, none(classifier, case.layer), seed=seed, jitter=JITTER, terms=tuple(terms)
        )
        for seed, image in enumerate(pictures(batch))
    )
    return [replace(one, iterations=iterations, bound=160.0, jitter_until=None) for one in made]


def field(channels: int, side: int, stride: int) -> PatchExperts:
    """Return a field whose filters were not trained, which changes neither time nor memory."""
    generator = torch.Generator().manual_seed(channels)
    filters = torch.randn(EXPERTS_EACH, channels, side, side, generator=generator) / (side * channels**0.5)
    alphas, bias = torch.ones(EXPERTS_EACH), torch.zeros(EXPERTS_EACH)
    return PatchExperts(filters, alphas, bias, EXPERTS["student_t"], patch_stride=stride)


def child(case: Case, steps: int) -> float:
    """Run some iterations and return this process's peak in GB."""
    classifier = open_network(case.network, "random")
    full_iteration(classifier, SIZE, problems(classifier, case, 1, 2 * steps))(steps)
    # Not ru_maxrss, because a child process starts with the value of its parent.
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024 / 1e9


def peak_of_a_fresh_process(case: Case, threads: int) -> float:
    command = [sys.executable, __file__, "--threads", str(threads), "--child", json.dumps(vars(case))]
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return float(json.loads(answer)["peak_gb"])


if __name__ == "__main__":
    main()
