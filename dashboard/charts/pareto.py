"""The Pareto front of a search with two or three metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboard.charts.frames import Goal, baselines, searched
from dashboard.charts.style import BEST, TRIAL, baseline_colour, styled
from dashboard.text import escape_chart

HEIGHT_PX = 420


def pareto_scatter(
    trials: pd.DataFrame, metrics: Sequence[str], goals: Sequence[Goal], front: Sequence[int]
) -> go.Figure:
    """Draw two metrics against each other with a line through the front; a third metric is shown as colour.

    Args:
        trials: one row a trial with the columns ``metrics.<name>``.
        metrics: two or three names, without the prefix.
        goals: direction of each.
        front: numbers of the trials on the Pareto front.
    """
    columns = [f"metrics.{name}" for name in metrics]
    values = trials[columns].apply(pd.to_numeric, errors="coerce")
    rows = trials[(trials["state"] == "complete") & np.isfinite(values).all(axis=1)]
    ringed = rows[rows["number"].isin(front)].sort_values(columns[0])
    figure = go.Figure()
    marker: dict[str, Any] = {"color": TRIAL, "size": 8, "opacity": 0.7}
    found = searched(rows)
    if len(columns) == 3:
        bar = {"title": {"text": escape_chart(metrics[2])}, "thickness": 12}
        marker = {"color": found[columns[2]], "colorscale": "Viridis", "size": 9, "colorbar": bar}
    _add(figure, found, columns, "trials", "markers", marker=marker)
    if len(columns) == 2:
        _add(figure, ringed, columns, "Pareto front", "lines", line={"color": BEST, "width": 2, "shape": "hv"})
    ring = {"color": "rgba(0,0,0,0)", "size": 14, "line": {"color": BEST, "width": 2}}
    _add(figure, ringed, columns, "on the front", "markers", marker=ring)
    for index, (_, row) in enumerate(baselines(rows).iterrows()):
        mark = {"color": baseline_colour(index), "symbol": "diamond", "size": 11}
        alone = rows[rows["number"] == row["number"]]
        _add(figure, alone, columns, f"baseline {escape_chart(row['baseline'])}", "markers", marker=mark)
    titles = [
        f"{escape_chart(name)} ({'lower' if goal == 'minimize' else 'higher'} is better)"
        for name, goal in zip(metrics, goals, strict=True)
    ]
    return styled(figure, height=HEIGHT_PX, x_title=titles[0], y_title=titles[1])


def _add(
    figure: go.Figure, rows: pd.DataFrame, columns: Sequence[str], title: str, mode: str, **style: dict[str, Any]
) -> None:
    figure.add_scatter(
        name=title,
        x=rows[columns[0]],
        y=rows[columns[1]],
        customdata=rows[["number"]].to_numpy(),
        mode=mode,
        hovertemplate="trial %{customdata[0]}<br>%{x:.4g}, %{y:.4g}<extra></extra>",
        **style,
    )
