"""Frames of the store's reader in the form that tables show: pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pandas as pd

from dashboard.text import duration, plain_value

# Columns that the trials table shows first, and those it leaves to the column menu and the download.
_LEADING = ("number", "state", "baseline", "objective")
_TRAILING = ("compute_s", "iterations", "finished_at", "failure")


def sweeps_table(sweeps: pd.DataFrame, now: datetime) -> pd.DataFrame:
    """Return the table of sweeps as it is shown.

    Args:
        sweeps: one row a sweep, as the store's reader gives it.
        now: current time, UTC without zone; a running sweep has lasted until then.
    """
    ended = sweeps["complete"] + sweeps["pruned"] + sweeps["failed"]
    until = sweeps["finished_at"].where(sweeps["finished_at"].notna() | (sweeps["status"] != "running"), now)
    seconds = (until - sweeps["created_at"]).dt.total_seconds()
    share = 100.0 * ended / sweeps["trials_planned"].clip(lower=1)
    return pd.DataFrame(
        {
            "Sweep": sweeps["name"].astype(str),
            "Status": sweeps["status"].astype(str),
            "Progress": share.clip(upper=100.0),
            "Trials": [f"{done} / {planned}" for done, planned in zip(ended, sweeps["trials_planned"], strict=True)],
            "Failed": sweeps["failed"],
            "Metric": [", ".join(str(name) for name in names) for names in sweeps["metric_names"]],
            "Best": sweeps["best_objective"],
            "Best trial": sweeps["best_number"],
            "Owner": sweeps["owner"].astype(str),
            "Started (UTC)": sweeps["created_at"],
            "Duration": [duration(value) for value in seconds],
        }
    )


def trials_table(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with every column converted to one type, which a table can show."""
    shown = trials.copy()
    for column in shown.columns:
        if shown[column].dtype == object:
            shown[column] = shown[column].map(lambda value: None if pd.isna(value) else plain_value(value))
    return shown


def trials_columns(columns: Sequence[str], metric: str | None) -> list[str]:
    """Return the columns of the trials table in reading order: who, how good, with which parameters, at what cost.

    Args:
        columns: those of the frame.
        metric: the only metric searched, which the objective shows already; None when there are several.
    """
    metrics = [name for name in columns if name.startswith("metrics.") and name != f"metrics.{metric}"]
    parameters = [name for name in columns if name.startswith("params.")]
    leading = [name for name in _LEADING if metric is not None or name != "objective"]
    return [*leading, *parameters, *metrics, *_TRAILING]


def parameter_table(searched: Mapping[str, Any], raw: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row a parameter: the value searched and the value in raw units (a dash where there is none)."""
    names = [*searched, *(name for name in raw if name not in searched)]
    return pd.DataFrame(
        {
            "Parameter": names,
            "Searched": [plain_value(searched.get(name)) for name in names],
            "Raw": [plain_value(raw.get(name)) for name in names],
        }
    )


def metrics_by_picture(image_metrics: pd.DataFrame) -> pd.DataFrame:
    """Return one row a picture and one column a metric, with the mean over pictures below when there are several."""
    wide = image_metrics.pivot(index="image", columns="name", values="value").astype(float)
    wide.columns.name = None
    if len(wide) > 1:
        wide.loc["mean"] = wide.mean()
    return wide.reset_index().rename(columns={"image": "Picture"})
