"""A trial's losses over the iterations."""

from __future__ import annotations

import streamlit as st

from dashboard.charts import loss_curves
from dashboard.charts.style import CONFIG
from dashboard.text import escape_markdown
from sweeps.store import TrialView

_PER_ROW = 2


def curves_section(trial: TrialView) -> None:
    """Draw one chart a picture, losses over iterations."""
    st.subheader("Losses", anchor="curves")
    if trial.curves.empty:
        st.caption("No losses are recorded for this trial.")
        return
    log_y = st.toggle("Logarithmic losses", value=True, key="logloss", bind="query-params")
    images = list(dict.fromkeys(trial.curves["image"]))
    for start in range(0, len(images), _PER_ROW):
        row = images[start : start + _PER_ROW]
        for place, image in zip(st.columns(min(_PER_ROW, len(images))), row, strict=False):
            with place:
                st.markdown(f"**{escape_markdown(image)}**")
                st.plotly_chart(
                    loss_curves(trial.curves[trial.curves["image"] == image], log_y=log_y),
                    key=f"curves {image}",
                    theme=None,
                    config=CONFIG,
                    alt=f"Losses over iterations for {image}",
                )
