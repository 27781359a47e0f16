"""Links between the pages. What a page shows is in its query parameters."""

from __future__ import annotations

import shlex

import streamlit as st

from dashboard.text import escape_markdown
from sweeps.shown_address import show_url

SWEEPS_PAGE = "views/sweeps.py"
SWEEP_PAGE = "views/sweep.py"
TRIAL_PAGE = "views/trial.py"


def breadcrumb(sweep: str | None = None, trial: str | None = None) -> None:
    """Draw the way back: all sweeps, the sweep, the trial."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.page_link(SWEEPS_PAGE, label="All sweeps", icon=":material/home:", width="content")
        if sweep is not None:
            st.page_link(
                SWEEP_PAGE,
                label=escape_markdown(sweep),
                icon=":material/chevron_right:",
                width="content",
                query_params={"sweep": sweep},
                disabled=trial is None,
            )
        if trial is not None:
            st.page_link(
                TRIAL_PAGE,
                label=f"trial {escape_markdown(trial)}",
                icon=":material/chevron_right:",
                width="content",
                disabled=True,
            )


def open_sweep(name: str) -> None:
    """Go to a sweep's page."""
    st.switch_page(SWEEP_PAGE, query_params={"sweep": name})


def open_trial(sweep: str, number: int) -> None:
    """Go to a trial's page."""
    st.switch_page(TRIAL_PAGE, query_params={"sweep": sweep, "trial": str(number)})


def shell(*words: str) -> str:
    """Return a command line with every word quoted as a shell needs it."""
    return shlex.join(words)


def with_store(url: str, *words: str) -> str:
    """Return a `restoration` command with the ``--store`` it needs, if that is not the default."""
    return shell("restoration", *words, *([] if url == "sqlite:///restoration.db" else ["--store", show_url(url)]))
