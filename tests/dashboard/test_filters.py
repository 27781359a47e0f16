import numpy as np
import pandas as pd
import pytest

from dashboard.filters import filter_trials, numeric_columns

TRIALS = pd.DataFrame(
    {
        "number": [0, 1, 2, 3],
        "state": ["complete", "failed", "complete", "running"],
        "objective": [0.5, np.nan, 0.1, np.nan],
        "params.expert": ["Student_t", "logistic", None, "student_t"],
        "params.size": pd.Series([5, 8, None, 8], dtype="Int64"),
        "failure": [None, "became NaN (weight 3)", None, None],
    }
)


def kept(**filters):
    return filter_trials(TRIALS, **filters)["number"].tolist()


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        ({}, [0, 1, 2, 3]),
        ({"states": ["failed", "running"]}, [1, 3]),
        ({"text": "student_T"}, [0, 3]),
        ({"text": "nan became"}, [1]),
        ({"text": "nan"}, [1]),
        ({"text": "(weight"}, [1]),
        ({"text": "nothing like it"}, []),
        ({"ranges": {"objective": (0.1, 0.4)}}, [2]),
        ({"ranges": {"objective": (None, None)}}, [0, 1, 2, 3]),
        ({"ranges": {"params.size": (6, None)}}, [1, 3]),
        ({"ranges": {"params.size": (6, None)}, "states": ["running"], "text": "student"}, [3]),
    ],
)
def test_filters_keep_exactly_the_rows_that_pass_all(filters, numbers):
    assert kept(**filters) == numbers


def test_an_empty_frame_stays_empty():
    assert filter_trials(TRIALS.iloc[:0], ["complete"], "x", {"objective": (0.0, 1.0)}).empty


def test_numeric_columns_hold_numbers():
    assert numeric_columns(TRIALS) == ["number", "objective", "params.size"]
