"""Filters of the trials table: pure functions on a frame of trials."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from dashboard.text import is_missing


def filter_trials(
    trials: pd.DataFrame,
    states: Sequence[str] = (),
    text: str = "",
    ranges: Mapping[str, tuple[float | None, float | None]] | None = None,
) -> pd.DataFrame:
    """Return the trials that pass all filters, in their order.

    Args:
        trials: one row a trial.
        states: states to keep; empty keeps all.
        text: words that must all occur somewhere in the row, in any case.
        ranges: per column ``(minimum, maximum)``, both inclusive, None for open; a row without a value fails.
    """
    keep = pd.Series(True, index=trials.index)
    if states:
        keep &= trials["state"].isin(list(states))
    words = text.casefold().split()
    if words:
        joined = pd.Series([_joined(row) for row in trials.itertuples(index=False)], index=trials.index, dtype=str)
        for word in words:
            keep &= joined.str.contains(word, regex=False)
    for column, (low, high) in (ranges or {}).items():
        values = pd.to_numeric(trials[column], errors="coerce")
        if low is not None:
            keep &= values >= low
        if high is not None:
            keep &= values <= high
    return trials[keep]


def _joined(row: Iterable[object]) -> str:
    return "\n".join(str(value) for value in row if not is_missing(value)).casefold()


def numeric_columns(trials: pd.DataFrame) -> list[str]:
    """Return the columns that hold at least one number and can be filtered by range."""
    return [
        str(column)
        for column in trials.columns
        if pd.api.types.is_numeric_dtype(trials[column])
        and not pd.api.types.is_bool_dtype(trials[column])
        and bool(trials[column].notna().any())
    ]
