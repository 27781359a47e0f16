"""Badges for the states of sweeps and trials."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from dashboard.text import escape_markdown

_Colour = Literal["red", "orange", "blue", "green", "gray"]
_LOOK: dict[str, tuple[_Colour, str]] = {
    "running": ("blue", ":material/play_circle:"),
    "complete": ("green", ":material/check_circle:"),
    "interrupted": ("orange", ":material/pause_circle:"),
    "pruned": ("gray", ":material/content_cut:"),
    "failed": ("red", ":material/error:"),
}


def badge(state: str) -> None:
    """Draw a sweep's or a trial's state."""
    colour, icon = _LOOK.get(state, ("gray", ":material/help:"))
    st.badge(escape_markdown(state), color=colour, icon=icon)


def heading(title: str, state: str) -> None:
    """Draw a page's title with its state beside it; ``title`` is stored text."""
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.title(escape_markdown(title), anchor=False, width="content")
        badge(state)
