"""All sweeps of the store."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import streamlit as st

from dashboard.links import open_sweep
from dashboard.live import watch
from dashboard.session import first_sweep, open_or_stop
from dashboard.tables import sweeps_table
from dashboard.text import MISSING

TABLE_KEY = "sweeps_table"


def _stamp(sweeps: pd.DataFrame) -> tuple[str, ...]:
    return tuple(map(repr, sweeps.itertuples(index=False)))


def main() -> None:
    """Draw the page."""
    store = open_or_stop()
    sweeps = store.sweeps()
    st.title("Sweeps", anchor=False)
    if sweeps.empty:
        st.info("This store holds no sweeps yet.", icon=":material/inbox:")
        first_sweep()
        watch(lambda: _stamp(store.sweeps()), (), "waiting for the first sweep")
        return
    running = int((sweeps["status"] == "running").sum())
    with st.container(horizontal=True, gap="large"):
        st.metric("Sweeps", len(sweeps), width="content")
        st.metric("Running", running, width="content")
        st.metric("Trials finished", int(sweeps[["complete", "pruned", "failed"]].sum().sum()), width="content")
    event = st.dataframe(
        sweeps_table(sweeps, datetime.now(UTC).replace(tzinfo=None)),
        key=TABLE_KEY,
        hide_index=True,
        on_select="rerun",
        selection_mode=["single-row", "single-cell"],
        row_height=40,
        placeholder=MISSING,
        column_config={
            "Sweep": st.column_config.TextColumn(pinned=True, width="medium"),
            "Progress": st.column_config.ProgressColumn(format="%.0f%%", min_value=0, max_value=100, width="small"),
            "Best": st.column_config.NumberColumn(format="%.4g", width="small"),
            "Best trial": st.column_config.NumberColumn(width="small"),
            "Failed": st.column_config.NumberColumn(width="small"),
            "Trials": st.column_config.TextColumn(width="small"),
            "Started (UTC)": st.column_config.DatetimeColumn(format="D MMM YYYY, HH:mm"),
        },
        alt="All sweeps of this store with their status, progress and best trial",
    )
    st.caption("Click anywhere in a row to open the sweep.")
    selection = event["selection"]
    rows = [*selection["rows"], *(cell[0] for cell in selection["cells"])]
    if rows and rows[0] < len(sweeps):
        open_sweep(str(sweeps.iloc[rows[0]]["name"]))
    if running:
        watch(lambda: _stamp(store.sweeps()), _stamp(sweeps), f"{running} running, the table follows")


if __name__ == "__main__":  # how Streamlit runs a page
    main()
