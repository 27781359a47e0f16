"""Losses over the iterations of one picture of one trial."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from dashboard.charts.style import SERIES, axis_type, styled
from dashboard.text import escape_chart

HEIGHT_PX = 340


def loss_curves(curves: pd.DataFrame, *, log_y: bool = True) -> go.Figure:
    """Draw every named loss over the iterations.

    Args:
        curves: rows ``name, step, value`` of one picture.
        log_y: logarithmic axis; values that are not positive leave a gap.
    """
    figure = go.Figure()
    for index, (name, rows) in enumerate(curves.groupby("name", sort=True)):
        ordered = rows.sort_values("step")
        values = pd.to_numeric(ordered["value"], errors="coerce")
        figure.add_scatter(
            name=escape_chart(name),
            x=ordered["step"],
            y=values.where(values > 0) if log_y else values,
            mode="lines+markers" if len(ordered) < 40 else "lines",
            line={"color": SERIES[index % len(SERIES)], "width": 2},
            marker={"size": 4},
            connectgaps=False,
            hovertemplate="iteration %{x}<br>%{y:.4g}",
        )
    figure = styled(figure, height=HEIGHT_PX, x_title="iteration", y_title="loss")
    figure.update_yaxes(**axis_type(log_y, curves["value"]))
    return figure
