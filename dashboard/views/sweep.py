"""One sweep."""

from __future__ import annotations

import streamlit as st

from dashboard.charts.frames import Goal
from dashboard.data import Store
from dashboard.links import breadcrumb, with_store
from dashboard.live import watch
from dashboard.sections.gallery import contenders, gallery
from dashboard.sections.headline import headline
from dashboard.sections.search import search_section
from dashboard.sections.trials import trials_section
from dashboard.sections.verdict import verdict_section
from dashboard.session import open_or_stop, refuse
from dashboard.status import heading
from sweeps.store import SweepView


def main() -> None:
    """Draw the page of the sweep named in the query parameters."""
    store = open_or_stop()
    name = st.query_params.get("sweep")
    if not name:
        refuse("The address names no sweep; it should end with ?sweep=NAME.")
        return
    stamp = store.stamp(name)
    try:
        sweep, trials = store.sweep(name), store.trials(name)
    except ValueError as error:
        refuse(str(error))
        return
    goal: Goal = "maximize" if sweep.metric_goals[0] == "maximize" else "minimize"
    metric = sweep.metric_names[0]
    column = "objective" if len(sweep.metric_names) == 1 else f"metrics.{metric}"
    breadcrumb(sweep.name)
    heading(sweep.name, sweep.status)
    if trials.empty:
        st.info("No trial has been asked yet; workers are starting.", icon=":material/hourglass_top:")
    else:
        if column not in trials.columns:  # no trial of several metrics has ended yet
            trials = trials.assign(**{column: float("nan")})
        headline(sweep, trials, column, metric, goal)
        verdict_section(sweep.verdict, sweep.status == "running")
        gallery(store, sweep, contenders(store, sweep, trials, column, goal), metric)
        search_section(sweep, trials)
        trials_section(sweep, trials)
    _about(store, sweep)
    if sweep.status == "running":
        watch(lambda: store.stamp(name), stamp, "running, this page follows")


def _about(store: Store, sweep: SweepView) -> None:
    """Draw the spec, the versions, and commands to continue with."""
    with st.expander("Spec, versions and commands", icon=":material/description:"):
        st.code(sweep.spec_yaml, language="yaml")
        if sweep.versions:
            st.text("   ".join(f"{name} {version}" for name, version in sweep.versions.items()))
        if sweep.mlflow_run_id:
            st.text(f"MLflow run {sweep.mlflow_run_id}")
        words = ("sweep", "resume", sweep.name) if sweep.status == "interrupted" else ("sweep", "best", sweep.name)
        st.code(with_store(store.url, *words), language="bash")
        st.code(with_store(store.url, "sweep", "export", sweep.name, "--to", f"{sweep.name}.parquet"), language="bash")


if __name__ == "__main__":  # how Streamlit runs a page
    main()
