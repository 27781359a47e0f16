"""The course of the search: history, parameters, Pareto front."""

from __future__ import annotations

from typing import Any, NamedTuple

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from dashboard.best import best_row, front_numbers
from dashboard.charts import optimisation_history, parameter_scatter, pareto_scatter
from dashboard.charts.frames import Goal, finished, searched
from dashboard.charts.style import CONFIG
from dashboard.links import open_trial
from dashboard.parameters import PREFIX, parameter_names, parameter_scale
from dashboard.text import escape_markdown
from sweeps.store import SweepView

_PLOTS_PER_ROW = 3
_LOG_RATIO = 20.0
ORDERS = {"number": "as asked", "finish_order": "as finished"}


class Shown(NamedTuple):
    """A value that charts can draw; ``goal`` is None for a metric that was not optimised."""

    column: str
    label: str
    goal: Goal | None


def choices(sweep: SweepView, trials: pd.DataFrame) -> list[Shown]:
    """Return the values that can be drawn: first the metrics that were optimised, then all others."""
    names, goals = sweep.metric_names, sweep.metric_goals
    if len(names) == 1:
        first = [Shown("objective", names[0], _goal(goals[0]))]
    else:
        first = [Shown(f"metrics.{name}", name, _goal(goal)) for name, goal in zip(names, goals, strict=True)]
    others = [str(column) for column in trials.columns if str(column).startswith("metrics.")]
    more = [Shown(column, column.removeprefix("metrics."), None) for column in others]
    return [item for item in first if item.column in trials.columns] + [
        item for item in more if item.label not in names
    ]


def wants_log(values: pd.Series) -> bool:
    """Return True when values are positive and span more than a factor of 20."""
    known = values.dropna()
    return bool(len(known) and known.min() > 0 and known.max() > _LOG_RATIO * known.min())


def search_section(sweep: SweepView, trials: pd.DataFrame) -> None:
    """Draw the history and the parameter plots of one chosen metric, then the front of several."""
    st.subheader("Optimisation history", anchor="history")
    options = {item.label: item for item in choices(sweep, trials)}
    if not any(len(finished(trials, item.column)) for item in options.values()):
        st.caption("No trial has been completed yet.")
        return
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        label = st.selectbox("Metric", list(options), key="metric", bind="query-params", width=240)
        order = st.segmented_control(
            "Order", list(ORDERS), format_func=ORDERS.__getitem__, default="number", key="order", bind="query-params",
            required=True,
        )  # fmt: skip
        shown = options[label]
        log_y = st.toggle(
            "Logarithmic values", value=wants_log(finished(trials, shown.column)[shown.column]), key="log",
            bind="query-params",
        )  # fmt: skip
    figure = optimisation_history(
        trials, shown.column, shown.label, goal=shown.goal, order=order or "number", log_y=log_y
    )
    _chart(sweep.name, figure, "history", f"{shown.label} of each trial with the best so far and the baselines")
    _parameters(sweep, trials, shown, log_y)
    if len(sweep.metric_names) in {2, 3} and all(f"metrics.{name}" in trials for name in sweep.metric_names):
        st.subheader("Pareto front", anchor="pareto")
        goals = [_goal(goal) for goal in sweep.metric_goals]
        front = front_numbers(trials, sweep.metric_names, goals)
        figure = pareto_scatter(trials, sweep.metric_names, goals, front)
        _chart(sweep.name, figure, "pareto", "The searched metrics against each other, with the Pareto front")


def _parameters(sweep: SweepView, trials: pd.DataFrame, shown: Shown, log_y: bool) -> None:
    names = [name for name in parameter_names(trials) if trials[PREFIX + name].astype(str).nunique() > 1]
    if not names:
        return
    st.subheader(f"{escape_markdown(shown.label)} against each parameter", anchor="parameters")
    found = None if shown.goal is None else best_row(searched(trials), shown.column, shown.goal)
    best = None if found is None else int(found["number"])
    for start in range(0, len(names), _PLOTS_PER_ROW):
        columns = st.columns(_PLOTS_PER_ROW)
        for place, name in zip(columns, names[start : start + _PLOTS_PER_ROW], strict=False):
            scale = parameter_scale(sweep.spec, name, trials[PREFIX + name])
            figure = parameter_scatter(trials, name, shown.column, shown.label, scale=scale, best=best, log_y=log_y)
            with place:
                _chart(sweep.name, figure, f"parameter {name}", f"{shown.label} against {name}")
    st.caption("Ring: best searched. Diamonds and dashed lines: baselines. Click a point to open its trial.")


def _chart(sweep: str, figure: go.Figure, key: str, alt: str) -> None:
    """Draw a figure whose points open their trial."""
    event: Any = st.plotly_chart(
        figure, key=key, theme=None, on_select="rerun", selection_mode="points", config=CONFIG, alt=alt
    )
    for point in event["selection"]["points"]:
        data = point.get("customdata")
        if data:
            open_trial(sweep, int(data[0] if isinstance(data, list) else data["0"]))


def _goal(goal: str) -> Goal:
    return "maximize" if goal == "maximize" else "minimize"
