from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from dashboard.text import duration, escape_markdown, moment, number, plain_value


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.97, "10 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (7500, "2 h 05 min"),
     (277200, "3 d 5 h"), (None, "–"), (float("nan"), "–"), (-3, "0.0 s")],
)  # fmt: skip
def test_durations_read_as_people_say_them(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.0123456, "0.01235"), (None, "–"), (np.nan, "–"), (3, "3"), (1e-9, "1e-09")]
)
def test_numbers_keep_four_significant_digits(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(pd.NA, "–"), (True, "True"), (5, "5"), (np.int64(5), "5"), (0.1 + 0.2, "0.3"), ("a", "a")]
)
def test_parameter_values_are_short_and_keep_their_type(value, text):
    assert plain_value(value) == text


def test_times_are_utc_and_may_be_absent():
    assert moment(datetime(2026, 11, 23, 1, 2, 3)) == "23 Nov 2026, 01:02:03 UTC"
    assert moment(None) == "–"
    assert moment(pd.NaT) == "–"


def test_markdown_of_stored_text_is_escaped_and_stays_on_one_line():
    assert escape_markdown("[x](javascript:1)\n# <b>") == r"\[x\]\(javascript\:1\) \# \<b\>"
