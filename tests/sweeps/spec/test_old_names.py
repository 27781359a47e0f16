"""Specs and stores that were written under earlier names of parameters work on under today's."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from restoration_core.errors import InputErrors
from sweeps.lifecycle.launch import start
from sweeps.lifecycle.replay import replay
from sweeps.lifecycle.resume import resume
from sweeps.spec.load import parse_spec
from sweeps.store.reader import open_reader
from tests.sweeps.sweeps_in_store import make_spec, store

SPEC = """
name: old
network: cifar_alexnet
images: [sample:coffee]
image_size: 16
match: conv2/relu
method: {trials: 2}
budget: {iterations: 2}
baselines: [{name: mine, parameters: {range.weight: 2.0}}]
parameters:
"""


@pytest.mark.parametrize(
    "parameters",
    [
        "  range.weight: 0.1\n  range.alpha: {values: [4, 6]}\n",
        "  range: {weight: 0.1, alpha: {values: [4, 6]}}\n",
        "  range: {weight: 0.1}\n  isotropic_range.alpha: {values: [4, 6]}\n",
        "  isotropic_range: {weight: 0.1, alpha: {values: [4, 6]}}\n",
    ],
)
def test_the_range_prior_is_read_under_both_names(parameters: str) -> None:
    spec = parse_spec(SPEC + parameters)
    assert list(spec.parameters) == ["isotropic_range.weight", "isotropic_range.alpha"]
    assert spec.baselines[0].parameters == {"isotropic_range.weight": 2.0}


def test_one_prior_under_two_names_is_given_twice() -> None:
    with pytest.raises(InputErrors, match=r"<text>:12: isotropic_range\.weight is given twice"):
        parse_spec(SPEC + "  isotropic_range.weight: 0.1\n  range.weight: 0.1\n")


@pytest.mark.parametrize("units", ["raw", "calibrated"])
def test_a_sweep_stored_under_old_names_is_resumed_and_replayed(tmp_path: Path, units: str) -> None:
    url = store(tmp_path)
    spec = make_spec(
        parameters={"isotropic_range.weight": {"distribution": "log_uniform", "min": 0.1, "max": 1.0}},
        method={"sampler": "tpe", "trials": 6},
        units=units,
        resources={"pack": 2},
        save={"images": "all"},
    )

    def interrupt(state: dict[str, int]) -> None:
        if state["complete"] >= 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        start(spec, runner="inprocess", store_url=url, mlflow_uri=None, verdict=False, progress=interrupt)
    with sqlite3.connect(tmp_path / "store.db") as connection:
        for column in ("parameters", "raw_parameters", "distributions"):
            connection.execute(f"update trials set {column} = replace({column}, 'isotropic_range', 'range')")
        connection.execute("update sweeps set spec = replace(spec, 'isotropic_range', 'range')")
        connection.execute("update sweeps set versions = replace(versions, '\"isotropic_range', '\"range')")
    outcome = resume(url, "test", runner="inprocess", mlflow_uri=None, verdict=False)
    assert outcome.progress["complete"] >= 6
    reader = open_reader(url)
    trials, view = reader.trials("test"), reader.sweep("test")
    reader.close()
    assert list(view.spec["parameters"]) == ["isotropic_range.weight"]
    assert trials["params.isotropic_range.weight"].notna().sum() >= 6
    assert not [name for name in trials.columns if "range" in name and "isotropic_range" not in name]
    assert replay(url, "test", 1).identical
