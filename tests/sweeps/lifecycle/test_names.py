"""A name is looked at first, is given once, and a sweep keeps the spec that it was started with."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from restoration_core.errors import InputError
from sweeps.cli import sweep
from sweeps.lifecycle.launch import start
from sweeps.lifecycle.names import check_same, differences, free_name
from sweeps.lifecycle.stored_sweep import view_sweep
from sweeps.store.reader import open_reader
from sweeps.store.writing.sweep_rows import NameTaken
from tests.sweeps.sweeps_in_store import make_spec, make_sweep, store

SMALL = {"baselines": [], "method": {"sampler": "random", "trials": 1, "seed": 3}}


def test_a_taken_name_is_found_before_anything_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def train(*_: object) -> None:
        raise AssertionError("priors were trained first")

    monkeypatch.setattr("sweeps.lifecycle.launch.train_missing", train)
    make_sweep(store(tmp_path), make_spec())
    with pytest.raises(NameTaken, match="exists already; continue it with `restoration sweep resume test`"):
        start(make_spec(), runner="inprocess", store_url=store(tmp_path), mlflow_uri=None)


def test_several_runs_that_take_the_next_free_name_at_once_all_get_one(tmp_path: Path) -> None:
    url, together, ends = store(tmp_path), threading.Barrier(4), []

    def run() -> None:
        together.wait()
        try:
            options: dict[str, Any] = {"mlflow_uri": None, "verdict": False, "again": True}
            ends.append(start(make_spec(**SMALL), runner="inprocess", store_url=url, **options).name)
        except BaseException as error:
            ends.append(repr(error))

    make_sweep(url, make_spec(**SMALL))
    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ends) == ["test-2", "test-3", "test-4", "test-5"]
    reader = open_reader(url)
    assert {reader.sweep(name).spec["name"] for name in ends} == set(ends)
    reader.close()


def test_of_a_long_name_the_end_makes_room_for_the_number() -> None:
    long = "x" * 100
    assert free_name(long, {long}) == "x" * 98 + "-2"
    assert free_name("a", {"a", "a-2", "a-3"}) == "a-4"
    assert free_name("a", {"b"}) == "a"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"method": {"sampler": "random", "trials": 8, "seed": 3}},
            "keeps its number of trials: method.trials is 1 there",
        ),
        (
            {"budget": {"iterations": 13}},
            "keeps its spec: budget.iterations is 12 there and 13 here; valid: another name",
        ),
        ({"images": ["sample:rocket"]}, r'images is \["sample:coffee"\] there and \["sample:rocket"\] here'),
        ({"parameters": {"learning_rate": {"value": 0.05}}}, "parameters.total_variation.weight"),
    ],
)
def test_another_spec_of_the_same_name_is_refused_with_the_field_that_differs(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    url = store(tmp_path)
    make_sweep(url, make_spec(**SMALL))
    with pytest.raises(InputError, match=message) as caught:
        start(make_spec(**(SMALL | changes)), runner="inprocess", store_url=url, mlflow_uri=None)
    assert "\n" not in str(caught.value)
    assert "sweep resume" not in str(caught.value)
    check_same(view_sweep(url, "test"), make_spec(**SMALL))


def test_the_name_and_the_text_of_the_file_are_no_differences() -> None:
    here = make_spec(**SMALL, name="other").model_copy(update={"yaml_text": "# another comment"})
    assert differences(make_spec(**SMALL), here) == {}


def test_resume_takes_the_file_and_checks_that_it_is_the_sweeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (
        "name: tiny\nimages: [sample:coffee]\nimage_size: 32\nmatch: conv1/relu\nmethod: {sampler: random, trials: 1}\n"
    )
    text += "budget: {iterations: 3}\nparameters: {learning_rate: {distribution: uniform, min: 0.01, max: 0.1}}\n"
    Path("tiny.yaml").write_text(text)
    options = ["--runner", "inprocess", "--store", f"sqlite:///{tmp_path / 'r.db'}", "--mlflow", "off"]

    def command(*arguments: str) -> str:
        return CliRunner().invoke(sweep, [*arguments, *options], catch_exceptions=False).output

    assert "tiny: complete after" in command("run", "tiny.yaml")
    assert "tiny: complete already, no trial was left to run" in command("resume", "tiny.yaml")
    Path("tiny.yaml").write_text(text.replace("trials: 1", "trials: 5"))
    for verb in ("resume", "run"):
        with pytest.raises(InputError, match=r"keeps its number of trials: method\.trials is 1 there and 5 here"):
            command(verb, "tiny.yaml")
