"""``sweep validate`` and ``sweep plan``: everything before anything starts."""

from __future__ import annotations

import click

from sweeps.commands.common import console, duration, json_option, print_json, print_rows

_FILE = click.Path(dir_okay=False, path_type=str)


@click.command()
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


@click.command()
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
    rows = [
        {"what": "trials", "value": f"{found.trials} ({found.baselines} of them baselines)"},
        {"what": "pictures a trial", "value": str(found.pictures)},
        {"what": "reconstructions", "value": str(found.rows)},
        {"what": "iterations", "value": f"{found.iterations:,}"},
        {"what": "pack", "value": f"{found.pack} trials in a batch of {found.batch_rows} reconstructions"},
        {"what": "actors", "value": f"{found.actors} ({found.device})"},
        {"what": "time (estimate)", "value": duration(found.seconds)},
        {"what": "memory (estimate)", "value": f"{found.memory_mb:,.0f} MB"},
        {"what": "disk (estimate)", "value": f"{found.disk_mb:,.1f} MB"},
    ]
    print_rows(rows, ["what", "value"], title=f"Plan of {found.name}")
    for note in found.notes:
        console().print(f"note: {note}", markup=False)
