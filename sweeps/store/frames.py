"""Rows to DataFrames."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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
