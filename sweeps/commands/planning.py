"""``sweep validate`` and ``sweep plan``: everything before anything starts."""

from __future__ import annotations

import click

from restoration_core.commands.progress import duration
from restoration_core.commands.tables import output_width, print_pairs, wrapped
from restoration_core.informing import PrintingCommand
from sweeps.commands.common import json_option, print_json

_FILE = click.Path(dir_okay=False, path_type=str)


@click.command(cls=PrintingCommand, short_help="Check a spec: all faults at once.")
@click.argument("file", type=_FILE)
@json_option
def validate(file: str, as_json: bool) -> None:
    """Check the sweep in FILE: all faults at once, one line each; nothing is written or started."""
    from sweeps.spec.load import load_spec

    spec = load_spec(file)
    if as_json:
        print_json(spec.model_dump())
        return
    searched = sum(not parameter.fixed for parameter in spec.parameters.values())
    click.echo(
        f"{file}: valid: sweep {spec.name}, {searched} searched of {len(spec.parameters)} parameters, "
        f"{len(spec.images)} pictures to search on, {len(spec.validate_on)} to validate on"
    )


@click.command(cls=PrintingCommand, short_help="Say what a sweep will cost: hours, memory, disk.")
@click.argument("file", type=_FILE)
@json_option
def plan(file: str, as_json: bool) -> None:
    """Say how many hours and how much memory and disk the sweep in FILE takes; nothing is written or started."""
    from sweeps.lifecycle.plan import plan as make_plan
    from sweeps.spec.load import load_spec

    found = make_plan(load_spec(file))
    if as_json:
        print_json(found.as_dict())
        return
    pairs = {
        "trials": f"{found.trials} ({found.baselines} of them baselines)",
        "pictures a trial": found.pictures,
        "reconstructions": found.rows,
        "iterations": f"{found.iterations:,}",
        "pack": f"{found.pack} trials in a batch of {found.batch_rows} reconstructions",
        "actors": f"{found.actors} ({found.device})",
        "verdict": f"{found.verdict_rows} reconstructions, {duration(found.verdict_s)} (estimate)"
        if found.verdict_rows
        else "none: it takes baselines, and pictures under validate_on",
        "time (estimate)": f"{duration(found.seconds)}{', the verdict included' if found.verdict_rows else ''}",
        "memory (estimate)": f"{found.memory_mb:,.0f} MB",
        "disk (estimate)": f"{found.disk_mb:,.1f} MB",
    }
    print_pairs(pairs, title=f"Plan of {found.name}")
    for note in found.notes:
        click.echo("\n".join(wrapped(f"note: {note}", output_width())))
