"""``sweep run``, ``resume`` and ``replay``: what reconstructs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from restoration_core.commands.tables import cell, print_pairs
from sweeps.commands.best_table import best_trials, print_best
from sweeps.commands.common import MOST_TRIALS, Addresses, address_options, json_option, print_json
from sweeps.commands.ending import Ending, tell_behind
from sweeps.commands.failed_trials import failed_trials
from sweeps.commands.verdict_table import print_verdict

if TYPE_CHECKING:
    from sweeps.lifecycle.launch import SweepOutcome

_RUNNER = click.option(
    "--runner", type=click.Choice(["ray", "inprocess"]), default="ray", show_default=True, help="Who runs the packs."
)
_NO_VERDICT = click.option(
    "--no-verdict", is_flag=True, help="Do not judge the winner on new pictures and seeds at the end."
)


@click.command(short_help="Run the sweep in a file to its end.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=str))
@_RUNNER
@click.option("--name", help="Name of the sweep, instead of the file's.")
@click.option("--again", is_flag=True, help="Where the name is taken, use the next free one: NAME-2, NAME-3, ...")
@_NO_VERDICT
@address_options
def run(file: str, runner: str, name: str | None, again: bool, no_verdict: bool, addresses: Addresses) -> None:
    """Run the sweep in FILE to its end and print the best trials.

    The exit status is 1 when the run failed or had to stop, when no trial was completed, and when a trial failed by
    anything but its parameters: numbers that are not finite are a result that a search may have.
    """
    from sweeps.spec.load import load_spec

    spec = load_spec(file)
    from sweeps.lifecycle.launch import start

    with Ending(name or spec.name, addresses, resumable=False) as ending:
        outcome = start(
            spec,
            runner=runner,
            store_url=addresses.store,
            mlflow_uri=addresses.mlflow,
            name=name,
            again=again,
            verdict=not no_verdict,
            progress=ending.progress,
            notice=ending.notice,
            created=ending.created,
            behind=ending.behind,
        )
    _conclude(outcome, addresses)


@click.command(short_help="Run what is left of a sweep.")
@click.argument("name")
@_RUNNER
@click.option("--retry-failed", is_flag=True, help="Run failed trials again as well, under their own numbers.")
@_NO_VERDICT
@address_options
def resume(name: str, runner: str, retry_failed: bool, no_verdict: bool, addresses: Addresses) -> None:
    """Run what is left of sweep NAME, from the store alone.

    NAME may be the spec's file: then it is checked that the sweep was started with just this spec, which it keeps.
    The exit status is that of `sweep run`.
    """
    from sweeps.lifecycle.resume import resume as resume_sweep

    if name.endswith((".yaml", ".yml")):
        name = _named_by(name, addresses)
    addresses = _where_it_was(name, addresses)
    with Ending(name, addresses, resumable=True) as ending:
        outcome = resume_sweep(
            addresses.store,
            name,
            runner=runner,
            mlflow_uri=addresses.mlflow,
            verdict=not no_verdict,
            retry_failed=retry_failed,
            progress=ending.progress,
            behind=ending.behind,
        )
    _conclude(outcome, addresses)


@click.command(short_help="Run a trial again and compare its pictures.")
@click.argument("name")
@click.argument("number", type=click.IntRange(0, MOST_TRIALS))
@json_option
@address_options
def replay(name: str, number: int, as_json: bool, addresses: Addresses) -> None:
    """Run trial NUMBER of sweep NAME again and compare its pictures pixel by pixel; exit 1 where they differ."""
    import dataclasses

    from sweeps.lifecycle.replay import replay as replay_trial

    report = replay_trial(addresses.store, name, number)
    found: dict[str, Any] = dataclasses.asdict(report)
    if as_json:
        print_json(found)
    else:
        rest = {key.replace("_", " "): _listed(found[key]) for key in found if key not in {"identical", "number"}}
        print_pairs(
            rest,
            title=f"trial {number} of {name}: {'identical' if report.identical else 'NOT identical'}",
        )
    if not report.identical:
        click.get_current_context().exit(1)


def _where_it_was(name: str, addresses: Addresses) -> Addresses:
    """Return the addresses with the sweep's own MLflow, unless the user names another."""
    from sweeps.store import open_reader
    from sweeps.tracking import tracked_at

    if addresses.mlflow_given:
        return addresses
    reader = open_reader(addresses.store)
    try:
        return replace(addresses, mlflow=tracked_at(reader.sweep(name).mlflow_uri, addresses.mlflow))
    finally:
        reader.close()


def _listed(value: Any) -> str:
    """Return a value of a report as one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {cell(item)}" for name, item in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else cell(value)


def _named_by(file: str, addresses: Addresses) -> str:
    """Return the name of the sweep that a spec's file describes; one that is called like a file keeps its name."""
    from sweeps.lifecycle.names import check_same
    from sweeps.lifecycle.stored_sweep import view_sweep
    from sweeps.spec.load import load_spec

    if not Path(file).is_file():
        return file
    spec = load_spec(file)
    check_same(view_sweep(addresses.store, spec.name), spec)
    return spec.name


def _conclude(outcome: SweepOutcome, addresses: Addresses) -> None:
    """Print what the sweep found and where it is; exit 1 when it failed, or a trial failed that should not have."""
    from sweeps.store import SweepStatus

    name = outcome.name
    failures = failed_trials(addresses.store, name)
    best = best_trials(addresses.store, name, 5)
    if best.rows:
        print_best(best)
    for notice in outcome.run.notices if outcome.run is not None else ():
        click.echo(f"{name}: {notice}", err=True)
    if outcome.verdict:
        print_verdict(outcome.verdict)
    click.echo(f"{name}: {_ended(outcome)}")
    if outcome.progress.get("hours_used_up") and outcome.progress["asked"] < outcome.progress["planned"]:
        click.echo(
            f"budget.hours ended the search after {outcome.progress['asked']} of {outcome.progress['planned']} trials; "
            f"to go on for as long again: restoration sweep resume {name}{addresses.options()}"
        )
    click.echo(f"store: {addresses.shown_store}")
    click.echo(f"MLflow: {addresses.shown_mlflow}")
    tell_behind(name, addresses, outcome.untracked, outcome.tracking_error)
    click.echo(f"to look at it: restoration dashboard{addresses.options()}")
    failures.tell(f"restoration sweep resume {name} --retry-failed{addresses.options()}")
    if outcome.status == SweepStatus.FAILED or failures.wrong:
        click.get_current_context().exit(1)


def _ended(outcome: SweepOutcome) -> str:
    if outcome.run is None and outcome.status == outcome.before:
        return f"{outcome.status.value} already, no trial was left to run"
    if outcome.run is None:
        return f"{outcome.status.value} now (it was {outcome.before}), no trial was left to run"
    ended = f"{outcome.status.value} after {outcome.total_s:.1f} s"
    if outcome.startup_s is None:
        return ended
    return f"{ended}, of which {outcome.startup_s:.1f} s until the first reconstruction"
