"""Does one range of calibrated weights serve every prior, patch size, layer and network?

A cell is a prior at a layer of a network. Its best weight is searched by reconstructing photographs at all weights of a
grid of half decades (raw weights, 13 points over 6 decades around the rule's guess, more where the best lies at the
edge, then quarter decades about the best), one batch of photographs x weights; the parabola through the best point and
its neighbours gives the top. Judged by the mean over the photographs of PSNR, which decides, and of SSIM. Goal: over
all cells, the standard deviation of log10 of the best calibrated weight <= 0.35 and <= half of that of raw weights.

Three rules stand side by side: `balance`, that of `restoration prior calibrate`, and the ratio of the curvatures alone,
at its noise level s and at the whole error r of reconstructions from features alone.

Every cell is kept as a line of JSON when it is done, with the curvatures along white, pink and jitter noise and along
real errors, so that rules can be compared without reconstructing again; a run that was cut off goes on. The table is
over all cells of the file, so networks are added one call at a time.

    python benchmarks/calibration_rule.py CELLS.jsonl --network cifar_alexnet --layer pool1 --layer conv3/relu \\
        --layer conv5/relu --size 32 [--images FOLDER] [--prior total_variation:2 --prior logistic:8 ...]
    python benchmarks/calibration_rule.py CELLS.jsonl --table

Two of the priors it takes by default do not ship and are trained first, a minute each, as are priors named beside them:

    restoration prior train --expert logistic --patch-size 4
    restoration prior train --expert student_t --patch-size 4
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from calibration_table import LEVELS, METRICS, at, layer_key, print_table, read, write
from torch import Tensor

from restoration_core.calibration import (
    NOISES,
    Calibrator,
    ErrorRun,
    Squares,
    curvature_curve,
    decaying,
    draw_noise,
    feature_gradient,
    load_squares,
    prior_gradient,
)
from restoration_core.commands.prior_terms import given_terms
from restoration_core.metrics import psnr, ssim
from restoration_core.networks import Classifier, open_network
from restoration_core.objectives import feature_targets
from restoration_core.priors.library import PriorLibrary
from restoration_core.reconstruction import FeatureMatch, Problem, Result, Term, keep_freed_memory, solve
from restoration_core.seeds import derive_seed

PRIORS = ("total_variation:2", "total_variation:1", "logistic:4", "logistic:8", "student_t:4", "student_t:8")


def reconstruct(
    classifier: Classifier, layer: str, originals: Tensor, terms: Sequence[tuple[Term, ...]], settings: dict[str, Any]
) -> list[list[Result]]:
    """Return results by set of terms and photograph; a photograph starts from the same noise with any terms."""
    targets = [feature_targets(classifier, picture, [layer])[layer] for picture in originals]
    problems = [
        Problem(
            (FeatureMatch(layer, target),),
            priors,
            iterations=settings["iterations"],
            learning_rate=decaying(settings["learning_rate"], settings["iterations"]),
            betas=(settings["beta1"], settings["beta2"]),
            seed=derive_seed(settings["seed"], "calibration", number),
        )
        for priors in terms
        for number, target in enumerate(targets)
    ]
    results = solve(classifier, problems, originals.shape[-1], record_every=settings["iterations"])
    return [results[first : first + len(targets)] for first in range(0, len(results), len(targets))]


def scores(results: Sequence[Result], originals: Tensor) -> dict[str, Any]:
    """Return per photograph PSNR, SSIM, squared error and feature loss of one weight."""
    pictures = torch.stack([result.image for result in results])
    return {
        "psnr": psnr(pictures, originals).tolist(),
        "ssim": ssim(pictures, originals).tolist(),
        "mse": (pictures - originals).square().flatten(1).mean(1).tolist(),
        "feature_loss": [result.losses["feature_loss"] for result in results],
    }


def curvatures(gradient: Any, originals: Tensor, errors: dict[str, Tensor], seed: int) -> dict[str, list[float]]:
    """Return mean curvatures along each noise at :data:`LEVELS`, and along a half and the whole of real errors."""
    found = {}
    for kind in NOISES:
        generator = torch.Generator().manual_seed(derive_seed(seed, "noise", kind))
        curve = curvature_curve(gradient, originals, draw_noise(kind, originals, generator), LEVELS)
        found[kind] = curve.mean(1).tolist()
    for name, error in errors.items():
        found[name] = curvature_curve(gradient, originals, error, (0.5, 1.0)).mean(1).tolist()
    return found


def search(
    classifier: Classifier, layer: str, originals: Tensor, term: Term, guess: float, settings: dict[str, Any]
) -> tuple[dict[float, Any], dict[str, Tensor]]:
    """Return scores by log10 of the raw weight, and the best pictures by metric."""
    done: dict[float, Any] = {}
    pictures: dict[float, Tensor] = {}

    def means(metric: str) -> dict[float, float]:
        return {place: statistics.fmean(done[place][metric]) for place in done}

    def add(places: Sequence[float]) -> None:
        new = sorted({place for place in places if place not in done})
        terms = [(Term(term.name, term.prior, 10**place),) for place in new]
        if new:
            for place, results in zip(new, reconstruct(classifier, layer, originals, terms, settings), strict=True):
                done[place] = scores(results, originals)
                pictures[place] = torch.stack([result.image for result in results])

    middle = round(2 * math.log10(guess)) / 2  # half decades of raw weights, so that the grid does not favour the rule
    add([middle + step / 2 for step in range(-7, 6)])
    for _ in range(4):
        best = [max(done, key=lambda place, metric=metric: means(metric)[place]) for metric in METRICS]
        low, high = min(done), max(done)
        beyond = [low - 0.5, low - 1] * (low in best) + [high + 0.5, high + 1] * (high in best)
        if not beyond:
            break
        add(beyond)
    best = [max(done, key=lambda place, metric=metric: means(metric)[place]) for metric in METRICS]
    add([place + step for place in best for step in (-0.25, 0.25)])
    best_pictures = {m: pictures[max(done, key=lambda place, m=m: means(m)[place])] for m in METRICS}
    return dict(sorted(done.items())), best_pictures


def local_level(classifier: Classifier, layer: str, squares: Squares, settings: dict[str, Any]) -> float:
    """Return the noise level that `restoration prior calibrate` takes, measured with the run's own settings."""
    error_run = ErrorRun(
        photographs=len(squares.pictures),
        iterations=settings["iterations"],
        learning_rate=settings["learning_rate"],
        betas=(settings["beta1"], settings["beta2"]),
    )
    return Calibrator(classifier, layer, squares, seed=settings["seed"], error_run=error_run).level


def run(arguments: argparse.Namespace) -> None:
    name, _, weights = arguments.network.partition(":")
    classifier = open_network(name, weights or None)
    squares = load_squares(arguments.images, arguments.size, arguments.photographs)
    originals = squares.pictures
    settings = {key: getattr(arguments, key) for key in ("iterations", "learning_rate", "beta1", "beta2", "seed")}
    settings |= {"size": arguments.size, "pictures": squares.identity}
    records = read(arguments.cells)
    known = {(*layer_key(record), record.get("key")) for record in records if "key" in record or "local" in record}
    folder = arguments.cells.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    for layer in arguments.layer:
        note = {"network": name, "weights_id": classifier.weights_id, "layer": layer, "settings": settings}
        if (*layer_key(note), None) not in known:
            write(arguments.cells, note | {"local": local_level(classifier, layer, squares, settings)})
        library = PriorLibrary(arguments.folder)
        # By the key, because another prior may have the same name since.
        named = {text: given_terms([text], [1.0], classifier, library)[0] for text in arguments.prior}
        todo = [text for text, given in named.items() if (*layer_key(note), given.named.key) not in known]
        if not todo:
            continue
        (alone,) = reconstruct(classifier, layer, originals, [()], settings)
        base = scores(alone, originals)
        level = math.sqrt(statistics.fmean(base["mse"]))
        errors = {"error": torch.stack([result.image for result in alone]) - originals}
        stem = f"{name}-{layer.replace('/', '_')}"
        torch.save({"originals": originals, "alone": originals + errors["error"]}, folder / f"{stem}.pt")
        match = curvatures(feature_gradient(classifier, layer, originals), originals, errors, settings["seed"])
        for text in todo:
            started = time.process_time()
            term = named[text].term
            pull = prior_gradient(term.prior, term.layer, classifier)
            own = curvatures(pull, originals, errors, settings["seed"])
            guess = at(match["white"], level) / at(own["white"], level)
            found, best = search(classifier, layer, originals, term, guess, settings)
            torch.save(best, folder / f"{stem}-{text.replace(':', '_')}.pt")
            cell = {
                **note,
                "prior": text,
                "key": named[text].named.key,
                "level": level,
                "without": base,
                "levels": LEVELS,
                "features": match,
                "own": own,
                "log10_weights": list(found),
                **{key: [found[place][key] for place in found] for key in base},
                "process_s": time.process_time() - started,
            }
            write(arguments.cells, cell)
            print(f"{name} {layer} {text}: {cell['process_s']:.0f} s of processor time", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cells", type=Path, help="file of the cells, one line of JSON each")
    parser.add_argument("--table", action="store_true", help="only print the table of the cells that there are")
    parser.add_argument("--network", default="cifar_alexnet", help="NAME[:WEIGHTS], WEIGHTS a keyword or a path")
    parser.add_argument("--layer", action="append", help="default: pool1, conv3/relu and conv5/relu")
    parser.add_argument("--prior", action="append", help=f"as `restoration reconstruct`; default: {', '.join(PRIORS)}")
    parser.add_argument("--images", type=Path, help="folder of photographs; default: the sample pictures")
    parser.add_argument("--photographs", type=int, default=6)
    parser.add_argument("--size", type=int, default=32, help="side of the pictures in pixels")
    parser.add_argument("--iterations", type=int, default=100)
    parser.add_argument("--learning-rate", type=float, default=0.1)
    parser.add_argument("--beta1", type=float, default=0.8)
    parser.add_argument("--beta2", type=float, default=0.9)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--library", dest="folder", type=Path, help="folder of the prior library")
    arguments = parser.parse_args()
    arguments.layer = arguments.layer or ["pool1", "conv3/relu", "conv5/relu"]
    arguments.prior = arguments.prior or list(PRIORS)
    keep_freed_memory()
    if not arguments.table:
        run(arguments)
    return 0 if print_table(read(arguments.cells)) else 1


if __name__ == "__main__":
    sys.exit(main())
