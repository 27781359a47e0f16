"""Which trials of a frame are best, by the store's own rule."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from dashboard.charts.frames import Goal, finished
from sweeps.store import best_trial, ranked_trials


def best_row(trials: pd.DataFrame, column: str, goal: Goal) -> pd.Series | None:
    """Return the best of the complete trials by one column, None when there is none."""
    rows = finished(trials, column)
    values = pd.to_numeric(rows[column]).astype(float)
    found = best_trial(zip(rows["number"], values.map(lambda value: (value,)), strict=True), [goal])
    return None if found is None else rows[rows["number"] == found.number].iloc[0]


def front_numbers(trials: pd.DataFrame, metrics: Sequence[str], goals: Sequence[Goal]) -> list[int]:
    """Return the numbers of the complete trials on the Pareto front, best in the first metric first."""
    rows = trials[trials["state"] == "complete"]
    columns = [rows[f"metrics.{name}"].astype(float) for name in metrics]
    return [item.number for item in ranked_trials(zip(rows["number"], zip(*columns, strict=True), strict=True), goals)]
