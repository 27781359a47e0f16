"""Redraws a page when what it shows has changed."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import streamlit as st

from sweeps.store import StoreFailed

REFRESH_S = 3.0


def watch(current: Callable[[], Hashable], shown: Hashable, note: str) -> None:
    """Ask every few seconds whether the store has news, and redraw the whole page only then.

    So the page keeps its zoom, filters and scroll position as long as nothing happens.

    Args:
        current: reads the stamp; a store that is gone or fails counts as news.
        shown: the stamp of what is on the page.
        note: one line shown beside it.
    """

    @st.fragment(run_every=REFRESH_S)
    def look() -> None:
        st.caption(f":material/autorenew: {note}")
        try:
            now: Hashable = current()
        except (ValueError, StoreFailed):
            now = None
        if now != shown:
            st.rerun()

    look()
