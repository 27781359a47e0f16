"""``restoration reconstruct``: pictures from one layer's features."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from restoration_core.commands.tables import make_table, print_table
from restoration_core.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from restoration_core.networks import Classifier
    from restoration_core.reconstruction import Problem, Result

# torch is imported inside the command, so that `--help` answers at once.

_ROWS_AT_ONCE = 16
_COLUMNS = ("psnr", "ssim", "feature_error")


@click.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE|DIR...")
@click.option("--network", default="cifar_alexnet", show_default=True, help="Name of the network.")
@click.option("--weights", help="bundled, imagenet, random or a path; default: the network's own.")
@click.option("--layer", required=True, help="Layer to match, e.g. conv3/relu.")
@click.option("--size", type=click.IntRange(min=1), help="Side of the pictures, >= 11 px; default: the native size.")
@click.option("--preset", "preset_name", default="mv2016", show_default=True, help="mv2015, mv2016, none ...")
@click.option(
    "--prior", "priors", multiple=True, metavar="NAME", help="total_variation:2, logistic:8, a library key ..."
)
@click.option(
    "--weight", "prior_weights", multiple=True, type=float, help="Raw weight of each --prior, in their order."
)
@click.option("--iterations", type=click.IntRange(min=1), help="Steps; the preset's schedule is stretched to them.")
@click.option("--learning-rate", type=float, help="Constant step in [0, 1] pixel units; default: the preset's.")
@click.option("--seed", default=0, show_default=True, help="Of the initial noise, the jitter, and random weights.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1 ...")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the pictures and metrics.json.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def reconstruct(
    images: tuple[str, ...],
    network: str,
    weights: str | None,
    layer: str,
    size: int | None,
    preset_name: str,
    priors: tuple[str, ...],
    prior_weights: tuple[float, ...],
    iterations: int | None,
    learning_rate: float | None,
    seed: int,
    device: str,
    out: Path,
    as_json: bool,
) -> None:
    """Reconstruct pictures from the features of one layer.

    Writes the original, the reconstruction and two difference views of every picture: signed (grey: no error) and
    absolute (black: no error).
    """
    import torch

    from restoration_core.images import load_image
    from restoration_core.metrics.structural import WINDOW
    from restoration_core.networks import open_network
    from restoration_core.objectives import make_problem, open_preset
    from restoration_core.reconstruction.validation import check_problem

    references = _expand(images)
    _check_output(out)
    _check_device(device)
    classifier = open_network(network, weights, seed)
    side = classifier.native_size if size is None else size
    if side < WINDOW:
        raise InputError(f"--size {side}: too small to be scored; valid: {WINDOW} and more (the window of SSIM)")
    classifier.shape(layer, side)
    preset = open_preset(preset_name, classifier, layer)
    if iterations is not None:
        preset = preset.with_iterations(iterations)
    preset = replace(preset, terms=_with_terms(preset.terms, priors, prior_weights, classifier))
    if learning_rate is not None:
        preset = preset.with_rate(learning_rate)
    originals = [torch.from_numpy(load_image(reference, side)) for reference in references]
    problems = [make_problem(classifier, original, layer, preset, seed=seed) for original in originals]
    for problem in problems:
        check_problem(problem, classifier, side)

    results = _solve(classifier, problems, side, device, quiet=as_json)
    rows = [
        _row(classifier, layer, reference, original, result)
        for reference, original, result in zip(references, originals, results, strict=True)
    ]
    _write(out, rows, originals, results)
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        _print_table(rows, out)
    if any(not row["metrics"] for row in rows):
        sys.exit(1)


def _expand(images: Sequence[str]) -> list[str]:
    """Return one reference per picture; a folder stands for the pictures directly in it."""
    from restoration_core.images import expand_images, folder_pictures

    references: list[str] = []
    for image in images:
        folder = Path(image).expanduser()
        references += map(str, folder_pictures(folder)) if folder.is_dir() else [image]
    return expand_images(references)


def _check_output(out: Path) -> None:
    """Fail before the optimisation rather than after it; nothing is made yet."""
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out}: is a file; valid: a folder, made when it is missing")
    above = next(folder for folder in (out.absolute(), *out.absolute().parents) if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise InputError(f"--out {out}: {above} cannot be written; valid: a folder in one that can")


def _check_device(device: str) -> None:
    import torch

    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"--device {device}: cannot be used here; valid: cpu, or cuda where there is a GPU") from error


def _with_terms(
    preset: tuple[Any, ...], priors: Sequence[str], weights: Sequence[float], classifier: Classifier
) -> tuple[Any, ...]:
    """Return the preset's terms with those given added; one of the same name replaces the preset's."""
    from restoration_core.commands.prior_terms import parse_terms
    from restoration_core.priors.prior_library import PriorLibrary

    given = parse_terms(priors, weights, classifier, PriorLibrary())
    named = {term.name for term in given}
    return (*(term for term in preset if term.name not in named), *given)


def _solve(classifier: Classifier, problems: Sequence[Problem], size: int, device: str, quiet: bool) -> list[Result]:
    from restoration_core.reconstruction import keep_freed_memory, solve

    if device == "cpu":
        keep_freed_memory()
    results: list[Result] = []
    with _progress(sum(problem.iterations for problem in problems), quiet) as show:
        for first in range(0, len(problems), _ROWS_AT_ONCE):
            before = sum(problem.iterations for problem in problems[:first])

            def step(done: int, total: int, before: int = before) -> None:
                show(before + done)

            chunk = problems[first : first + _ROWS_AT_ONCE]
            results += solve(classifier, chunk, size, device=device, progress=step)
    return results


@contextmanager
def _progress(total: int, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Show steps taken on standard error: a bar on a terminal, a line every quarter elsewhere."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        shown = 0

        def line(done: int) -> None:
            nonlocal shown
            if not quiet and done * 4 // total > shown:
                shown = done * 4 // total
                click.echo(f"{done} of {total} steps", err=True)

        yield line
        return
    columns = (TextColumn("reconstructing"), BarColumn(), TextColumn("{task.percentage:.0f} %"), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=total)
        yield lambda done: bar.update(task, completed=done)


def _row(classifier: Classifier, layer: str, reference: str, original: Tensor, result: Result) -> dict[str, Any]:
    """Return what is told about one picture; no metrics where the run broke down."""
    from restoration_core.metrics import METRICS, measure
    from restoration_core.reconstruction import Status

    metrics: dict[str, float] = {}
    if result.status is Status.FINISHED:
        columns = measure(classifier, METRICS, result.image[None], original[None], [layer])
        metrics = {name: float(values) for name, values in columns.items()}
    return {
        "image": reference,
        "status": result.status.value,
        "iterations": result.iterations,
        "compute_s": round(result.compute_s, 3),
        "metrics": metrics,
        "losses": dict(result.losses) if metrics else {},
    }


def _write(out: Path, rows: list[dict[str, Any]], originals: Sequence[Tensor], results: Sequence[Result]) -> None:
    """Write the pictures and ``metrics.json``, and note the files in ``rows``."""
    from restoration_core.images import absolute_difference, encode_png, signed_difference

    out.mkdir(parents=True, exist_ok=True)
    stems: set[str] = set()
    for row, original, result in zip(rows, originals, results, strict=True):
        stem = Path(row["image"].removeprefix("sample:")).stem
        number = 1
        while (name := stem if number == 1 else f"{stem}-{number}") in stems:
            number += 1
        stems.add(name)
        views = {"original": original.numpy()}
        if row["metrics"]:
            shown = result.image.float().numpy()
            views |= {
                "reconstruction": shown,
                "signed_difference": signed_difference(views["original"], shown),
                "absolute_difference": absolute_difference(views["original"], shown),
            }
        row["files"] = {}
        for view, picture in views.items():
            path = out / f"{name}-{view}.png"
            path.write_bytes(encode_png(picture))
            row["files"][view] = str(path)
    (out / "metrics.json").write_text(json.dumps(rows, indent=2) + "\n")


def _print_table(rows: Sequence[dict[str, Any]], out: Path) -> None:
    table = make_table("image", "PSNR / dB", "SSIM", "feature error", "iterations", "time / s", "status")
    for row in rows:
        values = [f"{row['metrics'][name]:.4g}" if row["metrics"] else "-" for name in _COLUMNS]
        table.add_row(row["image"], *values, str(row["iterations"]), f"{row['compute_s']:.1f}", row["status"])
    print_table(table)
    click.echo(f"pictures and metrics.json in {out}")
