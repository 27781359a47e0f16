"""The dashboard: ``streamlit run dashboard/app.py -- --store sqlite:///restoration.db``."""

from __future__ import annotations

import streamlit as st

from dashboard.links import SWEEP_PAGE, SWEEPS_PAGE, TRIAL_PAGE
from dashboard.session import failures_in_one_line

st.set_page_config(page_title="Deep Restoration", page_icon=":material/grid_view:", layout="wide")
# Streamlit leaves room at the top of a page for a toolbar, which `toolbarMode = "minimal"` hides.
st.html("<style>[data-testid='stMainBlockContainer'] {padding-top: 2.5rem; padding-bottom: 3rem}</style>")
pages = st.navigation(
    [
        st.Page(SWEEPS_PAGE, title="Sweeps", default=True),
        st.Page(SWEEP_PAGE, title="Sweep", url_path="sweep"),
        st.Page(TRIAL_PAGE, title="Trial", url_path="trial"),
    ],
    position="hidden",
)
with failures_in_one_line():
    pages.run()
