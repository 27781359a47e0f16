"""Does a prior on patches of thousands of dimensions train within memory? 8 x 8 x 96 patches, 3000 dimensions kept.

The first layer of AlexNet as published (96 filters), random weights, the sample pictures; few steps, because memory
does not grow with them. Prints the peak of the process against the goal, and what the training took. Baseline in the
same run: the memory before it starts.

    python benchmarks/feature_map_training.py [--dims 3000] [--experts 2000] [--iterations 5]
"""

from __future__ import annotations

import argparse
import resource
import sys
import time

from restoration_core.networks import open_network
from restoration_core.priors import Recipe, load_samples, train_patch_experts
from restoration_core.priors.maps import FeatureMaps

GOAL_GB = 8.0


def peak_gb() -> float:
    """Return the largest resident memory this process has had, in units of 10^9 bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="caffe_alexnet", help="opened with random weights")
    parser.add_argument("--layer", default="conv1/relu")
    parser.add_argument("--patch-size", type=int, default=8)
    parser.add_argument("--short-side", type=int, default=360, help="of the sample pictures, in pixels")
    parser.add_argument("--dims", type=int, default=3000)
    parser.add_argument("--experts", type=int, default=2000)
    parser.add_argument("--patches", type=int, default=30_000)
    parser.add_argument("--iterations", type=int, default=5)
    arguments = parser.parse_args()
    source = FeatureMaps(open_network(arguments.network, "random"), arguments.layer, load_samples(arguments.short_side))
    recipe = Recipe(
        "student_t",
        arguments.patch_size,
        arguments.experts,
        short_side=arguments.short_side,
        dims=arguments.dims,
        sigma=0.1,
        patches=arguments.patches,
        iterations=arguments.iterations,
        maps=source.layer_maps,
    )
    before, started = peak_gb(), time.perf_counter()
    told: list[float] = []
    report = train_patch_experts(recipe, source, lambda *_: told.append(time.perf_counter() - started)).report
    after = peak_gb()
    raw = source.channels * arguments.patch_size**2
    print(f"{source.layer_maps}: {arguments.patches} patches of {raw} dimensions, {report.dims} kept,", end=" ")
    print(f"{arguments.experts} experts")
    print(f"moments, whitening and patches {told[0]:.0f} s, a step of {recipe.batch} patches and its check", end=" ")
    print(f"{(told[-1] - told[0]) / max(1, len(told) - 1):.1f} s")
    print(f"peak memory {after:.1f} GB, of which {before:.1f} GB before training; goal {GOAL_GB:.0f} GB:", end=" ")
    print("reached" if after <= GOAL_GB else "MISSED")
    return 0 if after <= GOAL_GB else 1


if __name__ == "__main__":
    sys.exit(main())
