"""The table of trials: filtered, sorted, downloaded, opened."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard.filters import filter_trials, numeric_columns
from dashboard.links import open_trial
from dashboard.tables import trials_columns, trials_table
from dashboard.text import MISSING
from sweeps.store import SweepView

TABLE_KEY = "trials_table"


def column_label(column: str, metric: str | None) -> str:
    """Return a column's heading: ``params.x`` is x, ``objective`` the only metric's name."""
    if column == "objective" and metric is not None:
        return f"objective ({metric})"
    return column.removeprefix("params.")


def trials_section(sweep: SweepView, trials: pd.DataFrame) -> None:
    """Draw the filters, the table whose rows open their trial, and the download."""
    st.subheader("Trials", anchor="trials")
    metric = sweep.metric_names[0] if len(sweep.metric_names) == 1 else None
    kept = _filtered(trials, metric)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.caption(f"{len(kept)} of {len(trials)} trials. Click a heading to sort, a row to open its trial.")
        st.download_button(
            "These trials as CSV",
            kept.to_csv(index=False),
            file_name=f"{''.join(c if c.isalnum() or c in '-_' else '_' for c in sweep.name)}-trials.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
    numbers = {
        column: st.column_config.NumberColumn(column_label(column, metric), format="%.4g")
        for column in map(str, kept.columns)
        if pd.api.types.is_float_dtype(kept[column])
    }
    others = {
        str(column): st.column_config.Column(column_label(str(column), metric))
        for column in kept.columns
        if str(column) not in numbers
    }
    event = st.dataframe(
        trials_table(kept),
        key=TABLE_KEY,
        hide_index=True,
        on_select="rerun",
        selection_mode=["single-row", "single-cell"],
        column_order=trials_columns(list(map(str, kept.columns)), metric),
        column_config={**others, **numbers, "number": st.column_config.NumberColumn("trial", pinned=True)},
        placeholder=MISSING,
        height=min(38 + 35 * max(len(kept), 1), 560),
        alt="The trials of this sweep with their parameters and metrics",
    )
    selection = event["selection"]
    rows = [*selection["rows"], *(cell[0] for cell in selection["cells"])]
    if rows and rows[0] < len(kept):
        open_trial(sweep.name, int(kept.iloc[rows[0]]["number"]))


def _filtered(trials: pd.DataFrame, metric: str | None) -> pd.DataFrame:
    numeric = numeric_columns(trials)
    first, second, third = st.columns([2, 3, 3])
    states = first.multiselect(
        "State", sorted(trials["state"].unique()), key="state", bind="query-params", placeholder="all states"
    )
    text = second.text_input(
        "Search", key="text", bind="query-params", placeholder="words in any column, e.g. student_t or a failure"
    )
    ranged = third.multiselect(
        "Numeric ranges", numeric, key="range", bind="query-params", placeholder="choose columns to limit",
        format_func=lambda column: column_label(column, metric),
    )  # fmt: skip
    ranges: dict[str, tuple[float | None, float | None]] = {}
    for column in ranged:
        low, high = st.columns(2)
        name = column_label(column, metric).replace("[", "(").replace("]", ")")
        ranges[column] = (
            _bound(low, f"{name}: at least", f"min.{column}"),
            _bound(high, f"{name}: at most", f"max.{column}"),
        )
    return filter_trials(trials, states, text, ranges)


def _bound(place: st.delta_generator.DeltaGenerator, label: str, key: str) -> float | None:
    return place.number_input(label, value=None, format="%g", key=key, bind="query-params", placeholder="no limit")
