"""A parameter against a value, which shows where in its range the good trials lie."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from dashboard.charts.frames import baselines, finished, searched
from dashboard.charts.style import BEST, TRIAL, axis_type, baseline_colour, styled
from dashboard.parameters import PREFIX, Scale
from dashboard.text import escape_chart, plain_value

HEIGHT_PX = 300
_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
_STRIP_HALF_WIDTH = 0.22


def parameter_scatter(
    trials: pd.DataFrame,
    parameter: str,
    column: str,
    label: str,
    *,
    scale: Scale,
    best: int | None = None,
    log_y: bool = False,
) -> go.Figure:
    """Draw a parameter against a value: searched trials, the best ringed, baselines as diamonds or lines.

    A baseline whose parameter is absent, or zero on a logarithmic axis, is drawn as a horizontal line: it has a
    value but no place on the axis. Every marker carries its trial number as ``customdata``.

    Args:
        trials: one row a trial.
        parameter: flat name without the ``params.`` prefix.
        column: the value, e.g. ``objective``.
        label: the value axis's name.
        scale: ``log``, ``linear`` or ``choice`` (one strip per value, spread sideways so that trials do not cover
            each other).
        best: number of the trial to ring, None for none.
        log_y: logarithmic value axis.
    """
    rows = finished(trials, column)
    if log_y:
        rows = rows[pd.to_numeric(rows[column]) > 0]
    name = PREFIX + parameter
    categories = _categories(rows[name]) if scale == "choice" else []
    places = _places(rows, name, scale, categories)
    figure = go.Figure()
    found = searched(rows)
    _add_points(figure, found, places, name, column, "trials", {"color": TRIAL, "size": 8, "opacity": 0.7})
    if best is not None:
        ring = {"color": "rgba(0,0,0,0)", "size": 15, "line": {"color": BEST, "width": 2.5}}
        _add_points(figure, rows[rows["number"] == best], places, name, column, "best", ring)
    for index, (_, row) in enumerate(baselines(rows).iterrows()):
        title, colour = f"baseline {escape_chart(row['baseline'])}", baseline_colour(index)
        alone = rows[rows["number"] == row["number"]]
        if places[alone.index].notna().all():
            mark = {"color": colour, "symbol": "diamond", "size": 10}
            _add_points(figure, alone, places, name, column, title, mark)
        else:
            figure.add_hline(y=float(row[column]), line={"color": colour, "width": 1.5, "dash": "dash"})
    figure = styled(
        figure, height=HEIGHT_PX, x_title=escape_chart(parameter), y_title=escape_chart(label), legend=False
    )
    if scale == "choice":
        ticks = [escape_chart(item) for item in categories]
        span = [-0.5, max(len(categories) - 0.5, 0.5)]
        figure.update_xaxes(tickvals=list(range(len(categories))), ticktext=ticks, range=span)
    else:
        figure.update_xaxes(**axis_type(scale == "log", places))
    figure.update_yaxes(**axis_type(log_y, rows[column]))
    return figure


def _add_points(
    figure: go.Figure,
    rows: pd.DataFrame,
    places: pd.Series,
    name: str,
    column: str,
    title: str,
    marker: dict[str, Any],
) -> None:
    shown = rows[places.loc[rows.index].notna()]
    figure.add_scatter(
        name=title,
        x=places.loc[shown.index],
        y=shown[column],
        customdata=[[int(n), escape_chart(plain_value(v))] for n, v in zip(shown["number"], shown[name], strict=True)],
        mode="markers",
        marker=marker,
        hovertemplate="trial %{customdata[0]}<br>%{customdata[1]}: %{y:.4g}<extra></extra>",
    )


def _categories(values: pd.Series) -> list[str]:
    """Return the values tried: sorted numbers, then sorted texts."""
    known = {plain_value(value): value for value in values.dropna()}

    def key(text: str) -> tuple[int, float, str]:
        value = known[text]
        return (0, float(value), text) if isinstance(value, Real) else (1, 0.0, text)

    return sorted(known, key=key)


def _places(rows: pd.DataFrame, name: str, scale: Scale, categories: list[str]) -> pd.Series:
    """Return where each row lies on the axis; NaN where it has no place."""
    if scale != "choice":
        values = pd.to_numeric(rows[name], errors="coerce").astype(float)
        return values.where(values > 0) if scale == "log" else values
    index = {text: float(position) for position, text in enumerate(categories)}
    centre = rows[name].map(lambda value: index.get(plain_value(value), math.nan)).astype(float)
    # The golden ratio spreads neighbouring trials evenly, and gives a trial the same place each time it is drawn.
    spread = (rows["number"] * _GOLDEN) % 1.0 - 0.5
    return centre + 2.0 * _STRIP_HALF_WIDTH * spread
