import pandas as pd
import pytest

from dashboard.parameters import parameter_names, parameter_scale

SPEC = {
    "parameters": {
        "a.weight": {"distribution": "log_uniform", "min": 1e-3, "max": 1.0, "values": None},
        "b": {"values": [5, 8, 12], "distribution": None},
        "c": {"distribution": "uniform"},
        "d": {"distribution": "int_log_uniform"},
        "priors.conv2/relu": {"optional": True, "weight": {"distribution": "log_uniform"}, "size": {"values": [3, 5]}},
    }
}


@pytest.mark.parametrize(
    ("name", "scale"),
    [("a.weight", "log"), ("b", "choice"), ("c", "linear"), ("d", "log"), ("priors.conv2/relu.weight", "log"),
     ("priors.conv2/relu.size", "choice")],
)  # fmt: skip
def test_the_spec_says_the_axis_flat_or_nested(name, scale):
    assert parameter_scale(SPEC, name, pd.Series([1.0, 2.0])) == scale


@pytest.mark.parametrize(
    ("values", "scale"),
    [([1.0, 2.0], "linear"), (["x", None], "choice"), ([True, False], "choice"), ([1, None], "linear")],
)
def test_without_a_spec_the_values_say_it(values, scale):
    assert parameter_scale({}, "z", pd.Series(values)) == scale


def test_names_lose_their_prefix():
    assert parameter_names(pd.DataFrame(columns=["number", "params.a.b", "raw.a.b", "metrics.c"])) == ["a.b"]
