"""A sweep's numbers at a glance."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import streamlit as st

from dashboard.best import best_row
from dashboard.charts.frames import Goal, baselines, finished, searched
from dashboard.links import open_trial
from dashboard.text import duration, escape_markdown, moment, number
from sweeps.store import SweepView


def advantage(best: float, baseline: float) -> str | None:
    """Return how far ``best`` is from ``baseline`` in per cent of it, e.g. ``-24 %``; None when that is zero."""
    if baseline == 0.0:
        return None
    percent = 100.0 * (best - baseline) / abs(baseline)
    return f"{percent:+.0f} %"


def headline(sweep: SweepView, trials: pd.DataFrame, column: str, label: str, goal: Goal) -> None:
    """Draw the best value against the baselines, progress, failures and time, with a way to the best trial."""
    best = best_row(trials, column, goal)
    ended = int((trials["state"] != "running").sum())
    failed = int((trials["state"] == "failed").sum())
    running = int((trials["state"] == "running").sum())
    until = sweep.finished_at or (
        datetime.now(UTC).replace(tzinfo=None) if sweep.status == "running" else trials["finished_at"].max()
    )
    lasted = duration((until - sweep.created_at).total_seconds()) if pd.notna(until) else duration(None)
    with st.container(horizontal=True, gap="large", vertical_alignment="top"):
        _best_metric(trials, column, label, goal)
        st.metric("Trials", f"{ended} / {sweep.trials_planned}", width="content")
        if running:
            st.metric("Running", running, width="content")
        st.metric("Failed", failed, width="content")
        st.metric("Duration", lasted, width="content")
        st.metric(
            "Compute per trial",
            duration(trials["compute_s"].median()),
            width="content",
            help="Median over trials of their share of the device's time.",
        )
    st.caption(
        f"{_direction(goal)} **{escape_markdown(label)}** · owner {escape_markdown(sweep.owner)} · started "
        f"{moment(sweep.created_at)} · seed {sweep.seed}"
        + (f" · start-up {duration(sweep.startup_s)}" if sweep.startup_s is not None else "")
    )
    if best is not None and st.button(
        f"Open the best trial ({int(best['number'])})", icon=":material/trophy:", type="primary", key="open_best"
    ):
        open_trial(sweep.name, int(best["number"]))


def _direction(goal: Goal) -> str:
    return "Lower is better for" if goal == "minimize" else "Higher is better for"


def _best_metric(trials: pd.DataFrame, column: str, label: str, goal: Goal) -> None:
    """Draw the best searched value with its distance to the best baseline, or the best baseline alone."""
    found = best_row(searched(trials), column, goal)
    reference = best_row(baselines(finished(trials, column)), column, goal)
    if found is None:
        best = best_row(trials, column, goal)
        value = number(best[column]) if best is not None else number(None)
        st.metric(f"Best {escape_markdown(label)}", value, width="content")
        return
    delta = None
    if reference is not None:
        change = advantage(float(found[column]), float(reference[column]))
        # Markdown, as labels are.
        delta = change and f"{change} against {escape_markdown(reference['baseline'])}"
    st.metric(
        f"Best {escape_markdown(label)}",
        number(found[column]),
        delta=delta,
        delta_color="inverse" if goal == "minimize" else "normal",
        width="content",
        help=f"Trial {int(found['number'])}, the best the search found, against the best baseline.",
    )
