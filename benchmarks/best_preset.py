"""How close does preset `best` come to its own optimum, and to the picture, layer by layer?

Every photograph is reconstructed from each layer alone under `best` from noise, under `best` from the photograph itself
(the truth: what the objective can reach when nobody has to search), and under a baseline from noise. Prints per layer,
as means over the photographs: the squared normalised feature error, PSNR and SSIM; and for `best` the final objective
over the truth-started run's and the share of photographs where that ratio is within 1.05.

    python benchmarks/best_preset.py --network squeezenet1_0 --weights PATH --images FOLDER \\
        --layers features.1 features.4 --size 224 --limit 12
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.images import SUFFIXES, load_image
from restoration_core.metrics import feature_error, psnr, ssim
from restoration_core.networks import Classifier, open_network
from restoration_core.objectives import PRESETS, Preset, feature_targets, make_problem, open_preset
from restoration_core.reconstruction import OBJECTIVE, Problem, keep_freed_memory, solve

WITHIN = 1.05
GOAL = 0.8
_TRUTH = "best, from the truth"


@dataclass(frozen=True)
class Score:
    """One reconstruction against its original."""

    feature_error: float
    psnr: float
    ssim: float
    objective: float


def score(classifier: Classifier, layer: str, original: Tensor, image: Tensor, objective: float) -> Score:
    """Return the scores of one picture, clamped to [0, 1] as a user sees it."""
    wanted, found = (feature_targets(classifier, picture, [layer])[layer][None] for picture in (original, image))
    pair = image[None], original[None]
    return Score(float(feature_error(found, wanted)), float(psnr(*pair)), float(ssim(*pair)), objective)


def run(
    classifier: Classifier, layer: str, pictures: Sequence[Tensor], presets: dict[str, Preset], rows: int, device: str
) -> dict[str, list[Score]]:
    """Solve every picture under every preset from noise, and under `best` from the picture; ``rows`` in a batch."""
    size = pictures[0].shape[-1]
    jobs: list[tuple[str, Tensor, Problem]] = []
    for seed, picture in enumerate(pictures):
        for name, preset in presets.items():
            jobs.append((name, picture, make_problem(classifier, picture, layer, preset, seed=seed)))
        # Coarse stages would blur the picture it starts from, so this run has full size from the start.
        told = make_problem(classifier, picture, layer, presets["best"], seed=seed, initial=picture, coarse_to_fine=())
        jobs.append((_TRUTH, picture, told))
    scores: dict[str, list[Score]] = {name: [] for name in [*presets, _TRUTH]}
    for first in range(0, len(jobs), rows):
        batch = jobs[first : first + rows]
        results = solve(classifier, [problem for *_, problem in batch], size, device=device, record_every=100)
        for (name, picture, _), result in zip(batch, results, strict=True):
            scores[name].append(score(classifier, layer, picture, result.image, result.losses[OBJECTIVE]))
    return scores


def show(layer: str, scores: dict[str, list[Score]]) -> bool:
    """Print one layer's table; return whether enough photographs ended within 1.05 of the truth-started run."""
    print(f"{layer}\n{'':24}{'feature error':>15}{'(largest)':>11}{'PSNR / dB':>11}{'SSIM':>8}{'objective':>12}")
    for name, rows in scores.items():
        errors = [row.feature_error for row in rows]
        # Each method has an objective of its own; only those of `best` can be compared with each other.
        objective = f"{fmean(row.objective for row in rows):>12.3e}" if name in ("best", _TRUTH) else f"{'-':>12}"
        print(
            f"  {name:22}{fmean(errors):>15.4%}{max(errors):>11.4%}{fmean(row.psnr for row in rows):>11.2f}"
            f"{fmean(row.ssim for row in rows):>8.3f}{objective}"
        )
    pairs = zip(scores["best"], scores[_TRUTH], strict=True)
    ratios = sorted(found.objective / told.objective for found, told in pairs)
    share = fmean(ratio <= WITHIN for ratio in ratios)
    print(
        f"  objective over the truth-started run's: mean {fmean(ratios):.3f}, median {ratios[len(ratios) // 2]:.3f}, "
        f"largest {ratios[-1]:.3f}; {share:.0%} of photographs within {WITHIN} (goal {GOAL:.0%})",
        flush=True,
    )
    return share >= GOAL


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="cifar_alexnet")
    parser.add_argument("--weights", help="path, random, or nothing for the network's own")
    parser.add_argument("--images", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--layers", nargs="+", required=True)
    parser.add_argument("--size", type=int, default=224, help="side of the central square, in pixels")
    parser.add_argument("--limit", type=int, default=12, help="number of photographs, evenly spaced over the folder")
    parser.add_argument("--baseline", nargs="*", default=["mv2016"], choices=sorted(set(PRESETS) - {"best"}))
    parser.add_argument("--iterations", type=int, help="stretch every method to this length")
    parser.add_argument("--rows", type=int, default=12, help="reconstructions in a batch")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    files = sorted(path for path in arguments.images.glob("[!.]*") if path.suffix.lower() in SUFFIXES)
    if not files or arguments.limit < 1:
        parser.error(f"{arguments.images}: {len(files)} photographs, --limit {arguments.limit}; at least 1 is needed")
    files = files[:: max(1, len(files) // arguments.limit)][: arguments.limit]
    keep_freed_memory()
    try:
        classifier = open_network(arguments.network, arguments.weights)
        pictures = [torch.from_numpy(load_image(file, arguments.size)) for file in files]
        print(f"{classifier.name}, {len(files)} photographs, {arguments.size} px squares")
        passed = True
        for layer in arguments.layers:
            presets = {name: open_preset(name, classifier, layer) for name in ["best", *arguments.baseline]}
            if arguments.iterations:
                presets = {name: preset.with_iterations(arguments.iterations) for name, preset in presets.items()}
            started = time.perf_counter()
            passed &= show(layer, run(classifier, layer, pictures, presets, arguments.rows, arguments.device))
            print(f"  {time.perf_counter() - started:.0f} s", flush=True)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
