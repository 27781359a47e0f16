import numpy as np
import pandas as pd

from dashboard.best import best_row, front_numbers


def frame(values, states=None):
    return pd.DataFrame(
        {
            "number": [4, 0, 2, 1, 3],
            "state": states or ["complete"] * 5,
            "baseline": [None] * 5,
            "metrics.a": values,
            "metrics.b": [1.0, 2.0, 2.0, 1.0, 5.0],
        }
    )


def test_the_best_row_is_the_lower_number_on_a_tie_and_never_one_without_a_value():
    assert best_row(frame([0.1, np.nan, 0.1, -np.inf, 0.5]), "metrics.a", "minimize")["number"] == 2
    assert best_row(frame([0.1, np.nan, 0.1, np.inf, 0.5]), "metrics.a", "maximize")["number"] == 3
    assert best_row(frame([np.nan] * 5), "metrics.a", "minimize") is None


def test_only_complete_trials_are_on_the_front():
    states = ["complete", "complete", "complete", "failed", "pruned"]
    assert front_numbers(frame([0.1, 0.2, 0.2, 0.0, 0.0], states), ["a", "b"], ["minimize", "maximize"]) == [4, 0, 2]
