"""Replay: one trial of a batch, run again alone, gives the same pixels."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from restoration_core.errors import InputError
from sweeps.lifecycle.launch import start
from sweeps.lifecycle.replay import replay
from sweeps.store.writer import open_writer
from tests.sweeps.sweeps_in_store import coordinate, make_spec, make_sweep, store


def test_every_trial_of_a_batch_replays_to_the_same_pixels(tmp_path: Path) -> None:
    url = store(tmp_path)
    spec = make_spec(
        images=["sample:coffee", "sample:rocket"],
        save={"images": "all", "steps": [5]},
        baselines=["none", "mv2016"],
        method={"sampler": "random", "trials": 4},
        parameters={
            "total_variation.weight": {"distribution": "log_uniform", "min": 1e-3, "max": 1.0},
            "jitter": {"values": [1, 3]},
        },
    )
    start(spec, runner="inprocess", store_url=url, mlflow_uri=None, verdict=False)
    for number in range(6):
        report = replay(url, "test", number)
        assert report.identical, report
        assert report.pictures == 4
        assert report.largest_metric_difference < 1e-5


def test_without_kept_pictures_the_metrics_are_compared(tmp_path: Path) -> None:
    url = store(tmp_path)
    spec = make_spec(save={"images": "none"}, method={"sampler": "random", "trials": 1})
    start(spec, runner="inprocess", store_url=url, mlflow_uri=None, verdict=False)
    report = replay(url, "test", 1)
    assert report.identical
    assert (report.pictures, report.note[:35]) == (0, "its pictures were not kept (save.im")


def test_a_picture_that_was_tampered_with_is_found(tmp_path: Path) -> None:
    url = store(tmp_path)
    spec = make_spec(save={"images": "all"}, method={"sampler": "random", "trials": 1})
    start(spec, runner="inprocess", store_url=url, mlflow_uri=None, verdict=False)
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute("update trials set seed = seed + 1 where number = 1")
    report = replay(url, "test", 1)
    assert not report.identical
    assert report.differing[0] == "sample:coffee after 12"
    assert {"image_mse", "image_mse of sample:coffee"} <= set(report.differing)
    assert report.missing == ()


@pytest.mark.parametrize(
    ("statement", "differing", "missing"),
    [
        ("update trials set metrics = json_set(metrics, '$.psnr', 99.0)", ("psnr",), ()),
        ("update trials set metrics = json_set(metrics, '$.psnr', null)", ("psnr",), ()),
        ("update trials set metrics = json_set(metrics, '$.renamed', 1.0)", (), ("renamed",)),
        ("update image_metrics set value = 9 where name = 'ssim'", ("ssim of sample:coffee",), ()),
        ("update image_metrics set name = 'old' where name = 'ssim'", (), ("old of sample:coffee",)),
        ("update trial_pictures set step = 11", (), ("sample:coffee after 11",)),
    ],
)
def test_all_that_is_stored_is_compared_and_what_does_not_come_out_is_named(
    replayed: Path, tmp_path: Path, statement: str, differing: tuple[str, ...], missing: tuple[str, ...]
) -> None:
    shutil.copy(replayed, tmp_path / "store.db")
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute(statement)
    connection.close()
    report = replay(store(tmp_path), "test", 1)
    assert (report.identical, report.differing, report.missing) == (False, differing, missing)


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one sweep whose trials replay to what they were."""
    folder = tmp_path_factory.mktemp("replayed")
    spec = make_spec(save={"images": "all"}, method={"sampler": "random", "trials": 1})
    start(spec, runner="inprocess", store_url=store(folder), mlflow_uri=None, verdict=False)
    assert replay(store(folder), "test", 1).identical
    return folder / "store.db"


def test_a_failed_trial_is_replayed_to_its_failure(tmp_path: Path) -> None:
    url = store(tmp_path)
    spec = make_spec(
        baselines=["none"],
        parameters={"total_variation.weight": {"value": 1e38}},
        method={"sampler": "random", "trials": 1},
    )
    start(spec, runner="inprocess", store_url=url, mlflow_uri=None, verdict=False)
    report = replay(url, "test", 1)
    assert (report.identical, report.pictures) == (True, 0)
    assert report.note.startswith("failed again: sample:coffee: ")
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute("update trials set state = 'failed', failure = 'out of memory' where number = 0")
    report = replay(url, "test", 0)
    assert (report.identical, report.note) == (False, "was: out of memory; is now: complete")


def test_a_running_trial_cannot_be_replayed(tmp_path: Path) -> None:
    url = store(tmp_path)
    spec = make_spec()
    make_sweep(url, spec)
    coordinator = coordinate(url, spec)
    coordinator.ask(1, "a")
    coordinator.close()
    with pytest.raises(InputError, match="trial 0 of 'test' is running; valid: a finished trial"):
        replay(url, "test", 0)
    with open_writer(url):
        pass
