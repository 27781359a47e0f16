"""A trial's parameters, metrics by picture, timing and the command that runs it again."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard.data import Store
from dashboard.links import with_store
from dashboard.tables import metrics_by_picture, parameter_table
from dashboard.text import MISSING, duration, moment
from sweeps.store import SweepView, TrialView


def timing_table(trial: TrialView) -> pd.DataFrame:
    """Return when, where and for how long a trial ran."""
    facts = {
        "Asked": moment(trial.asked_at),
        "Started": moment(trial.started_at),
        "Finished": moment(trial.finished_at),
        "In queue": duration(trial.queue_s),
        "Compute": duration(trial.compute_s),
        "Iterations": MISSING if trial.iterations is None else str(trial.iterations),
        "Attempt": str(trial.attempt),
        "Device": trial.device or MISSING,
        "Worker": trial.worker or MISSING,
        "Pack": trial.pack or MISSING,
        "Seed": str(trial.seed),
        "MLflow run": trial.mlflow_run_id or MISSING,
    }
    return pd.DataFrame({"Fact": list(facts), "Value": list(facts.values())})


def facts_section(store: Store, sweep: SweepView, trial: TrialView) -> None:
    """Draw parameters and metrics beside timing and device, then the replay command."""
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Parameters", anchor="parameters")
        table = parameter_table(trial.parameters, trial.raw_parameters)
        st.dataframe(table, hide_index=True, height="content", alt="This trial's parameters")
        if not trial.image_metrics.empty:
            st.subheader("Metrics by picture", anchor="metrics")
            metrics = metrics_by_picture(trial.image_metrics)
            numbers = [str(name) for name in metrics.columns if name != "Picture"]
            st.dataframe(
                metrics,
                hide_index=True,
                height="content",
                column_config={name: st.column_config.NumberColumn(format="%.4g") for name in numbers},
                alt="This trial's metrics, one row a picture",
            )
    with right:
        st.subheader("Timing and place", anchor="timing")
        st.dataframe(timing_table(trial), hide_index=True, height="content", alt="When and where this trial ran")
    if not trial.pictures:  # the command stands where the pictures would
        return
    st.subheader("Run it again", anchor="replay")
    st.caption("From the same parameters and seed; the pixels are compared with the stored ones.")
    st.code(with_store(store.url, "sweep", "replay", sweep.name, str(trial.number)), language="bash")
