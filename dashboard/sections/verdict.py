"""What a sweep found: the winner against the baselines on pictures that were not searched on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.text import escape_markdown, number


def metrics_compared(verdict: Mapping[str, Any]) -> list[str]:
    """Return the metrics that the verdict compares, in its order."""
    compared = [name for found in _comparisons(verdict).values() for name in found]
    return list(dict.fromkeys(compared))


def by_picture(verdict: Mapping[str, Any], metric: str) -> pd.DataFrame:
    """Return one row a validation picture and their mean: the winner's value beside each baseline's."""
    columns: dict[str, dict[str, float]] = {}
    winner = f"trial {verdict.get('winner', '?')} (winner)"
    for baseline, found in _comparisons(verdict).items():
        for picture, values in found.get(metric, {}).get("by_picture", {}).items():
            columns.setdefault(winner, {})[picture] = values["winner"]
            columns.setdefault(baseline, {})[picture] = values["baseline"]
    table = pd.DataFrame(columns, dtype=float)
    if len(table) > 1:
        table.loc["mean"] = table.mean()
    return table.rename_axis("Picture").reset_index()


def differences(verdict: Mapping[str, Any], metric: str) -> pd.DataFrame:
    """Return one row a baseline: the winner's lead, its 95 % interval, on how many pictures it is better."""
    rows = []
    for baseline, found in _comparisons(verdict).items():
        if metric not in found:
            continue
        one = found[metric]
        low, high = one["interval"]
        rows.append(
            {
                "Against": baseline,
                "Winner minus baseline": f"{one['difference']:+.4g}",
                "95 % interval": f"{low:+.4g} to {high:+.4g}" if one["pictures"] > 1 else "– (one picture)",
                "Better on": f"{one['better_on']} of {one['pictures']} pictures",
            }
        )
    return pd.DataFrame(rows)


def sentences(summary: str) -> list[str]:
    """Return the summary's sentences, one per baseline: they are separated by semicolons outside parentheses."""
    parts = re.split(r";\s(?![^(]*\))", summary)
    return [part[:1].upper() + part[1:] for part in parts if part.strip()]


def verdict_section(verdict: Mapping[str, Any] | None, running: bool) -> None:
    """Draw the verdict, or say when it will come."""
    if verdict is None:
        if running:
            st.caption("The verdict comes at the end: the winner against the baselines, on pictures not searched on.")
        return
    st.subheader("Verdict", anchor="verdict")
    for sentence in sentences(str(verdict.get("summary", ""))):
        st.markdown(f":material/gavel: {escape_markdown(sentence)}")
    metrics = metrics_compared(verdict)
    if not metrics:
        return
    metric = st.segmented_control(
        "Metric of the verdict", metrics, default=metrics[0], key="verdict", bind="query-params", required=True
    )
    table = by_picture(verdict, metric or metrics[0])
    left, right = st.columns(2, gap="medium")
    left.dataframe(
        table,
        hide_index=True,
        height="content",
        column_config={name: st.column_config.NumberColumn(format="%.4g") for name in table.columns[1:]},
        alt="The winner and the baselines on each validation picture",
    )
    right.dataframe(
        differences(verdict, metric or metrics[0]),
        hide_index=True,
        height="content",
        alt="The winner's lead over each baseline with its interval",
    )
    st.caption(
        f"Validation pictures were not searched on; values are means over {number(verdict.get('seeds'))} new seeds, "
        "intervals a bootstrap over pictures."
    )


def _comparisons(verdict: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    found = verdict.get("comparisons")
    return found if isinstance(found, Mapping) else {}
