import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def trials() -> pd.DataFrame:
    """Two baselines, four searched trials, one failed, one running; they finished in another order than asked."""
    nan = np.nan
    return pd.DataFrame(
        {
            "number": [0, 1, 2, 3, 4, 5, 6, 7],
            "state": ["complete"] * 6 + ["failed", "running"],
            "baseline": ["none", "mv2016", None, None, None, None, None, None],
            "objective": [0.9, 0.2, 0.5, 0.1, 0.3, 0.1, nan, nan],
            "finish_order": pd.Series([0, 1, 5, 4, 3, 2, 6, None], dtype="Int64"),
            "params.weight": [nan, 0.0, 1e-3, 1e-1, 1.0, 10.0, 5.0, 2.0],
            "params.expert": [None, None, "student_t", "logistic", "student_t", "logistic", "logistic", "logistic"],
            "params.size": pd.Series([None, 8, 12, 5, 8, 12, 5, 5], dtype="Int64"),
            "metrics.a": [0.9, 0.2, 0.5, 0.1, 0.3, 0.1, nan, nan],
            "metrics.b": [1.0, 2.0, 9.0, 3.0, 5.0, 2.0, nan, nan],
        }
    )
