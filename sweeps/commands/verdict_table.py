"""The verdict as a user reads it: one table of all comparisons, then sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from restoration_core.commands.tables import cell, output_width, print_table, wrapped


def print_verdict(verdict: Mapping[str, Any]) -> None:
    """Print how the winner did on pictures and seeds that the search had not seen."""
    comparisons: Mapping[str, Mapping[str, Mapping[str, Any]]] = verdict.get("comparisons", {})
    rows = [
        {
            "against": baseline,
            "metric": metric,
            "winner": numbers["winner"],
            "baseline": numbers["baseline"],
            "winner - baseline": _difference(numbers),
            "better on": f"{numbers['better_on']} of {numbers['pictures']}",
        }
        for baseline, metrics in comparisons.items()
        for metric, numbers in metrics.items()
    ]
    if rows:
        print_table(
            rows,
            list(rows[0]),
            title=f"Verdict on pictures that were not searched on, {verdict.get('seeds')} new seeds each",
            head=5,
        )
    for line in wrapped(str(verdict.get("summary", "")), output_width()):
        click.echo(line)


def _difference(numbers: Mapping[str, Any]) -> str:
    """Return the difference, and its 95 % interval where there are pictures enough for one."""
    difference = f"{numbers['difference']:+.3g}"
    if numbers["pictures"] < 2:
        return difference
    low, high = numbers["interval"]
    return f"{difference} ({cell(f'{low:+.3g}')} to {high:+.3g})"
