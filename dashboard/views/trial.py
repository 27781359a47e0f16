"""One trial."""

from __future__ import annotations

import streamlit as st

from dashboard.best import best_row
from dashboard.charts.frames import Goal
from dashboard.links import breadcrumb
from dashboard.live import watch
from dashboard.sections.curves import curves_section
from dashboard.sections.neighbours import neighbour_links
from dashboard.sections.pictures import pictures_section
from dashboard.sections.trial_facts import facts_section
from dashboard.session import open_or_stop, refuse
from dashboard.status import heading
from dashboard.text import duration, escape_markdown, number
from sweeps.store import SweepView, TrialView

_MAX_DIGITS = 12


def main() -> None:
    """Draw the page of the trial named in the query parameters."""
    store = open_or_stop()
    name, given = st.query_params.get("sweep"), st.query_params.get("trial", "")
    if not name:
        refuse("The address names no sweep; it should end with ?sweep=NAME&trial=NUMBER.")
        return
    try:
        sweep = store.sweep(name)
        if not (given.isascii() and given.isdigit() and len(given) <= _MAX_DIGITS):
            raise ValueError(f"trial {given!r} is not a number; the address should end with ?sweep=NAME&trial=NUMBER")
        trial, trials = store.trial(name, int(given)), store.trials(name)
    except ValueError as error:
        refuse(str(error))
        return
    goal: Goal = "maximize" if sweep.metric_goals[0] == "maximize" else "minimize"
    column = "objective" if len(sweep.metric_names) == 1 else f"metrics.{sweep.metric_names[0]}"
    breadcrumb(sweep.name, str(trial.number))
    with st.container(horizontal=True, vertical_alignment="center"):
        heading(f"Trial {trial.number}", trial.state)
        neighbour_links(trials, trial.number, column, goal)
    best = best_row(trials, column, goal) if column in trials else None
    _numbers(sweep, trial, None if best is None else float(best[column]))
    if trial.baseline is not None:
        st.caption(f"Baseline **{escape_markdown(trial.baseline)}**: enqueued for comparison, not searched.")
    if trial.failure:
        st.error(f"Failed: {escape_markdown(trial.failure)}", icon=":material/error:")
    pictures_section(store, sweep, trial)
    curves_section(trial)
    facts_section(store, sweep, trial)
    if trial.state == "running":
        attempt = trial.attempt
        watch(
            lambda: (store.trial(name, trial.number).state, store.trial(name, trial.number).attempt),
            ("running", attempt),
            "running, this page follows",
        )


def _numbers(sweep: SweepView, trial: TrialView, best: float | None) -> None:
    with st.container(horizontal=True, gap="large"):
        for metric in sweep.metric_names:
            value = trial.objective if len(sweep.metric_names) == 1 else trial.metrics.get(metric)
            st.metric(escape_markdown(metric), number(value), width="content")
        if best is not None and trial.objective is not None:
            st.metric("Best of the sweep", number(best), width="content")
        others = [name for name in trial.metrics if name not in sweep.metric_names][:3]
        for name in others:
            st.metric(escape_markdown(name), number(trial.metrics[name]), width="content")
        st.metric("Iterations", trial.iterations if trial.iterations is not None else number(None), width="content")
        st.metric("Compute", duration(trial.compute_s), width="content")


if __name__ == "__main__":  # how Streamlit runs a page
    main()
