"""Which failures a search may have, and which mean that something went wrong."""

from __future__ import annotations

import math

import pytest

from sweeps.execution.failures import describe, diverged, is_result, not_finite


@pytest.mark.parametrize("reason", [diverged("sample:coffee"), *(not_finite("psnr", v) for v in (math.nan, -math.inf))])
def test_numbers_that_are_not_finite_are_a_result_of_the_parameters(reason: str) -> None:
    assert is_result(reason)


@pytest.mark.parametrize(
    "reason",
    ["MemoryError", "RuntimeError: the metric is nan", "the metric 'psnr' was not computed", "InputError: x is nan"],
)
def test_any_other_failure_is_something_that_went_wrong(reason: str) -> None:
    assert not is_result(reason)


def test_an_error_is_described_in_one_line() -> None:
    assert describe(ValueError("two\n  lines")) == "ValueError: two lines"
    assert describe(MemoryError()) == "MemoryError"
