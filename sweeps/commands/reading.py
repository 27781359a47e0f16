"""``sweep status``, ``best`` and ``export``: what the store (or MLflow) knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from restoration_core.commands.tables import cell, print_pairs, print_table
from restoration_core.informing import PrintingCommand
from restoration_core.paths import as_text
from sweeps.commands.best_table import BestTrials, best_trials, print_best
from sweeps.commands.common import MOST_TRIALS, Addresses, address_options, json_option, print_json, records

if TYPE_CHECKING:
    from sweeps.store import SweepView

_STATES = ("running", "complete", "pruned", "failed")


@click.command(cls=PrintingCommand, short_help="Show all sweeps, or one with its best trial.")
@click.argument("name", required=False)
@json_option
@address_options
def status(name: str | None, as_json: bool, addresses: Addresses) -> None:
    """Show all sweeps, or one: its trials by state and the best of them."""
    from sweeps.store import open_reader

    reader = open_reader(addresses.store)
    try:
        if name is None:
            rows = records(reader.sweeps())
            if as_json:
                print_json(rows)
            elif rows:
                shown = [_overview(row) for row in rows]
                print_table(shown, list(shown[0]), title=f"Sweeps in {addresses.shown_store}", head=4)
            else:
                click.echo(f"no sweeps in {addresses.shown_store}")
            return
        view = reader.sweep(name)
        best = best_trials(addresses.store, name, 1)
        counts = reader.trials(name)["state"].value_counts().to_dict()
        found = {
            "name": view.name,
            "status": view.status,
            "trials_planned": view.trials_planned,
            **{state: int(counts.get(state, 0)) for state in _STATES},
            "metrics": dict(zip(view.metric_names, view.metric_goals, strict=True)),
            "best": best.rows[0] if best.rows else None,
            "owner": view.owner,
            "created_at": view.created_at.isoformat(timespec="seconds"),
            "finished_at": view.finished_at.isoformat(timespec="seconds") if view.finished_at else None,
            "startup_s": view.startup_s,
            "tracking_pending": reader.outbox_pending(name),
            "verdict": view.verdict,
        }
    finally:
        reader.close()
    if as_json:
        print_json(found)
        return
    print_pairs(
        {key.replace("_", " "): _flat(value) for key, value in found.items() if key not in {"best", "verdict"}},
        title=f"Sweep {name}",
    )
    if best.rows:
        several = len(view.metric_names) > 1
        first = f"Best in {view.metric_names[0]}, of {best.of} on the Pareto front" if several else "Best trial"
        print_best(best, first)
    if _abandoned(view):
        click.echo(f"nobody is running it; to go on: restoration sweep resume {name}{addresses.options()}")


@click.command(cls=PrintingCommand, short_help="Show the best trials, or the Pareto front.")
@click.argument("name")
@click.option(
    "--k", "-k", default=10, show_default=True, type=click.IntRange(1, MOST_TRIALS), help="How many trials, at most."
)
@click.option("--from", "source", type=click.Choice(["store", "mlflow"]), default="store", show_default=True)
@json_option
@address_options
def best(name: str, k: int, source: str, as_json: bool, addresses: Addresses) -> None:
    """Show the best trials of sweep NAME; with several metrics, the Pareto front."""
    if source == "mlflow":
        from sweeps.tracking import best_from_mlflow

        rows = records(best_from_mlflow(addresses.tracked(), name, k))
        found = BestTrials(name, rows, len(rows))
    else:
        found = best_trials(addresses.store, name, k)
    if as_json:
        print_json(found.rows)
    elif found.rows:
        print_best(found, f"Best trials of {name} (from MLflow)" if source == "mlflow" else None)
    else:
        click.echo(f"sweep {name} has no complete trial yet")


@click.command(short_help="Write the trials to a .csv, .parquet or .json file.")
@click.argument("name")
@click.option("--to", "path", required=True, metavar="FILE", help="A .csv, .parquet or .json file.")
@address_options
def export(name: str, path: str, addresses: Addresses) -> None:
    """Write the trials of sweep NAME to a file, one row a trial."""
    from sweeps.store import export_trials, open_reader

    reader = open_reader(addresses.store)
    try:
        count = export_trials(reader, name, path)
    finally:
        reader.close()
    click.echo(f"{count} trials of {name} written to {as_text(path)}")


def _abandoned(view: SweepView) -> bool:
    """Return whether a sweep that is not complete has no live coordinator, as after a kill."""
    from sweeps.store import SweepStatus

    return view.status in {SweepStatus.RUNNING, SweepStatus.INTERRUPTED} and not view.is_held


def _overview(row: dict[str, Any]) -> dict[str, Any]:
    """Return a sweep's row as a narrow table shows it; ``--json`` has the rest."""
    ended = sum(int(row[state]) for state in ("complete", "pruned", "failed"))
    return {
        "name": row["name"],
        "status": row["status"],
        "trials": f"{ended} of {row['trials_planned']}",
        "failed": row["failed"] or None,
        "running": row["running"] or None,
        "best": _best_so_far(row),
        "started (UTC)": str(row["created_at"])[:16].replace("T", " "),
        "owner": row["owner"],
    }


def _best_so_far(row: dict[str, Any]) -> str:
    metric = _flat(row["metric_names"])
    if row["best_objective"] is None:
        return metric
    return f"{metric} {cell(row['best_objective'])} (trial {row['best_number']})"


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} ({item})" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)[:19] if _is_time(value) else cell(value)


def _is_time(value: Any) -> bool:
    return isinstance(value, str) and len(value) > 19 and value[4] == "-" and value[10] == "T"


def check_exists(store: str, name: str) -> None:
    """Raise InputError when the store has no sweep of this name."""
    from sweeps.store import open_reader

    reader = open_reader(store)
    try:
        reader.sweep(name)
    finally:
        reader.close()
