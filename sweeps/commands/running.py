"""``sweep run``, ``resume`` and ``replay``: what reconstructs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import click

from sweeps.commands.common import Addresses, address_options, cell, console, json_option, print_json
from sweeps.commands.progress import ProgressDisplay
from sweeps.commands.reading import best_rows, print_best

_RUNNER = click.option(
    "--runner", type=click.Choice(["ray", "inprocess"]), default="ray", show_default=True, help="Who runs the packs."
)


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=str))
@_RUNNER
@click.option("--name", help="Name of the sweep, instead of the file's.")
@click.option("--no-verdict", is_flag=True, help="Do not judge the winner on new pictures and seeds at the end.")
@address_options
def run(file: str, runner: str, name: str | None, no_verdict: bool, addresses: Addresses) -> None:
    """Run the sweep in FILE to its end and print the best trials."""
    from sweeps.spec import load_spec

    spec = load_spec(file)
    from sweeps.launch import start

    sweep_name = name or spec.name
    with ProgressDisplay(sweep_name) as progress, _resumable(sweep_name, addresses, progress):
        start(
            spec,
            runner=runner,
            store_url=addresses.store,
            mlflow_uri=addresses.mlflow,
            name=name,
            verdict=not no_verdict,
            progress=progress,
        )
    _conclude(sweep_name, addresses)


@click.command()
@click.argument("name")
@_RUNNER
@address_options
def resume(name: str, runner: str, addresses: Addresses) -> None:
    """Run what is left of sweep NAME, from the store alone."""
    from sweeps.resume import resume as resume_sweep

    with ProgressDisplay(name) as progress, _resumable(name, addresses, progress):
        resume_sweep(addresses.store, name, runner=runner, mlflow_uri=addresses.mlflow, progress=progress)
    _conclude(name, addresses)


@click.command()
@click.argument("name")
@click.argument("number", type=click.IntRange(min=0))
@json_option
@address_options
def replay(name: str, number: int, as_json: bool, addresses: Addresses) -> None:
    """Run trial NUMBER of sweep NAME again and compare its pictures pixel by pixel; exit 1 where they differ."""
    import dataclasses

    from sweeps.replay import replay as replay_trial

    report = replay_trial(addresses.store, name, number)
    found: dict[str, Any] = dataclasses.asdict(report)
    if as_json:
        print_json(found)
    else:
        click.echo(f"trial {number} of {name}: {'identical' if report.identical else 'NOT identical'}")
        for key, value in found.items():
            if key != "identical" and value not in (None, "", [], (), {}):
                click.echo(f"  {key.replace('_', ' ')}: {value}")
    if not report.identical:
        click.get_current_context().exit(1)


@contextlib.contextmanager
def _resumable(name: str, addresses: Addresses, progress: ProgressDisplay) -> Iterator[None]:
    """On an interruption of a sweep that has begun, say how to go on."""
    try:
        yield
    except (KeyboardInterrupt, click.Abort):
        progress.stop()
        if progress.begun:
            click.echo(f"to go on: restoration sweep resume {name}{addresses.options()}", err=True)
        raise


def _conclude(name: str, addresses: Addresses) -> None:
    """Print what the sweep found and where it is; exit 1 when it failed."""
    from sweeps.store import SweepStatus, open_reader

    reader = open_reader(addresses.store)
    try:
        view = reader.sweep(name)
        failures = reader.trials(name, ["failed"])["failure"].dropna().value_counts().head(3).to_dict()
    finally:
        reader.close()
    rows = best_rows(addresses.store, name, 5)
    if rows:
        print_best(rows, f"Best trials of {name}")
    for reason, count in failures.items():
        click.echo(f"{count} trials failed: {reason}", err=True)
    if view.verdict:
        print_verdict(view.verdict)
    out = console()
    out.print(f"store: {addresses.store}", markup=False)
    out.print(f"MLflow: {addresses.mlflow or 'off'}", markup=False)
    out.print(f"to look at it: restoration dashboard --store {addresses.store}", markup=False)
    if view.status == SweepStatus.INTERRUPTED:
        click.echo(f"to go on: restoration sweep resume {name}{addresses.options()}", err=True)
    if view.status in {SweepStatus.FAILED, SweepStatus.INTERRUPTED} or not rows:
        click.get_current_context().exit(1)


def print_verdict(verdict: dict[str, Any]) -> None:
    """Print how the winner did on pictures and seeds that the search had not seen."""
    out = console()
    out.print("Verdict (pictures and seeds that were not searched on)", markup=False)
    for key, value in verdict.items():
        if isinstance(value, dict):
            inner = ", ".join(f"{name} {cell(item)}" for name, item in value.items())
            out.print(f"  {key.replace('_', ' ')}: {inner}", markup=False)
        else:
            out.print(f"  {key.replace('_', ' ')}: {cell(value)}", markup=False)
