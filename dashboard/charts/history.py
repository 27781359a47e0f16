"""The history of a search: the value of each trial, and the best so far."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from dashboard.charts.frames import Goal, baselines, finished, searched
from dashboard.charts.style import BEST, FAILED, TRIAL, axis_type, baseline_colour, styled
from dashboard.text import escape_chart

HEIGHT_PX = 380


def best_so_far(values: pd.Series, goal: Goal) -> pd.Series:
    """Return the running minimum (``minimize``) or maximum (``maximize``)."""
    return values.cummin() if goal == "minimize" else values.cummax()


def optimisation_history(
    trials: pd.DataFrame,
    column: str,
    label: str,
    *,
    goal: Goal | None = "minimize",
    order: str = "number",
    log_y: bool = False,
) -> go.Figure:
    """Draw the value of each searched trial, the best so far, baselines as lines, failed trials along the bottom.

    Every marker carries its trial number as ``customdata``.

    Args:
        trials: one row a trial, as the store's reader gives it.
        column: what to draw, e.g. ``objective`` or ``metrics.psnr``.
        label: the axis's name.
        goal: direction of "best"; None leaves the best-so-far line out.
        order: ``number`` (as asked) or ``finish_order`` (as they came back).
        log_y: logarithmic value axis; values that are not positive are left out.
    """
    figure = go.Figure()
    rows = finished(trials, column)
    if log_y:
        rows = rows[pd.to_numeric(rows[column]) > 0]
    rows = rows.sort_values(order)
    found = searched(rows)
    figure.add_scatter(
        name="trials",
        x=found[order],
        y=found[column],
        customdata=found[["number"]].to_numpy(),
        mode="markers",
        marker={"color": TRIAL, "size": 8, "opacity": 0.75},
        hovertemplate="trial %{customdata[0]}<br>%{y:.4g}<extra></extra>",
    )
    if goal is not None and len(found):
        figure.add_scatter(
            name="best searched so far",
            x=found[order],
            y=best_so_far(pd.to_numeric(found[column]), goal),
            mode="lines",
            line={"color": BEST, "width": 2, "shape": "hv"},
            hovertemplate="best after %{x}: %{y:.4g}<extra></extra>",
        )
    _add_baselines(figure, rows, trials, column, order)
    _add_failed(figure, trials, order)
    figure = styled(
        figure,
        height=HEIGHT_PX,
        x_title="trial number" if order == "number" else "order of finishing",
        y_title=escape_chart(label),
    )
    figure.update_layout(yaxis=axis_type(log_y, rows[column]))
    figure.update_layout(yaxis2={"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True})
    return figure


def _add_baselines(figure: go.Figure, rows: pd.DataFrame, trials: pd.DataFrame, column: str, order: str) -> None:
    positions = trials[order].dropna()
    if positions.empty:
        return
    ends = [positions.min(), positions.max()]
    for index, (_, row) in enumerate(baselines(rows).iterrows()):
        name, value, colour = escape_chart(row["baseline"]), float(row[column]), baseline_colour(index)
        figure.add_scatter(
            name=f"baseline {name}",
            x=ends,
            y=[value, value],
            mode="lines",
            line={"color": colour, "width": 1.5, "dash": "dash"},
            customdata=[[int(row["number"]), name]] * 2,
            hovertemplate="baseline %{customdata[1]}: %{y:.4g}<extra></extra>",
            legendgroup=f"baseline{index}",
        )
        figure.add_scatter(
            x=[row[order]],
            y=[value],
            customdata=[[int(row["number"])]],
            mode="markers+text",
            text=[name],
            textposition="top right",
            textfont={"color": colour, "size": 11},
            marker={"color": colour, "symbol": "diamond", "size": 9},
            hovertemplate="trial %{customdata[0]} (baseline)<br>%{y:.4g}<extra></extra>",
            legendgroup=f"baseline{index}",
            showlegend=False,
        )


def _add_failed(figure: go.Figure, trials: pd.DataFrame, order: str) -> None:
    """Mark failed trials on an axis of their own, because they have a number but no value."""
    failed = trials[(trials["state"] == "failed") & trials[order].notna()]
    if failed.empty:
        return
    figure.add_scatter(
        name="failed",
        x=failed[order],
        y=[0.02] * len(failed),
        yaxis="y2",
        customdata=failed[["number"]].to_numpy(),
        mode="markers",
        marker={"color": FAILED, "symbol": "x", "size": 8},
        hovertemplate="trial %{customdata[0]} failed<extra></extra>",
    )
