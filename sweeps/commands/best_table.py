"""The best trials of a sweep as a table: what they have in common above it, what differs in it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from restoration_core.commands.tables import cell as shown_as
from restoration_core.commands.tables import output_width, pair_lines, print_table, wrapped
from sweeps.commands.common import records
from sweeps.spec.parameter_names import BASELINE_UNITS, PRESET, RAW_WEIGHT

_USUAL = ("image_mse", "psnr", "ssim", "feature_error")
_HIDDEN = (PRESET, BASELINE_UNITS)
_EVERYTHING = 2**31

Row = Mapping[str, Any]


@dataclass(frozen=True)
class BestTrials:
    """The best trials of a sweep, or its Pareto front.

    Attributes:
        sweep: its name.
        rows: plain data, best first, with ``params.*``, ``raw.*`` and ``metrics.*``.
        of: how many complete trials there are; with several metrics, how many the front has.
        metrics: that the sweep searches by; empty where that is not known.
        fixed: parameters that the spec does not search.
    """

    sweep: str
    rows: Sequence[Row]
    of: int
    metrics: tuple[str, ...] = ()
    fixed: frozenset[str] = frozenset()

    @property
    def title(self) -> str:
        """What the table is called."""
        count = len(self.rows) if len(self.rows) == self.of else f"{len(self.rows)} of {self.of}"
        if len(self.metrics) > 1:
            return f"Pareto front of {self.sweep}: {count} trial{'s' if self.of != 1 else ''}"
        return f"Best trials of {self.sweep}: {count}"


def best_trials(store: str, name: str, k: int) -> BestTrials:
    """Return the ``k`` best complete trials of a sweep in the store.

    Raises:
        InputError: no such store or sweep.
    """
    from sweeps.store import open_reader

    reader = open_reader(store)
    try:
        view = reader.sweep(name)
        found = reader.best(name, _EVERYTHING)
    finally:
        reader.close()
    parameters: Mapping[str, Mapping[str, Any]] = view.spec.get("parameters", {})
    fixed = frozenset(key for key, parameter in parameters.items() if parameter.get("value") is not None)
    return BestTrials(name, records(found.head(k)), len(found), tuple(view.metric_names), fixed)


def print_best(best: BestTrials, title: str | None = None) -> None:
    """Print trials with their baselines, their metrics and what was searched; ``--json`` has everything."""
    rows = best.rows
    names = list(dict.fromkeys(key for row in rows for key in row))
    metrics = list(dict.fromkeys([*best.metrics, *_USUAL]))
    columns = ["number", "baseline", *(f"metrics.{metric}" for metric in metrics if f"metrics.{metric}" in names)]
    if not any(all(row.get(column) == row.get("objective") for row in rows) for column in columns[2:]):
        columns.insert(2, "objective")
    head = len(columns)
    columns += [key for key in names if key.startswith("params.") and key.removeprefix("params.") not in _HIDDEN]
    # In calibrated units the raw weights stand beside.
    columns += [key for key in names if key.startswith("raw.") and key.endswith(f".{RAW_WEIGHT}")]
    same, searched_same = _in_common(rows, columns[head:], best.fixed)
    click.secho("\n".join(wrapped(title or best.title, output_width())), bold=True)
    _print_common("the same in all", rows, same)
    _print_common("the same in all searched", [row for row in rows if not row.get("baseline")], searched_same)
    varying = [name for name in columns if name not in {*same, *searched_same}]
    shown = [{_short(key): row.get(key) for key in varying} for row in rows]
    print_table(shown, [_short(key) for key in varying], head=head)


def _in_common(rows: Sequence[Row], columns: Sequence[str], fixed: Collection[str]) -> tuple[list[str], list[str]]:
    """Return the parameters with one value in all rows, and those fixed by the spec that only baselines set."""
    if len(rows) < 2:
        return [], []
    same = [name for name in columns if len({shown_as(row.get(name)) for row in rows}) == 1]
    searched = [row for row in rows if not row.get("baseline")]
    of_searched = [
        name
        for name in columns
        if name not in same
        and name.partition(".")[2] in fixed
        and len({shown_as(row.get(name)) for row in searched}) == 1
    ]
    return same, of_searched


def _print_common(label: str, rows: Sequence[Row], names: Sequence[str]) -> None:
    pairs = [(_short(name), shown_as(rows[0].get(name))) for name in names if rows[0].get(name) is not None]
    if not pairs:
        return
    click.echo(f"{label}:")
    width = output_width()
    for line in pair_lines(pairs, None if width is None else width - 4):
        click.echo(f"    {line}")


def _short(column: str) -> str:
    if column == "number":
        return "trial"
    # A raw weight beside the calibrated one needs another name.
    return column if column.startswith("raw.") else column.removeprefix("metrics.").removeprefix("params.")
