"""From one trial to the previous, the next and the best."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from dashboard.best import best_row
from dashboard.charts.frames import Goal


def neighbours(numbers: Sequence[int], current: int) -> tuple[int | None, int | None]:
    """Return the trial before and the trial after ``current``, None at the ends."""
    before = [number for number in numbers if number < current]
    after = [number for number in numbers if number > current]
    return max(before, default=None), min(after, default=None)


def neighbour_links(trials: pd.DataFrame, current: int, column: str, goal: Goal) -> None:
    """Draw the buttons; other settings in the address (scale, logarithms) stay."""
    previous, following = neighbours([int(number) for number in trials["number"]], current)
    best = best_row(trials, column, goal) if column in trials else None
    best_number = None if best is None else int(best["number"])
    with st.container(horizontal=True, gap="small", horizontal_alignment="right", width="content"):
        _button("previous", "Previous", ":material/chevron_left:", previous)
        _button("next", "Next", ":material/chevron_right:", following)
        label = "Best" if best_number is None else f"Best ({best_number})"
        _button("best", label, ":material/trophy:", None if best_number == current else best_number)


def _button(key: str, label: str, icon: str, number: int | None) -> None:
    # A page_link to the present page would not change the address, so that a reload went back. Only this parameter is
    # set: others (scale, step) are bound to widgets, which keep them.
    if st.button(label, icon=icon, key=f"go_{key}", disabled=number is None):
        st.query_params["trial"] = str(number)
        st.rerun()
