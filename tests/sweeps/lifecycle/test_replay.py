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

pytestmark = pytest.mark.slow

ROUNDED_BY_THE_BATCH = """
import torch
from torch import nn

class Dense(nn.Linear):
    def forward(self, x):
        # What a processor does whose products take another way from four rows on.
        return super().forward(x) * (1 + 1e-5 * (len(x) >= 4))

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.dense = nn.Conv2d(3, 8, 3, stride=4), Dense(8 * 8 * 8, 32)

    def forward(self, x):
        return self.dense(self.conv(x).flatten(1))

def make():
    torch.manual_seed(0)
    return Net()
"""


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


def test_trials_that_match_a_dense_layer_replay_to_the_same_pixels_too(tmp_path: Path) -> None:
    url = store(tmp_path)
    spec = make_spec(
        image_size=32,
        match={"layer": "fc7/relu"},
        budget={"iterations": 30},
        save={"images": "all"},
        method={"sampler": "random", "trials": 6},
        resources={"pack": 5},
    )
    start(spec, runner="inprocess", store_url=url, mlflow_uri=None, verdict=False)
    for number in range(6):
        report = replay(url, "test", number)
        assert report.identical, report
        assert report.largest_metric_difference == 0


def test_where_rows_are_rounded_by_the_batch_the_note_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "batch_rounding.py").write_text(ROUNDED_BY_THE_BATCH)
    monkeypatch.syspath_prepend(str(tmp_path))
    url = store(tmp_path)
    spec = make_spec(
        network={"module": "batch_rounding:make", "size": 32},
        image_size=32,
        match={"layer": "dense"},
        budget={"iterations": 30},
        save={"images": "all"},
        method={"sampler": "random", "trials": 6},
        resources={"pack": 6},
    )
    start(spec, runner="inprocess", store_url=url, mlflow_uri=None, verdict=False)
    reports = [replay(url, "test", number) for number in range(6)]
    assert not all(report.identical for report in reports)
    said = "here dense rounds a picture differently in batches of other widths: equal within rounding only"
    assert {report.note for report in reports if not report.identical} == {said}


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
