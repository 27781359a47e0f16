"""Originals beside their reconstructions by the best trial and the baselines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd
import streamlit as st

from dashboard.best import best_row
from dashboard.charts.frames import Goal, baselines, finished, searched
from dashboard.data import Store
from dashboard.text import escape_markdown, number
from sweeps.store import SweepView, TrialView

_ROWS = 3
_CONTENDERS = 4


class Contender(NamedTuple):
    """A trial shown in the gallery under a title."""

    title: str
    trial: TrialView


def contenders(store: Store, sweep: SweepView, trials: pd.DataFrame, column: str, goal: Goal) -> list[Contender]:
    """Return the best searched trial and the baselines, as far as their final pictures were kept."""
    rows: list[tuple[str, pd.Series]] = []
    best = best_row(searched(trials), column, goal)
    if best is not None:
        rows.append(("best searched", best))
    rows += [(f"baseline {row['baseline']}", row) for _, row in baselines(finished(trials, column)).iterrows()]
    found = [Contender(title, store.trial(sweep.name, int(row["number"]))) for title, row in rows[:_CONTENDERS]]
    return [item for item in found if any(picture.final for picture in item.trial.pictures)]


def gallery(store: Store, sweep: SweepView, shown: Sequence[Contender], metric: str) -> None:
    """Draw a row a picture: the original, then each contender's reconstruction with its own metric."""
    originals = {image.image: image.sha256 for image in sweep.images if image.split == "search"}
    if not shown or not originals:
        return
    compared = any(item.trial.baseline is not None for item in shown)
    st.subheader("Best against the baselines" if compared else "Best beside the original", anchor="pictures")
    st.caption(f"Below each picture its own {escape_markdown(metric)}.")
    names = list(originals)
    for name in names[:_ROWS]:
        columns = st.columns(max(4, len(shown) + 1), gap="small")
        columns[0].image(store.picture(originals[name]), caption=escape_markdown(name), alt=f"original {name}")
        for place, item in zip(columns[1:], shown, strict=False):
            final = [picture for picture in item.trial.pictures if picture.final and picture.image == name]
            if not final:
                continue
            caption = f"{item.title}, trial {item.trial.number}"
            value = _value(item.trial, name, metric)
            place.image(
                store.picture(final[0].sha256),
                caption=escape_markdown(caption + (f": {value}" if value else "")),
                alt=f"{caption}, {name}",
            )
    if len(names) > _ROWS:
        st.caption(f"{len(names) - _ROWS} more pictures on the trials' pages.")


def _value(trial: TrialView, image: str, metric: str) -> str | None:
    frame = trial.image_metrics
    rows = frame[(frame["image"] == image) & (frame["name"] == metric)]
    return number(rows.iloc[0]["value"]) if len(rows) else None
