"""``sweep status``, ``best`` and ``export``: what the store (or MLflow) knows."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import click

from sweeps.commands.common import Addresses, address_options, json_option, print_json, print_rows, records
from sweeps.spec.parameter_names import PRESET, RAW_WEIGHT, UNITS

if TYPE_CHECKING:
    from sweeps.store import SweepView

_SHOWN = ("image_mse", "psnr", "ssim", "feature_error")
_STATES = ("running", "complete", "pruned", "failed")


@click.command()
@click.argument("name", required=False)
@json_option
@address_options
def status(name: str | None, as_json: bool, addresses: Addresses) -> None:
    """Show all sweeps, or one: its trials by state and the best of them."""
    from sweeps.store import open_reader

    reader = open_reader(addresses.store)
    try:
        rows = records(reader.sweeps())
        if name is None:
            if as_json:
                print_json(rows)
            elif rows:
                shown = [_overview(row) for row in rows]
                print_rows(shown, list(shown[0]), title=f"Sweeps in {addresses.store}")
            else:
                click.echo(f"no sweeps in {addresses.store}")
            return
        view = reader.sweep(name)
        counts = reader.trials(name)["state"].value_counts().to_dict()
        best = records(reader.best(name, 1))
        fixed = _fixed(view.spec)
        found = {
            "name": view.name,
            "status": view.status,
            "trials_planned": view.trials_planned,
            **{state: int(counts.get(state, 0)) for state in _STATES},
            "metrics": dict(zip(view.metric_names, view.metric_goals, strict=True)),
            "best": best[0] if best else None,
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
    lines = [{"what": key, "value": _flat(value)} for key, value in found.items() if key not in {"best", "verdict"}]
    print_rows(lines, ["what", "value"], title=f"Sweep {name}")
    if best:
        print_best(best, "Best trial", fixed)
    if _abandoned(view):
        click.echo(f"nobody is running it; to go on: restoration sweep resume {name}{addresses.options()}")


@click.command()
@click.argument("name")
@click.option("--k", default=10, show_default=True, type=click.IntRange(min=1), help="How many trials.")
@click.option("--from", "source", type=click.Choice(["store", "mlflow"]), default="store", show_default=True)
@json_option
@address_options
def best(name: str, k: int, source: str, as_json: bool, addresses: Addresses) -> None:
    """Show the best trials of sweep NAME; with several metrics, the Pareto front."""
    if source == "mlflow":
        from sweeps.tracking import best_from_mlflow

        rows = records(best_from_mlflow(addresses.tracked(), name, k))
        fixed: set[str] = set()
    else:
        rows, fixed = best_rows(addresses.store, name, k)
    if as_json:
        print_json(rows)
    elif rows:
        print_best(rows, f"Best trials of {name}" + (" (from MLflow)" if source == "mlflow" else ""), fixed)
    else:
        click.echo(f"sweep {name} has no complete trial yet")


@click.command()
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
    click.echo(f"{count} trials of {name} written to {path}")


def best_rows(store: str, name: str, k: int) -> tuple[list[dict[str, Any]], set[str]]:
    """Return the ``k`` best trials of a sweep in the store as plain rows, and the parameters its spec fixes."""
    from sweeps.store import open_reader

    reader = open_reader(store)
    try:
        return records(reader.best(name, k)), _fixed(reader.sweep(name).spec)
    finally:
        reader.close()


def print_best(rows: list[dict[str, Any]], title: str, fixed: Collection[str] = ()) -> None:
    """Print trials with their baselines, the usual metrics and what was searched; ``--json`` has everything."""
    names = list(dict.fromkeys(key for row in rows for key in row))
    metrics = [f"metrics.{metric}" for metric in _SHOWN if f"metrics.{metric}" in names]
    # With one metric the objective is that metric: once is enough.
    repeated = any(all(row.get(metric) == row.get("objective") for row in rows) for metric in metrics)
    columns = ["number", "baseline", *([] if repeated else ["objective"]), *metrics]
    hidden = {f"params.{name}" for name in (*fixed, PRESET, UNITS)}
    columns += [key for key in names if key.startswith("params.") and key not in hidden]
    # In calibrated units the raw weights stand beside.
    columns += [key for key in names if key.startswith("raw.") and key.endswith(f".{RAW_WEIGHT}")]
    shown = [{_short(key): value for key, value in row.items() if key in columns} for row in rows]
    print_rows(shown, [_short(key) for key in columns], title=title)


def _abandoned(view: SweepView) -> bool:
    """Return whether a sweep that is not complete has no live coordinator, as after a kill."""
    from sweeps.store import SweepStatus

    return view.status in {SweepStatus.RUNNING, SweepStatus.INTERRUPTED} and not view.is_held


def _fixed(spec: dict[str, Any]) -> set[str]:
    """Return the parameters that a spec does not search."""
    return {key for key, parameter in spec.get("parameters", {}).items() if parameter.get("value") is not None}


def _overview(row: dict[str, Any]) -> dict[str, Any]:
    """Return a sweep's row as a narrow table shows it; ``--json`` has the rest."""
    ended = sum(int(row[state]) for state in ("complete", "pruned", "failed"))
    return {
        "name": row["name"],
        "status": row["status"],
        "trials": f"{ended} of {row['trials_planned']}",
        "failed": row["failed"],
        "running": row["running"],
        "metric": _flat(row["metric_names"]),
        "best": row["best_objective"],
        "trial": row["best_number"],
        "owner": row["owner"],
        "started (UTC)": str(row["created_at"])[:16].replace("T", " "),
    }


def _short(column: str) -> str:
    return column.removeprefix("metrics.").removeprefix("params.").removeprefix("raw.")


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} ({item})" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)[:19] if _is_time(value) else str(value)


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
