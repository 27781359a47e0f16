"""Selections from a frame of trials that several charts need."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

Goal = Literal["minimize", "maximize"]


def finished(trials: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the complete trials with a finite number in ``column``."""
    values = pd.to_numeric(trials[column], errors="coerce")
    return trials[(trials["state"] == "complete") & np.isfinite(values)]


def searched(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials the search suggested."""
    return trials[trials["baseline"].isna()]


def baselines(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the baselines by number: of each name the first trial that completed."""
    return trials[trials["baseline"].notna()].sort_values("number").drop_duplicates("baseline")
