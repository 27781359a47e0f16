"""`sync` and the outbox's drain against a real SQLite MLflow, seen through MLflow's own client."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import create_engine, text

from restoration_core.errors import InputError
from sweeps.store import StoreLocked, engine, store_file
from sweeps.store.models import SweepStatus
from sweeps.store.reader import open_reader
from sweeps.tracking import best_from_mlflow, sync
from sweeps.tracking.address import Address, parse_mlflow_uri
from sweeps.tracking.client import open_client, quiet_mlflow
from sweeps.tracking.delivery import Deliverer
from sweeps.tracking.drain import Drain
from sweeps.tracking.source import Source
from tests.sweeps.tracking import asked
from tests.sweeps.tracking.stored_sweep import IMAGES, SPEC_YAML, StoredSweep, new_sweep, spec

pytestmark = pytest.mark.slow


@pytest.fixture
def sweep(tmp_path: Path) -> Iterator[StoredSweep]:
    """Four complete trials (two with equal error), a failed one, and one still running; the sweep has ended."""
    made = new_sweep(tmp_path)
    for number, error in enumerate([0.02, 0.005, 0.008, 0.005]):
        made.complete(number, error)
    made.fail(4, "out of memory")
    made.ask(5)
    made.end(SweepStatus.INTERRUPTED)
    yield made
    made.writer.close()


def make_drain(sweep: StoredSweep, uri: str) -> Drain:
    address = parse_mlflow_uri(uri)
    return Drain(sweep.writer, Source(sweep.url), Deliverer(open_client(address), address))


def test_a_trials_run_holds_its_parameters_metrics_curves_tags_and_times(sweep: StoredSweep, mlflow_uri: str) -> None:
    report = sync(sweep.url, mlflow_uri)
    assert (report.delivered, report.already, report.failed, report.error) == (6, 0, 0, None)
    runs = asked.trials(mlflow_uri)
    assert sorted(runs) == [0, 1, 2, 3, 4]
    run, stored = runs[1], open_reader(sweep.url).trial("conv2", 1)
    assert run.data.params == {
        "priors.conv2/relu.weight": "1.5",
        "priors.image.patch_size": "8",
        "raw.priors.conv2/relu.weight": "1.0",
    }
    assert run.data.metrics["image_mse"] == 0.005
    assert run.data.metrics["psnr"] == 21.0
    assert run.data.metrics["image_mse/photos_a_b.jpg"] == 0.006
    curve = asked.client(mlflow_uri).get_metric_history(run.info.run_id, "curves/objective/sample_coffee")
    assert [(point.step, point.value) for point in curve] == [(step, 1 / (2 + step)) for step in range(0, 50, 10)]
    tags = {key: run.data.tags[key] for key in ("sweep", "trial", "state", "seed", "attempt", "owner", "layer")}
    assert tags == {
        "sweep": "conv2",
        "trial": "1",
        "state": "complete",
        "seed": str(2**60 + 1),
        "attempt": "1",
        "owner": "ada",
        "layer": "conv2/relu",
    }
    assert runs[0].data.tags["baseline"] == "mv2016"
    assert runs[4].data.tags["failure"] == "out of memory"
    assert [runs[number].info.status for number in (0, 4)] == ["FINISHED", "FAILED"]
    assert stored.started_at is not None
    assert stored.finished_at is not None
    lasted_ms = (stored.finished_at - stored.started_at).total_seconds() * 1000
    assert run.info.end_time - run.info.start_time == pytest.approx(lasted_ms, abs=1)
    assert stored.mlflow_run_id == run.info.run_id


def test_several_matched_layers_are_one_tag_on_sweep_and_trials(tmp_path: Path, mlflow_uri: str) -> None:
    made = new_sweep(tmp_path, spec=spec("conv2", match={"layers": {"conv2/relu": 1.0, "conv1/relu": 0.5}}))
    made.complete(0, 0.1)
    sync(made.url, mlflow_uri)
    assert len(asked.runs(mlflow_uri, "tags.layer = 'conv2/relu, conv1/relu'")) == 2
    assert len(asked.runs(mlflow_uri, "tags.layer LIKE '%conv1/relu%' and tags.network = 'cifar_alexnet'")) == 2


def test_a_long_verdict_is_whole_as_a_file_though_its_tag_is_cut(tmp_path: Path, mlflow_uri: str) -> None:
    made, verdict = new_sweep(tmp_path), {"summary": "x" * 9000}
    made.writer.set_sweep_status(made.id, made.lease, SweepStatus.COMPLETE, verdict=verdict)
    sync(made.url, mlflow_uri)
    (parent,) = asked.runs(mlflow_uri, "tags.\"restoration.role\" = 'sweep'")
    assert len(parent.data.tags["verdict"]) == 5000
    folder = Path(asked.client(mlflow_uri).download_artifacts(parent.info.run_id, ""))
    assert json.loads((folder / "verdict.json").read_text()) == verdict


def test_the_parent_holds_spec_originals_and_state_and_every_trial(sweep: StoredSweep, mlflow_uri: str) -> None:
    sync(sweep.url, mlflow_uri)
    (parent,) = asked.runs(mlflow_uri, "tags.\"restoration.role\" = 'sweep'")
    assert parent.info.status == "KILLED"
    assert parent.data.metrics == {"best/image_mse": 0.005, "trials/complete": 4.0, "trials/failed": 1.0}
    folder = Path(asked.client(mlflow_uri).download_artifacts(parent.info.run_id, ""))
    assert (folder / "spec.yaml").read_text() == SPEC_YAML.format(name="conv2")
    assert {path.name for path in (folder / "originals").iterdir()} == {"sample_coffee.png", "photos_a_b.jpg.png"}
    assert {run.data.tags["mlflow.parentRunId"] for run in asked.trials(mlflow_uri).values()} == {parent.info.run_id}
    assert open_reader(sweep.url).sweep("conv2").mlflow_run_id == parent.info.run_id


def test_final_pictures_read_back_from_mlflow_are_the_stores_pixels(sweep: StoredSweep, mlflow_uri: str) -> None:
    sync(sweep.url, mlflow_uri)
    run, reader = asked.trials(mlflow_uri)[2], open_reader(sweep.url)
    final = {picture.image: picture.sha256 for picture in reader.trial("conv2", 2).pictures if picture.final}
    assert set(final) == set(IMAGES)
    folder = Path(asked.client(mlflow_uri).download_artifacts(run.info.run_id, "pictures"))
    assert len(list(folder.iterdir())) == 2
    for image, label in zip(IMAGES, ("sample_coffee", "photos_a_b.jpg"), strict=True):
        there = np.asarray(Image.open(folder / f"{label}.png"))
        here = np.asarray(Image.open(io.BytesIO(reader.picture(final[image]))))
        assert np.array_equal(there, here)


def test_mlflows_own_search_finds_trials_by_metric_and_quoted_parameter(sweep: StoredSweep, mlflow_uri: str) -> None:
    sync(sweep.url, mlflow_uri)
    found = asked.runs(mlflow_uri, 'metrics.image_mse < 0.01 and params."priors.image.patch_size" = "8"')
    assert sorted(run.data.tags["trial"] for run in found) == ["1", "3"]
    assert len(asked.runs(mlflow_uri, 'params."priors.conv2/relu.weight" = "0.5"')) == 1


def test_twice_is_the_same_as_once(sweep: StoredSweep, mlflow_uri: str) -> None:
    sync(sweep.url, mlflow_uri)
    before = asked.state(mlflow_uri)
    again = sync(sweep.url, mlflow_uri, "conv2")
    assert (again.delivered, again.already, again.failed) == (0, 6, 0)
    assert asked.state(mlflow_uri) == before
    assert sweep.pending() == 0


def test_an_mlflow_that_lost_runs_is_filled_again_though_the_outbox_says_delivered(
    sweep: StoredSweep, mlflow_uri: str
) -> None:
    sync(sweep.url, mlflow_uri)
    asked.client(mlflow_uri).delete_run(asked.trials(mlflow_uri)[2].info.run_id)
    assert sync(sweep.url, mlflow_uri).delivered == 1
    (parent,) = asked.runs(mlflow_uri, "tags.\"restoration.role\" = 'sweep'")
    asked.client(mlflow_uri).delete_run(parent.info.run_id)
    assert sync(sweep.url, mlflow_uri).delivered == 1
    (parent,) = asked.runs(mlflow_uri, "tags.\"restoration.role\" = 'sweep'")
    runs = asked.trials(mlflow_uri)
    assert sorted(runs) == [0, 1, 2, 3, 4]
    assert {run.data.tags["mlflow.parentRunId"] for run in runs.values()} == {parent.info.run_id}


class CutOff:
    """MLflow's client, whose connection breaks right after the ``last`` call of one method."""

    def __init__(self, client: Any, method: str, last: int) -> None:
        self._client, self._method, self._last = client, method, last
        self.runs: list[str] = []

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)
        if name != self._method:
            return call

        def cut_off(run_id: str, *rest: Any, **named: Any) -> None:
            call(run_id, *rest, **named)
            self.runs.append(run_id)
            if len(self.runs) == self._last:
                raise ConnectionError("killed here")

        return cut_off


# The third run: each has two pictures, the sweep's own run comes before with its spec and a verdict as well.
@pytest.mark.parametrize(("step", "last"), [("log_artifact", 8), ("log_batch", 3)])
def test_a_run_cut_off_half_way_is_completed_without_a_second_one(
    sweep: StoredSweep, mlflow_uri: str, step: str, last: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients: list[CutOff] = []

    def broken(address: Address) -> CutOff:
        clients.append(CutOff(open_client(address), step, last))
        return clients[-1]

    monkeypatch.setattr(importlib.import_module("sweeps.tracking.sync"), "open_client", broken)
    report = sync(sweep.url, mlflow_uri)
    assert (report.failed, report.error) == (1, "killed here")
    monkeypatch.undo()
    seen = clients[0].runs[last - 1]
    cut = [run for run in asked.trials(mlflow_uri).values() if run.info.status == "RUNNING"]
    assert [run.info.run_id for run in cut] == [seen]
    assert sweep.pending() == 1
    assert sync(sweep.url, mlflow_uri).delivered == 1
    runs = asked.trials(mlflow_uri)
    assert sorted(runs) == [0, 1, 2, 3, 4]
    whole_points = len(asked.client(mlflow_uri).get_metric_history(seen, "curves/objective/sample_coffee"))
    assert whole_points == 5
    assert sweep.pending() == 0


def test_a_run_made_twice_by_a_repeated_request_is_reduced_to_one(sweep: StoredSweep, mlflow_uri: str) -> None:
    sync(sweep.url, mlflow_uri)
    run = asked.trials(mlflow_uri)[1]
    twin = asked.client(mlflow_uri).create_run(run.info.experiment_id, tags=run.data.tags)
    sync(sweep.url, mlflow_uri)
    assert asked.trials(mlflow_uri)[1].info.run_id == run.info.run_id != twin.info.run_id


def test_a_trial_that_changed_in_the_store_replaces_its_run(sweep: StoredSweep, mlflow_uri: str) -> None:
    sync(sweep.url, mlflow_uri)
    engine = create_engine(sweep.url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE trials SET attempt = 2, objectives = '[0.004]' WHERE number = 1"))
    engine.dispose()
    assert sync(sweep.url, mlflow_uri).delivered == 1
    run = asked.trials(mlflow_uri)[1]
    assert (run.data.tags["attempt"], run.data.metrics["image_mse"]) == ("2", 0.004)


@pytest.mark.parametrize("k", [1, 2, 10])
def test_mlflows_best_is_the_stores_best_ties_included(sweep: StoredSweep, mlflow_uri: str, k: int) -> None:
    sync(sweep.url, mlflow_uri)
    theirs, ours = best_from_mlflow(mlflow_uri, "conv2", k), open_reader(sweep.url).best("conv2", k)
    assert list(theirs["number"]) == list(ours["number"]) == [1, 3, 2, 0][:k]
    for column in ("objective", "metrics.image_mse", "metrics.psnr"):
        assert list(theirs[column]) == list(ours[column])
    for column in theirs.filter(regex=r"^(params|raw)\."):
        assert list(theirs[column].dropna()) == list(ours[column].dropna()), column


def test_mlflows_best_by_a_metric_at_a_layer_goes_by_its_own_name(tmp_path: Path, mlflow_uri: str) -> None:
    name = "feature_error@conv4/relu"
    made = new_sweep(tmp_path)
    engine = create_engine(made.url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE sweeps SET metric_names = :names"), {"names": json.dumps([name])})
    engine.dispose()
    for number, error in enumerate([0.02, 0.001, 0.03]):
        made.complete(number, error)
    made.end()
    sync(made.url, mlflow_uri)
    found = best_from_mlflow(mlflow_uri, "conv2", 2)
    assert list(found["number"]) == [1, 0]
    assert list(found["objective"]) == list(found[f"metrics.{name}"]) == [0.001, 0.02]


def test_mlflows_pareto_front_is_the_stores(tmp_path: Path, mlflow_uri: str) -> None:
    made = new_sweep(tmp_path, multi=True)
    # psnr grows with the number: 2 is dominated by 3, 0 by 1.
    for number, error in enumerate([0.02, 0.001, 0.03, 0.004]):
        made.complete(number, error)
    made.end()
    sync(made.url, mlflow_uri)
    assert list(best_from_mlflow(mlflow_uri, "conv2")["number"]) == [1, 3]
    assert list(open_reader(made.url).best("conv2")["number"]) == [1, 3]


def test_unknown_sweeps_and_a_missing_database_are_one_line(
    sweep: StoredSweep, mlflow_uri: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="did you mean 'conv2'"):
        sync(sweep.url, mlflow_uri, "conv3")
    sync(sweep.url, mlflow_uri)
    with pytest.raises(InputError, match="did you mean 'conv2'"):
        best_from_mlflow(mlflow_uri, "conv3")
    with pytest.raises(InputError, match="no MLflow database"):
        best_from_mlflow(f"sqlite:///{tmp_path}/none.db", "conv2")


def test_the_drain_empties_the_outbox_while_the_sweep_runs(tmp_path: Path, mlflow_uri: str) -> None:
    made = new_sweep(tmp_path)
    made.complete(0, 0.02)
    with quiet_mlflow():
        drain = make_drain(made, mlflow_uri)
        assert drain.step().delivered == 2
        (parent,) = asked.runs(mlflow_uri, "tags.\"restoration.role\" = 'sweep'")
        assert parent.info.status == "RUNNING"
        made.complete(1, 0.01)
        made.end()
        assert drain.step().delivered == 2
        assert drain.step().idle
    (parent,) = asked.runs(mlflow_uri, "tags.\"restoration.role\" = 'sweep'")
    assert parent.info.status == "FINISHED"
    assert sync(made.url, mlflow_uri).already == 3


def test_one_trial_that_mlflow_refuses_does_not_hold_up_the_others(
    sweep: StoredSweep, mlflow_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Deliverer.trial

    def refuse(self: Deliverer, of: Any, trial: Any) -> tuple[str, bool]:
        if trial.row.number == 1:
            raise ValueError("refused")
        return write(self, of, trial)

    monkeypatch.setattr(Deliverer, "trial", refuse)
    with quiet_mlflow():
        drain = make_drain(sweep, mlflow_uri)
        result = drain.step()
        assert (result.delivered, result.refused, result.outage) == (6, 1, None)
        assert drain.step().idle
    assert sorted(asked.trials(mlflow_uri)) == [0, 2, 3, 4]
    (left,) = sweep.writer.pending_outbox()
    assert (left.trial_number, left.attempts, left.error) == (1, 1, "refused")


def test_a_store_that_fails_is_not_taken_for_an_mlflow_that_does(
    sweep: StoredSweep, mlflow_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_S", 0.02)
    path = store_file(sweep.url)
    assert path is not None
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreLocked, match="was locked by another process"):
            sync(sweep.url, mlflow_uri)
    assert sync(sweep.url, mlflow_uri).failed == 0


def test_during_an_outage_everything_stays_pending_and_the_report_says_why(sweep: StoredSweep) -> None:
    nobody = "http://127.0.0.1:9"
    with quiet_mlflow():
        result = make_drain(sweep, nobody).step()
    assert result.delivered == 0
    assert result.outage is not None
    assert "refused" in result.outage
    report = sync(sweep.url, nobody)
    assert (report.delivered, report.failed) == (0, 6)
    assert report.error is not None
    assert sweep.pending() == 7
