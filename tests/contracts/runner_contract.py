"""What holds for every runner; its tests inherit this class and name the runner."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from restoration_core.errors import InputError
from sweeps.lifecycle.launch import SweepOutcome, start
from sweeps.lifecycle.resume import resume
from sweeps.store.reader import open_reader
from sweeps.store.views import TrialView
from tests.sweeps.sweeps_in_store import make_spec, store


class RunnerContract:
    """Set ``runner`` to a name in `sweeps.execution.runners.base.RUNNERS`."""

    runner: str

    def start(self, url: str, progress: Any = None, **changes: Any) -> SweepOutcome:
        sections = {"budget": {"iterations": 12}, "save": {"images": "all"}, "resources": {"actors": 1}} | changes
        return start(
            make_spec(**sections), runner=self.runner, store_url=url, mlflow_uri=None, verdict=False, progress=progress
        )

    def trials(self, url: str) -> list[TrialView]:
        reader = open_reader(url)
        try:
            return [reader.trial("test", row["number"]) for row in reader.trial_rows("test")]
        finally:
            reader.close()

    def test_every_trial_ends_once_and_carries_all_that_was_measured(self, tmp_path: Path) -> None:
        url = store(tmp_path)
        outcome = self.start(url, save={"images": "all", "steps": [4]}, images=["sample:coffee", "sample:rocket"])
        trials = self.trials(url)
        assert [trial.number for trial in trials] == list(range(7))
        for trial in trials:
            assert (trial.state, trial.attempt) == ("complete", 1)
            assert {picture.image for picture in trial.pictures} == {"sample:coffee", "sample:rocket"}
            assert {(picture.step, picture.final) for picture in trial.pictures} == {(4, False), (12, True)}
            by_image = trial.image_metrics.query("name == 'image_mse'")["value"]
            assert trial.metrics["image_mse"] == pytest.approx(by_image.mean())
            assert len(by_image) == 2
            assert {"psnr", "ssim", "feature_error"} <= set(trial.metrics)
            assert any(name.startswith("feature_error@") for name in trial.metrics)
            assert {"objective", "feature_loss"} <= set(trial.curves["name"])
            assert trial.compute_s is not None
            assert trial.compute_s > 0
        assert outcome.status == "complete"
        assert outcome.run is not None
        assert sum(pack.trials for pack in outcome.run.packs) == 7
        assert outcome.startup_s is not None
        assert outcome.startup_s > 0

    def test_progress_is_shown_from_the_start_to_the_end(self, tmp_path: Path) -> None:
        seen: list[dict[str, Any]] = []
        self.start(store(tmp_path), progress=lambda state: seen.append(dict(state)))
        assert seen[0]["complete"] == 0
        assert seen[-1]["complete"] == seen[-1]["planned"] == 7
        assert seen[-1]["left"] == seen[-1]["running"] == seen[-1]["in_flight_share"] == 0

    def test_an_interrupted_sweep_is_interrupted_in_the_store_and_can_be_resumed(self, tmp_path: Path) -> None:
        url = store(tmp_path)

        def interrupt(state: Any) -> None:
            if state["running"]:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            self.start(url, progress=interrupt)
        reader = open_reader(url)
        view = reader.sweep("test")
        reader.close()
        assert (view.status, view.lease_holder) == ("interrupted", None)
        outcome = resume(url, "test", runner=self.runner, mlflow_uri=None, verdict=False)
        trials = self.trials(url)
        assert [trial.number for trial in trials] == list(range(7))
        assert {trial.state for trial in trials} == {"complete"}
        assert outcome.status == "complete"

    def test_a_taken_name_and_an_unknown_runner_are_refused(self, tmp_path: Path) -> None:
        url = store(tmp_path)
        with pytest.raises(InputError, match="unknown runner 'rayy'"):
            start(make_spec(), runner="rayy", store_url=url, mlflow_uri=None)
        assert not (tmp_path / "store.db").exists()
        self.start(url, baselines=[], method={"sampler": "random", "trials": 1})
        with pytest.raises(InputError, match="exists already"):
            self.start(url)
