"""The style that all charts share."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

TRIAL = "#5b8db8"
BEST = "#c8553d"
FAILED = "#9b2c2c"
PRUNED = "#b8bfc8"
INK = "#1d2733"
FONT = '"Source Sans", "Source Sans 3", sans-serif'
GRID = "#e6ebf0"
_TWO_DECADES = 100.0
BASELINES = ("#3d7a4e", "#8a5a9e", "#a87b1f", "#3a6f7d", "#7d4f3a")
CONFIG: dict[str, Any] = {
    "displaylogo": False,
    "modeBarButtonsToRemove": ["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "autoScale2d", "select2d", "lasso2d"],
}
SERIES = ("#2f5d8a", "#c8553d", "#3d7a4e", "#a87b1f", "#8a5a9e", "#3a6f7d", "#7d4f3a", "#5c6670")


def styled(figure: go.Figure, *, height: int, x_title: str, y_title: str, legend: bool = True) -> go.Figure:
    """Return the figure with our margins, grid, fonts and legend. Titles must be escaped already."""
    figure.update_layout(
        template="plotly_white",
        height=height,
        margin={"l": 8, "r": 8, "t": 28, "b": 8},
        font={"size": 13, "color": INK, "family": FONT},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "xanchor": "left", "x": 0.0},
        showlegend=legend,
        hovermode="closest",
        uirevision="kept",
        dragmode="zoom",
    )
    axis: dict[str, Any] = {"gridcolor": GRID, "zeroline": False, "automargin": True}
    figure.update_xaxes(title={"text": x_title, "standoff": 6}, **axis)
    figure.update_yaxes(title={"text": y_title, "standoff": 6}, **axis)
    return figure


def axis_type(log: bool, values: pd.Series) -> dict[str, Any]:
    """Return the settings of a linear or logarithmic axis (ticks at 1, 2, 5; at 1 only if it spans two decades)."""
    if not log:
        return {"type": "linear"}
    shown = pd.to_numeric(values, errors="coerce")
    shown = shown[shown > 0]
    wide = bool(len(shown) and shown.max() > _TWO_DECADES * shown.min())
    return {"type": "log", "dtick": 1 if wide else "D2"}


def baseline_colour(position: int) -> str:
    """Return the colour of the n-th baseline, the same in every chart."""
    return BASELINES[position % len(BASELINES)]
