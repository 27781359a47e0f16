"""``restoration reconstruct``: pictures from the features of layers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from restoration_core.commands.progress import show_progress
from restoration_core.commands.tables import print_table
from restoration_core.interruption import Interrupted
from restoration_core.paths import as_text, reason

if TYPE_CHECKING:
    from restoration_core.commands.reconstruct_records import Record, Records
    from restoration_core.commands.reconstruct_request import Plan

# torch is imported inside the command, so that `--help` answers at once.


@click.command(short_help="Reconstruct pictures from the features of layers.")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE|DIR...")
@click.option(
    "--network", default="cifar_alexnet", show_default=True, help="Name, or package.module:factory of one's own."
)
@click.option("--weights", help="bundled, imagenet, random, factory or a path; default: the network's own.")
@click.option("--mean", type=(float,) * 3, metavar="R G B", help="Of one's own network: subtracted from RGB in [0, 1].")
@click.option("--std", type=(float,) * 3, metavar="R G B", help="Of one's own network: what it divides by.")
@click.option(
    "--native-size", type=click.IntRange(min=1), help="Of one's own network: side of its pictures in px; 224."
)
@click.option("--layer", multiple=True, help="Layer to match, e.g. conv3/relu; several: each on its own.")
@click.option("--layers", metavar="all|PATTERN", help="All layers, or those of a pattern: 'conv*/relu'.")
@click.option("--size", type=click.IntRange(min=1), help="Side of the pictures, >= 11 px; default: the native size.")
@click.option("--preset", default="best", show_default=True, help="best, mv2015, mv2016, thesis-fig9, none ...")
@click.option(
    "--prior",
    multiple=True,
    metavar="[LAYER=]NAME",
    help="Beside the preset's, in place of one of the same kind: total_variation:2, logistic:8, convolutional@0.08, "
    "denoiser, conv2/relu=student_t:3, a library key ...",
)
@click.option("--weight", multiple=True, type=float, help="Weight of each --prior, in their order.")
@click.option(
    "--units",
    type=click.Choice(["raw", "calibrated"]),
    default="raw",
    show_default=True,
    help="Of --weight; calibrations that are missing are measured on the sample pictures and kept.",
)
@click.option("--patch-stride", type=click.IntRange(min=1), help="Take one patch in stride^2 a step, drawn anew.")
@click.option("--iterations", type=click.IntRange(min=1), help="Steps; the preset's schedule is stretched to them.")
@click.option("--learning-rate", type=float, help="Constant step in [0, 1] pixel units; default: the preset's.")
@click.option("--optimizer", help="adam, adagrad, momentum or lbfgs; default: the preset's.")
@click.option("--momentum", type=float, help="Share of the last step carried over (adagrad, momentum).")
@click.option(
    "--jitter", type=click.IntRange(min=1), help="Window positions per axis, 1 for none; default: the preset's."
)
@click.option("--no-bound", is_flag=True, help="Leave out the preset's bound on colours.")
@click.option("--restarts", type=click.IntRange(min=1), default=1, show_default=True, help="Runs from different noise.")
@click.option(
    "--gap/--no-gap",
    default=True,
    show_default=True,
    help="Also run from the truth, and print the final objective over that of this run. --no-gap leaves it out: of N "
    "restarts and one from the truth, it saves the latter.",
)
@click.option(
    "--animate",
    is_flag=False,
    flag_value="gif",
    type=click.Choice(["gif", "webp", "apng"]),
    help="Write an animation of the optimisation; gif when no kind is named.",
)
@click.option("--frames", type=click.IntRange(2, 200), default=30, show_default=True, help="Of the animation, at most.")
@click.option("--seed", default=0, show_default=True, help="Of the initial noise, the jitter, and random weights.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1 ...")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the pictures and metrics.json.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def reconstruct(images: tuple[str, ...], out: Path, as_json: bool, **given: Any) -> None:
    """Reconstruct pictures from the features of one layer, or of several, each on its own.

    Writes the original, the reconstruction and two difference views of every picture: signed (grey: no error, white and
    black: 0.5) and absolute (black: no error, white: 0.5). With several restarts the reconstruction is the one with the
    lowest objective, and their mean and spread (standard deviation, white: 0.25) are written beside it. Several layers
    get a contact sheet. Pictures and layers that --out holds already with the same settings are not done again.
    """
    from restoration_core.commands.reconstruct_records import Records
    from restoration_core.commands.reconstruct_request import Request, check_output, make_plan
    from restoration_core.commands.reconstruct_writing import write_sheets

    check_output(out)
    records = Records(out)
    plan = make_plan(images, Request(**given), lambda what: click.echo(what, err=True))
    for layer, why in plan.refused.items():
        click.echo(f"{layer} is left out: {why}", err=True)
    rows = _run(plan, records, out, as_json)
    sheets = write_sheets(rows, plan, out) if len(plan.layers) > 1 else []
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        _print_table(rows, plan)
        _print_notes(rows, plan, out, sheets)
    if any(not row["metrics"] for row in rows):
        click.get_current_context().exit(1)


def _run(plan: Plan, records: Records, out: Path, quiet: bool) -> list[Record]:
    """Return the records of all pictures and layers, layer by layer; what is not done yet is done and kept."""
    from restoration_core.commands.reconstruct_records import picture_hash, settings_hash
    from restoration_core.commands.reconstruct_solving import Job, solve_jobs, total_steps
    from restoration_core.commands.reconstruct_writing import record_outcome
    from restoration_core.reconstruction import keep_freed_memory

    found: dict[tuple[str, str], Record] = {}
    jobs: list[Job] = []
    names = records.names(plan.references)
    for layer in plan.layers:
        for name, reference, original in zip(names, plan.references, plan.originals, strict=True):
            job = Job(name, reference, original, layer, settings_hash(plan, layer, original))
            done = records.done(name, layer.layer, job.settings)
            if done is None:
                jobs.append(job)
            else:
                found[name, layer.layer] = done
    total = len(jobs) + len(found)
    if found:
        click.echo(f"{len(found)} of {total} are in {as_text(out)} already and are not done again", err=True)
    if plan.request.device == "cpu":
        keep_freed_memory()
    try:
        with show_progress(total_steps(plan, jobs), quiet) as show:
            for outcomes in solve_jobs(plan, jobs, show):
                for outcome in outcomes:
                    job = outcome.job
                    records.make_room(job.name, job.layer.layer, picture_hash(job.original))
                    row = record_outcome(outcome, plan, out)
                    records.keep(row)
                    found[row["name"], row["layer"]] = row
    except KeyboardInterrupt as error:
        kept = f"{len(found)} of {total} are done and kept in {as_text(out)}" if found else "nothing was done yet"
        click.echo(f"interrupted: {kept}; the same command goes on from there", err=True)
        click.get_current_context().exit(error.exit_status if isinstance(error, Interrupted) else 130)
    except OSError as error:
        kept = f"{len(found)} of {total} are done and kept" if found else "nothing is kept yet"
        line = f"error: {as_text(out)} cannot be written ({reason(error)}); {kept}; the same command goes on"
        click.echo(line, err=True)
        click.get_current_context().exit(1)
    return [found[name, layer.layer] for layer in plan.layers for name in names]


def _print_table(rows: Sequence[Record], plan: Plan) -> None:
    several, gap = plan.request.restarts > 1, plan.request.gap
    table = []
    for row in rows:
        metrics, mean = row["metrics"], row.get("mean", {}).get("metrics", {})
        of_mean = {
            "PSNR of mean": _shown(mean.get("psnr")),
            "SSIM of mean": _shown(mean.get("ssim")),
            "spread": _shown(row.get("spread")),
        }
        table.append(
            {
                "image": row["image"],
                "layer": row["layer"],
                "PSNR / dB": _shown(metrics.get("psnr")),
                "SSIM": _shown(metrics.get("ssim")),
                "feature error": _shown(metrics.get("feature_error")),
                "status": row["status"],
                **({"objective / from truth": _shown(row.get("gap", {}).get("ratio"))} if gap else {}),
                **(of_mean if several else {}),
                "iterations": row["iterations"],
                "time / s": f"{row['compute_s']:.1f}",
            }
        )
    print_table(table, list(table[0]), head=6)


def _print_notes(rows: Sequence[Record], plan: Plan, out: Path, sheets: Sequence[Path]) -> None:
    from restoration_core.commands.reconstruct_writing import FEATURE_ERROR

    click.echo(FEATURE_ERROR)
    for note in dict.fromkeys(row["gap"]["note"] for row in rows if "note" in row.get("gap", {})):
        click.echo(f"objective / from truth: {note}")
    weights = {
        (row["layer"], term["name"]): (term["calibrated_weight"], term["weight"])
        for row in rows
        for term in row["terms"]
        if "calibrated_weight" in term
    }
    for (layer, name), (calibrated, raw) in weights.items():
        click.echo(f"{name} at {layer}: calibrated weight {calibrated:g} is raw weight {raw:.4g}")
    if steps := next((row["animation_steps"] for row in rows if "animation_steps" in row), None):
        click.echo(f"animations show steps {', '.join(map(str, steps))}")
    for sheet in sheets:
        click.echo(f"contact sheet: {as_text(sheet)}")
    click.echo(f"pictures and metrics.json in {as_text(out)}")


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
