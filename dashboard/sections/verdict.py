"""What a sweep found: the winner against the baselines on pictures that were not searched on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.text import escape_markdown, plain_value


def verdict_sentence(verdict: Mapping[str, Any]) -> str | None:
    """Return the verdict's plain sentence, None when it has none."""
    for key in ("sentence", "text", "summary"):
        if isinstance(verdict.get(key), str):
            return str(verdict[key])
    return None


def verdict_table(verdict: Mapping[str, Any]) -> pd.DataFrame | None:
    """Return the verdict's rows (one a validation picture and contender), None when it has none."""
    for key in ("rows", "table", "pictures"):
        rows = verdict.get(key)
        if isinstance(rows, list) and rows and all(isinstance(row, Mapping) for row in rows):
            return pd.DataFrame([{str(name): value for name, value in row.items()} for row in rows])
    return None


def verdict_section(verdict: Mapping[str, Any] | None, running: bool) -> None:
    """Draw the verdict, or when it comes."""
    if verdict is None:
        if running:
            st.caption("The verdict comes at the end: the winner against the baselines, on pictures not searched on.")
        return
    st.subheader("Verdict", anchor="verdict")
    sentence = verdict_sentence(verdict)
    if sentence:
        st.info(escape_markdown(sentence), icon=":material/gavel:")
    table = verdict_table(verdict)
    if table is not None:
        for column in table.columns:
            if table[column].dtype == object:
                table[column] = table[column].map(plain_value)
        numbers = [column for column in table.columns if pd.api.types.is_float_dtype(table[column])]
        st.dataframe(
            table,
            hide_index=True,
            column_config={name: st.column_config.NumberColumn(format="%.4g") for name in numbers},
            alt="The winner and the baselines on each validation picture",
        )
