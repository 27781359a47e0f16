"""Rows to DataFrames, and which trials are best."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

# Columns of a trials frame with their types; without a type, what pandas makes of the values.
TRIAL_COLUMNS: Mapping[str, str | None] = {
    "number": "int64",
    "state": "object",
    "attempt": "int64",
    "baseline": "object",
    "objective": "float64",
    "seed": "int64",
    "asked_at": "datetime64[us]",
    "started_at": "datetime64[us]",
    "finished_at": "datetime64[us]",
    "finish_order": "Int64",
    "queue_s": "float64",
    "compute_s": "float64",
    "iterations": "Int64",
    "device": "object",
    "worker": "object",
    "pack": "object",
    "failure": "object",
}

# JSON columns of a trial and the prefix of the columns they spread into.
SPREAD: Mapping[str, str] = {"parameters": "params.", "raw_parameters": "raw.", "metrics": "metrics."}


def table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str | None]) -> pd.DataFrame:
    """Return a frame with exactly ``columns``, typed even when there are no rows."""
    data: dict[str, pd.Series[Any]] = {}
    for name, dtype in columns.items():
        data[name] = pd.Series([row[name] for row in rows], dtype=dtype or "object")
    return pd.DataFrame(data)


def trials_frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return one row a trial: `TRIAL_COLUMNS`, then ``params.*``, ``raw.*``, ``metrics.*`` by first appearance."""
    frame = table(rows, TRIAL_COLUMNS)
    spread: dict[str, pd.Series[Any]] = {}
    for source, prefix in SPREAD.items():
        values = [row[source] or {} for row in rows]
        for name in dict.fromkeys(name for value in values for name in value):
            column = [value.get(name) for value in values]
            spread[prefix + name] = _numbers(column) if source == "metrics" else _series(column)
    return pd.concat([frame, pd.DataFrame(spread, index=frame.index)], axis=1)


def _numbers(column: list[Any]) -> pd.Series[Any]:
    return pd.Series([math.nan if value is None else float(value) for value in column], dtype="float64")


def _series(column: list[Any]) -> pd.Series[Any]:
    """Numbers stay numbers (missing: NaN, whole numbers: Int64); anything else is kept as it is."""
    kinds = {type(value) for value in column if value is not None}
    if kinds and kinds <= {int, float}:
        whole = kinds == {int} and all(abs(value) < 2**63 for value in column if value is not None)
        if whole:
            return pd.Series(column, dtype="int64" if None not in column else "Int64")
        return _numbers(column)
    return pd.Series(column, dtype="object")


def rank_by_objective(frame: pd.DataFrame, goal: str) -> pd.DataFrame:
    """Return the rows from best to worst, ties by number."""
    return frame.sort_values(["objective", "number"], ascending=[goal != "maximize", True], kind="stable")


def pareto_numbers(points: Iterable[tuple[int, Sequence[float]]], goals: Sequence[str]) -> list[int]:
    """Return the numbers of the points that no other point dominates, sorted by the first metric.

    A point dominates another when it is at least as good in every metric and better in one; of equal points all stay.
    """
    signs = [-1.0 if goal == "maximize" else 1.0 for goal in goals]
    signed = sorted(
        (tuple(sign * value for sign, value in zip(signs, values, strict=True)), number) for number, values in points
    )
    front: list[tuple[tuple[float, ...], int]] = []
    # In lexicographic order no later point dominates an earlier one.
    for point, number in signed:
        if not any(other != point and all(a <= b for a, b in zip(other, point, strict=True)) for other, _ in front):
            front.append((point, number))
    return [number for _, number in front]
