"""``restoration prior calibrate``: what a calibrated weight is worth at a layer, and how a prior's values spread."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from restoration_core.errors import InputError

if TYPE_CHECKING:
    from restoration_core.calibration import Calibration, Spread
    from restoration_core.commands.named_priors import NamedPrior
    from restoration_core.networks import Classifier

# torch is imported inside the command, so that `--help` answers at once.


@click.command(short_help="Measure what a calibrated weight is at a layer.")
@click.argument("priors", nargs=-1, required=True, metavar="PRIOR...")
@click.option("--network", default="cifar_alexnet", show_default=True, help="Name of the network.")
@click.option("--weights", help="bundled, imagenet, random or a path; default: the network's own.")
@click.option("--layer", required=True, help="Layer to match, e.g. conv3/relu.")
@click.option("--size", type=click.IntRange(min=1), help="Side of the pictures in pixels; default: the native size.")
@click.option(
    "--images", default="samples", show_default=True, metavar="DIR|samples", help="Photographs to measure on."
)
@click.option("--photographs", default=32, show_default=True, help="At most so many, spread over the folder.")
@click.option("--noise", default="white", show_default=True, help="Direction of the curves: white, pink or jittered.")
@click.option("--draws", default=2, show_default=True, help="Directions of noise for each photograph.")
@click.option("--level", default="local", show_default=True, help="How the noise level s is found: local or rmse.")
@click.option(
    "--iterations", default=100, show_default=True, help="Steps of the reconstructions whose error is the noise level."
)
@click.option("--seed", default=0, show_default=True, help="Of the noise and of random weights.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1 ...")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for a picture of each prior, made when missing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--library",
    type=click.Path(path_type=Path),
    help="Folder of the library; default: RESTORATION_PRIORS or the cache.",
)
def calibrate(
    priors: tuple[str, ...],
    network: str,
    weights: str | None,
    layer: str,
    size: int | None,
    images: str,
    photographs: int,
    noise: str,
    draws: int,
    level: str,
    iterations: int,
    seed: int,
    device: str,
    out: Path | None,
    as_json: bool,
    library: Path | None,
) -> None:
    """Measure what a weight in calibrated units is for each PRIOR at a layer, unless the library has it already.

    PRIOR is total_variation:2, alpha_norm:6, isotropic_range:6, logistic:8, student_t:8, convolutional, denoiser, any
    of them on a layer's map (conv2/relu=student_t:5) or at a noise level (denoiser@0.05), or the name or key of a prior
    in the library. raw weight = calibrated weight * kappa(features) r^2 / (kappa(prior) s^2): curvatures along noise of
    size s; r is the error of reconstructions from the features alone, s (--level local) the error that neighbouring
    pixels differ by in reconstructions with total variation, or (--level rmse) r itself.
    """
    from restoration_core.calibration import CalibrationLibrary, Calibrator, ErrorRun, load_squares
    from restoration_core.commands.named_priors import name_prior
    from restoration_core.networks import open_network
    from restoration_core.priors.library import PriorLibrary
    from restoration_core.reconstruction import keep_freed_memory

    if out is not None and out.exists() and not out.is_dir():
        raise InputError(f"--out {out}: is a file; valid: a folder, made when it is missing")
    classifier = _on(device, open_network(network, weights, seed))
    shelf = PriorLibrary(library)
    named = [name_prior(text, classifier, shelf) for text in priors]
    if device == "cpu":
        keep_freed_memory()
    squares = load_squares(
        None if images == "samples" else Path(images), classifier.native_size if size is None else size, photographs
    )
    calibrator = Calibrator(
        classifier,
        layer,
        squares,
        noise=noise,
        draws=draws,
        seed=seed,
        error_run=ErrorRun(level=level, iterations=iterations),
        progress=lambda what: click.echo(what, err=True),
    )
    kept = CalibrationLibrary(library)
    found = [
        kept.get(calibrator.recipe(prior.key, prior.layer), _measure(calibrator.calibrate, prior)) for prior in named
    ]
    files = _draw(found, priors, out) if out is not None else []
    if as_json:
        rows = [_plain(calibration) | {"path": str(kept.path(calibration.recipe))} for calibration in found]
        for row, file in zip(rows, files, strict=False):  # none without --out
            row["picture"] = str(file)
        click.echo(json.dumps(rows, indent=2))
        return
    _print_table(found)
    for file in files:
        click.echo(str(file))


def _measure(calibrate: Callable[..., Calibration], named: NamedPrior) -> Callable[[], Calibration]:
    return lambda: calibrate(named.prior, named.key, named.layer, named.name)


def _on(device: str, classifier: Classifier) -> Classifier:
    import torch

    try:
        return classifier.to(device, torch.float32)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"--device {device}: cannot be used here; valid: cpu, or cuda where there is a GPU") from error


def _draw(found: Sequence[Calibration], names: Sequence[str], out: Path) -> list[Path]:
    """Draw every calibration into the folder; the file is called after the prior as given."""
    from restoration_core.calibration import draw_calibration

    out.mkdir(parents=True, exist_ok=True)
    files = []
    for calibration, name in zip(found, names, strict=True):
        stem = "-".join([name, "at", calibration.recipe.match_layer, f"{calibration.recipe.size}px"])
        files.append(out / f"{stem.replace(':', '-').replace('/', '_')}.png")
        draw_calibration(calibration).save(files[-1])
    return files


def _unit(calibration: Calibration) -> float | None:
    try:
        return calibration.unit()
    except InputError:
        return None


def _plain(calibration: Calibration) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(calibration.to_json())
    return fields | {"raw_weight_of_1": _unit(calibration)}


def _print_table(found: Sequence[Calibration]) -> None:
    from restoration_core.commands.tables import print_table

    rows = []
    for calibration in found:
        unit = _unit(calibration)
        spreads = {kind: _spread(calibration.energies.get(kind)) for kind in ("natural", "noisy", "noise")}
        rows.append(
            {
                "prior": calibration.prior_name,
                "on": calibration.recipe.prior_layer or "picture",
                "raw weight of 1": "-" if unit is None else f"{unit:.3g}",
                "r": f"{calibration.error:.3f}",
                "s": f"{calibration.level:.3f}",
                "kappa features": _at(calibration.features.at, calibration.level),
                "kappa prior": _at(calibration.prior.at, calibration.level),
                "energy natural 5/50/95 %": spreads["natural"],
                "energy noisy": spreads["noisy"],
                "energy noise": spreads["noise"],
            }
        )
    print_table(rows, list(rows[0]))


def _at(curve: Callable[[float], float], level: float) -> str:
    try:
        return f"{curve(level):.3g}"
    except InputError:
        return "<= 0"


def _spread(spread: Spread | None) -> str:
    if spread is None:
        return "-"
    low, *_, high = spread.quantiles
    return f"{low:.3g} / {spread.median:.3g} / {high:.3g}"
