"""What every store backend must do. Inherit `StoreContract` and give a fixture ``url`` of an empty database."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from restoration_core.errors import InputError
from sweeps.execution.protocol import CurveRecord, EncodedPicture, PictureRecord, TrialRecord
from sweeps.store import (
    NOT_TRACKED,
    FinishedTrial,
    LeaseHeld,
    NewSweep,
    NewTrial,
    Reader,
    StaleLease,
    SweepStatus,
    TrialState,
    Writer,
    open_reader,
    open_writer,
)

IMAGES = ("sample:coffee", "sample:astronaut")


def png(pixels: np.ndarray) -> bytes:
    """Encode (H, W, 3) uint8."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def picture(seed: int, size: int = 8) -> EncodedPicture:
    """A picture of noise, the same for the same seed."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    return EncodedPicture(hashlib.sha256(pixels).hexdigest(), png(pixels), png(pixels[:2, :2]), size, size)


def new_sweep(name: str = "first", goals: tuple[str, ...] = ("minimize",), **changes: Any) -> NewSweep:
    """A sweep over two search pictures and a validation picture."""
    fields: dict[str, Any] = {
        "name": name,
        "spec_yaml": f"name: {name}\n",
        "spec": {"name": name},
        "metric_names": [f"metric_{index}" for index in range(len(goals))],
        "metric_goals": list(goals),
        "seed": 2**62,
        "trials_planned": 10,
        "owner": "somebody",
        "versions": {"torch": "2.15"},
        "images": [
            (IMAGES[0], "search", picture(1)),
            (IMAGES[1], "search", picture(2)),
            ("photo.jpg", "validation", picture(3)),
        ],
    }
    return NewSweep(**{**fields, **changes})


def record(number: int, token: int = 1, **changes: Any) -> TrialRecord:
    """A pack's record with two pictures, one curve and two metrics for each original."""
    value = 0.01 * (number + 1)
    fields: dict[str, Any] = {
        "metrics": {"metric_0": value, "psnr": -10 * math.log10(value)},
        "image_metrics": {image: {"metric_0": value, "psnr": 20.0} for image in IMAGES},
        "raw_parameters": {"total_variation.weight": 0.5 * number},
        "curves": tuple(CurveRecord(image, "loss", (0, 10, 20), (3.0, 2.0, 1.0)) for image in IMAGES),
        "pictures": tuple(
            PictureRecord(image, step, step == 20, picture(1000 * (number + 1) + 100 * index + step))
            for index, image in enumerate(IMAGES)
            for step in (10, 20)
        ),
        "queue_s": 0.25,
        "compute_s": 1.5,
        "iterations": 20,
        "worker": "node-1",
        "pack": "pack-1",
    }
    return TrialRecord(number, token, **{**fields, **changes})


def finished(number: int, token: int = 1, objective: float | None = None, **changes: Any) -> FinishedTrial:
    """A complete trial whose objective grows with its number unless it is given."""
    value = 0.01 * (number + 1) if objective is None else objective
    return FinishedTrial(record(number, token, **changes), TrialState.COMPLETE, value, [value], {"tpe": number})


def new_trials(*numbers: int) -> list[NewTrial]:
    """Trials as they are asked, token 1."""
    return [
        NewTrial(
            number,
            1,
            {"total_variation.weight": 0.1 * number, "priors.image.expert": "student_t"},
            {"total_variation.weight": {"name": "FloatDistribution"}},
            {"asked": number},
            2**62 + number,
            "mv2016" if number == 0 else None,
        )
        for number in numbers
    ]


class StoreContract:
    """The suite; a backend gives ``url``."""

    @pytest.fixture
    def writer(self, url: str) -> Iterator[Writer]:
        with open_writer(url) as opened:
            yield opened

    @pytest.fixture
    def reader(self, url: str, writer: Writer) -> Iterator[Reader]:
        opened = open_reader(url)
        yield opened
        opened.close()

    @pytest.fixture
    def sweep(self, writer: Writer) -> int:
        return writer.create_sweep(new_sweep())

    @pytest.fixture
    def lease(self, writer: Writer, sweep: int) -> int:
        return writer.acquire_lease(sweep, "first", 60)

    def test_everything_written_is_read_back(self, writer: Writer, reader: Reader, sweep: int, lease: int) -> None:
        writer.insert_trials(sweep, lease, new_trials(0, 1))
        writer.finish_trials(sweep, lease, [finished(1)])
        writer.set_sweep_status(sweep, lease, SweepStatus.COMPLETE, {"winner": 1}, 2.5)

        view = reader.sweep("first")
        assert (view.status, view.seed, view.startup_s, view.verdict) == ("complete", 2**62, 2.5, {"winner": 1})
        assert (view.spec, view.spec_yaml, view.versions) == ({"name": "first"}, "name: first\n", {"torch": "2.15"})
        assert [(image.image, image.split) for image in view.images] == [
            ("sample:astronaut", "search"), ("sample:coffee", "search"), ("photo.jpg", "validation"),
        ]  # fmt: skip
        trial = reader.trial("first", 1)
        sent = record(1)
        assert (trial.state, trial.objective, trial.objectives) == ("complete", 0.02, (0.02,))
        assert trial.parameters == dict(new_trials(1)[0].parameters)
        assert trial.raw_parameters == sent.raw_parameters
        assert trial.metrics == sent.metrics
        assert (trial.queue_s, trial.compute_s, trial.iterations, trial.worker) == (0.25, 1.5, 20, "node-1")
        assert trial.seed == 2**62 + 1
        metrics = {(row.image, row.name): row.value for row in trial.image_metrics.itertuples()}
        assert metrics == {(i, n): v for i, values in sent.image_metrics.items() for n, v in values.items()}
        curve = trial.curves[trial.curves["image"] == IMAGES[0]]
        assert list(zip(curve["step"], curve["value"], strict=True)) == [(0, 3.0), (10, 2.0), (20, 1.0)]
        assert {(p.image, p.step, p.final, p.sha256) for p in trial.pictures} == {
            (p.image, p.step, p.final, p.picture.sha256) for p in sent.pictures
        }
        for item in sent.pictures:
            assert reader.picture(item.picture.sha256) == item.picture.png
            assert reader.thumbnail(item.picture.sha256) == item.picture.thumbnail

    def test_a_name_is_taken_once(self, writer: Writer, sweep: int) -> None:
        with pytest.raises(InputError, match=r"'first' exists already.*resume first.*another name.*delete first"):
            writer.create_sweep(new_sweep())

    def test_unknown_sweep_names_the_nearest(self, writer: Writer, reader: Reader, sweep: int) -> None:
        with pytest.raises(InputError, match=r"unknown sweep 'frist'; did you mean 'first'\?"):
            reader.sweep("frist")
        with pytest.raises(InputError, match="did you mean 'first'"):
            writer.find_sweep("frist")
        assert writer.find_sweep("first") == sweep

    def test_a_number_is_inserted_once_and_a_pack_all_or_none(self, writer: Writer, sweep: int, lease: int) -> None:
        writer.insert_trials(sweep, lease, new_trials(0, 1))
        with pytest.raises(ValueError, match="one of the trial numbers 2, 1 is taken"):
            writer.insert_trials(sweep, lease, new_trials(2, 1))
        assert [trial.number for trial in writer.load_trials(sweep)] == [0, 1]

    def test_load_trials_gives_what_rebuilds_the_study(self, writer: Writer, sweep: int, lease: int) -> None:
        writer.insert_trials(sweep, lease, new_trials(0, 1, 2))
        writer.finish_trials(sweep, lease, [finished(2), finished(0)])
        trials = writer.load_trials(sweep)
        assert [(trial.number, trial.state, trial.finish_order) for trial in trials] == [
            (0, TrialState.COMPLETE, 2), (1, TrialState.RUNNING, None), (2, TrialState.COMPLETE, 1),
        ]  # fmt: skip
        assert trials[0].sampler_attributes == {"asked": 0, "tpe": 0}
        assert trials[1].sampler_attributes == {"asked": 1}
        assert trials[0].distributions == new_trials(0)[0].distributions
        assert (trials[0].baseline, trials[1].baseline) == ("mv2016", None)
        assert trials[1].objectives is None

    # Exactly once

    def test_the_same_record_twice_counts_once(self, writer: Writer, reader: Reader, sweep: int, lease: int) -> None:
        writer.insert_trials(sweep, lease, new_trials(0))
        first = writer.finish_trials(sweep, lease, [finished(0)])
        before, told = reader.trial("first", 0), reader.outbox_pending("first")
        again = writer.finish_trials(sweep, lease, [finished(0, objective=0.5), finished(0)])
        assert [answer.accepted for answer in (*first, *again)] == [True, True, True]
        after = reader.trial("first", 0)
        assert (after.objective, after.finish_order, after.finished_at) == (before.objective, 1, before.finished_at)
        assert reader.outbox_pending("first") == told

    def test_the_same_record_twice_in_one_call_counts_once(
        self, writer: Writer, reader: Reader, sweep: int, lease: int
    ) -> None:
        writer.insert_trials(sweep, lease, new_trials(0, 1))
        answers = writer.finish_trials(sweep, lease, [finished(0), finished(0, objective=9.0), finished(1)])
        assert [answer.accepted for answer in answers] == [True, True, True]
        assert list(reader.trials("first")["objective"]) == [0.01, 0.02]
        assert list(reader.trials("first")["finish_order"]) == [1, 2]

    def test_a_stale_token_is_refused_and_its_neighbours_commit(
        self, writer: Writer, reader: Reader, sweep: int, lease: int
    ) -> None:
        writer.insert_trials(sweep, lease, new_trials(0, 1, 2))
        (again,) = writer.start_again(sweep, lease, [1])
        answers = writer.finish_trials(sweep, lease, [finished(0), finished(1, token=1), finished(7), finished(2)])
        assert [answer.accepted for answer in answers] == [True, False, False, True]
        assert answers[1].reason == f"stale token 1, the current one is {again.token}"
        assert answers[2].reason == "unknown trial"
        assert list(reader.trials("first")["state"]) == ["complete", "running", "complete"]
        assert reader.trial("first", 1).pictures == ()
        assert list(reader.trials("first")["finish_order"].dropna()) == [1, 2]
        assert [answer.accepted for answer in writer.finish_trials(sweep, lease, [finished(1, again.token)])] == [True]
        # The late result of the lost attempt changes nothing, even after the trial has finished.
        (late,) = writer.finish_trials(sweep, lease, [finished(1, token=1, objective=0.0)])
        assert not late.accepted
        assert reader.trial("first", 1).objective == 0.02

    def test_start_again_keeps_number_parameters_and_seed(self, writer: Writer, sweep: int, lease: int) -> None:
        writer.insert_trials(sweep, lease, new_trials(0, 1, 2))
        writer.finish_trials(sweep, lease, [finished(1)])
        again = writer.start_again(sweep, lease, [2, 1, 0, 9])
        assert [(item.number, item.token, item.seed, item.baseline) for item in again] == [
            (0, 2, 2**62, "mv2016"), (2, 2, 2**62 + 2, None),
        ]  # fmt: skip
        assert again[1].parameters == dict(new_trials(2)[0].parameters)
        assert [trial.attempt for trial in writer.load_trials(sweep)] == [2, 1, 2]

    def test_failed_trials_are_opened_again_and_end_anew(
        self, writer: Writer, reader: Reader, sweep: int, lease: int
    ) -> None:
        writer.insert_trials(sweep, lease, new_trials(0, 1, 2))
        failed = FinishedTrial(record(1, failure="MemoryError", pictures=()), TrialState.FAILED)
        writer.finish_trials(sweep, lease, [finished(0), failed])
        assert writer.reopen_failed(sweep, lease) == [1]
        trial = reader.trial("first", 1)
        assert (trial.state, trial.attempt, trial.failure, trial.metrics) == ("running", 1, None, {})
        assert trial.curves.empty
        assert trial.image_metrics.empty
        assert [item.trial_number for item in writer.pending_outbox()] == [None, 0]
        (again,) = writer.start_again(sweep, lease, [1])
        assert (again.number, again.token, again.attempt, again.parameters) == (1, 2, 2, new_trials(1)[0].parameters)
        assert [answer.accepted for answer in writer.finish_trials(sweep, lease, [finished(1, again.token)])] == [True]
        assert reader.trial("first", 0).state == reader.trial("first", 1).state == "complete"
        assert list(reader.trials("first")["finish_order"].dropna()) == [1, 2]
        assert writer.reopen_failed(sweep, lease) == []

    # Non-finite values

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_a_non_finite_objective_is_refused_and_nothing_is_written(
        self, writer: Writer, reader: Reader, sweep: int, lease: int, value: float
    ) -> None:
        writer.insert_trials(sweep, lease, new_trials(0, 1))
        with pytest.raises(ValueError, match="trial 1: the objective must be finite"):
            writer.finish_trials(sweep, lease, [finished(0), finished(1, objective=value)])
        assert list(reader.trials("first")["state"]) == ["running", "running"]

    def test_a_complete_trial_without_objective_is_refused(self, writer: Writer, sweep: int, lease: int) -> None:
        writer.insert_trials(sweep, lease, new_trials(0))
        with pytest.raises(ValueError, match="a complete trial must have an objective"):
            writer.finish_trials(sweep, lease, [FinishedTrial(record(0), TrialState.COMPLETE)])

    def test_nan_parameters_and_attributes_are_refused(self, writer: Writer, sweep: int, lease: int) -> None:
        with pytest.raises(ValueError, match="trial 3: parameters must be finite JSON"):
            writer.insert_trials(sweep, lease, [NewTrial(3, 1, {"weight": math.nan})])
        assert writer.load_trials(sweep) == []
        writer.insert_trials(sweep, lease, new_trials(0))
        poisoned = FinishedTrial(record(0), TrialState.FAILED, sampler_attributes={"tpe": [math.inf]})
        with pytest.raises(ValueError, match="trial 0: sampler_attributes must be finite JSON"):
            writer.finish_trials(sweep, lease, [poisoned])
        with pytest.raises(ValueError, match="verdict must be finite JSON"):
            writer.set_sweep_status(sweep, lease, SweepStatus.COMPLETE, {"gain": math.nan})
        with pytest.raises(ValueError, match="spec must be finite JSON"):
            writer.create_sweep(new_sweep("second", spec={"weight": math.nan}))

    def test_non_finite_metrics_and_losses_of_a_failed_trial_read_as_missing(
        self, writer: Writer, reader: Reader, sweep: int, lease: int
    ) -> None:
        writer.insert_trials(sweep, lease, new_trials(0))
        broken = record(
            0,
            metrics={"metric_0": math.nan, "psnr": math.inf},
            image_metrics={IMAGES[0]: {"metric_0": math.nan}},
            curves=(CurveRecord(IMAGES[0], "loss", (0, 1), (1.0, math.inf)),),
            failure="the loss is not finite",
        )
        writer.finish_trials(sweep, lease, [FinishedTrial(broken, TrialState.FAILED)])
        trial = reader.trial("first", 0)
        assert trial.metrics == {"metric_0": None, "psnr": None}
        assert trial.failure == "the loss is not finite"
        assert trial.image_metrics["value"].isna().all()
        assert trial.curves["value"].tolist()[0] == 1.0
        assert math.isnan(trial.curves["value"].tolist()[1])
        assert reader.best("first").empty
        assert reader.sweeps()["best_number"].isna().all()

    def test_a_curve_needs_a_value_for_each_step(self, writer: Writer, sweep: int, lease: int) -> None:
        writer.insert_trials(sweep, lease, new_trials(0))
        with pytest.raises(ValueError, match="curve 'loss' must have a value for each step, but got 2 steps and 1"):
            writer.finish_trials(sweep, lease, [finished(0, curves=(CurveRecord(IMAGES[0], "loss", (0, 1), (1.0,)),))])

    # Leases

    def test_a_live_lease_keeps_others_out(self, writer: Writer, sweep: int, lease: int) -> None:
        with pytest.raises(LeaseHeld, match=r"sweep 'first' is being run by first \(lease until") as caught:
            writer.acquire_lease(sweep, "second", 60)
        assert caught.value.holder == "first"

    @pytest.mark.parametrize("how", ["released", "expired", "same holder"])
    def test_a_lease_that_changed_hands_fences_off_every_write(
        self, writer: Writer, reader: Reader, sweep: int, lease: int, how: str
    ) -> None:
        writer.insert_trials(sweep, lease, new_trials(0))
        if how == "released":
            writer.release_lease(sweep, lease)
        elif how == "expired":
            writer.renew_lease(sweep, lease, -1)
        taken = writer.acquire_lease(sweep, "first" if how == "same holder" else "second", 60)
        assert taken == lease + 1
        for write in (
            lambda: writer.insert_trials(sweep, lease, new_trials(1)),
            lambda: writer.start_again(sweep, lease, [0]),
            lambda: writer.finish_trials(sweep, lease, [finished(0)]),
            lambda: writer.set_sweep_status(sweep, lease, SweepStatus.FAILED),
            lambda: writer.renew_lease(sweep, lease, 60),
        ):
            with pytest.raises(StaleLease, match=f"lease {lease} is stale, the current one is {taken}"):
                write()
        writer.release_lease(sweep, lease)
        with pytest.raises(LeaseHeld):
            writer.acquire_lease(sweep, "third", 60)
        assert reader.sweep("first").status == "running"
        assert [(trial.state, trial.attempt) for trial in writer.load_trials(sweep)] == [(TrialState.RUNNING, 1)]
        writer.finish_trials(sweep, taken, [finished(0)])

    def test_renewing_extends_the_lease(self, writer: Writer, reader: Reader, sweep: int, lease: int) -> None:
        before = reader.sweep("first").lease_expires_at
        writer.renew_lease(sweep, lease, 3600)
        after = reader.sweep("first").lease_expires_at
        assert before is not None
        assert after is not None
        assert (after - before).total_seconds() > 3000

    # Outbox

    def test_the_outbox_tells_start_trials_and_end_in_order(
        self, writer: Writer, reader: Reader, sweep: int, lease: int
    ) -> None:
        writer.insert_trials(sweep, lease, new_trials(0, 1))
        writer.finish_trials(sweep, lease, [finished(1), finished(0)])
        writer.set_sweep_status(sweep, lease, SweepStatus.COMPLETE)
        other = writer.create_sweep(new_sweep("other"))
        entries = writer.pending_outbox(10, sweep="first")
        assert [(entry.kind, entry.trial_number) for entry in entries] == [
            ("sweep", None), ("trial", 1), ("trial", 0), ("sweep_end", None),
        ]  # fmt: skip
        assert [entry.sweep_id for entry in writer.pending_outbox(10)] == [sweep] * 4 + [other]
        assert len(writer.pending_outbox(2)) == 2
        writer.mark_failed([entries[0].id], "connection refused")
        writer.mark_delivered([entries[1].id, entries[2].id])
        writer.mark_delivered([entries[1].id])
        left = writer.pending_outbox(10, "first")
        assert [(entry.kind, entry.attempts, entry.error) for entry in left] == [
            ("sweep", 1, "connection refused"), ("sweep_end", 0, None),
        ]  # fmt: skip
        assert reader.outbox_pending("first") == 2
        assert reader.outbox_pending("other") == 1

    def test_a_resumed_sweep_is_told_again_and_has_no_end(
        self, writer: Writer, reader: Reader, sweep: int, lease: int
    ) -> None:
        writer.set_sweep_status(sweep, lease, SweepStatus.RUNNING, startup_s=1.0)
        assert reader.outbox_pending("first") == 1
        writer.set_sweep_status(sweep, lease, SweepStatus.INTERRUPTED)
        assert reader.sweep("first").finished_at is not None
        writer.set_sweep_status(sweep, lease, SweepStatus.RUNNING)
        assert reader.sweep("first").finished_at is None
        assert [entry.kind for entry in writer.pending_outbox(10)] == ["sweep", "sweep_end", "sweep"]

    def test_mlflow_runs_are_noted(self, writer: Writer, reader: Reader, sweep: int, lease: int) -> None:
        writer.insert_trials(sweep, lease, new_trials(0, 1))
        writer.set_mlflow_run("parent", sweep_id=sweep)
        writer.set_mlflow_run("child", trial_id=writer.load_trials(sweep)[1].id)
        assert reader.sweep("first").mlflow_run_id == "parent"
        assert [trial.mlflow_run_id for trial in writer.load_trials(sweep)] == [None, "child"]
        with pytest.raises(ValueError, match="exactly one of sweep_id and trial_id"):
            writer.set_mlflow_run("both", sweep_id=sweep, trial_id=1)

    def test_one_process_at_a_time_may_write_a_sweep_to_mlflow(self, writer: Writer, sweep: int) -> None:
        assert writer.claim_tracking(sweep, "ada", 60.0) == "ada"
        assert writer.claim_tracking(sweep, "bob", 60.0) == "ada"
        writer.release_tracking(sweep, "bob")
        assert writer.claim_tracking(sweep, "bob", 60.0) == "ada"
        writer.release_tracking(sweep, "ada")
        # A claim runs out, can be extended, and ends with a holder that is known to be dead.
        assert writer.claim_tracking(sweep, "bob", 0.0) == "bob"
        assert writer.claim_tracking(sweep, "ada", 0.0) == "ada"
        assert writer.claim_tracking(sweep, "ada", 60.0) == "ada"
        assert writer.claim_tracking(sweep, "bob", 60.0, instead_of="eve") == "ada"
        assert writer.claim_tracking(sweep, "bob", 60.0, instead_of="ada") == "bob"
        assert writer.claim_tracking(sweep + 1000, "bob", 60.0) is None

    def test_the_outbox_is_asked_for_one_mlflow(self, writer: Writer, reader: Reader, sweep: int) -> None:
        here = writer.create_sweep(new_sweep("here", mlflow_uri="http://here"))
        writer.create_sweep(new_sweep("elsewhere", mlflow_uri="http://elsewhere"))
        writer.create_sweep(new_sweep("nowhere", mlflow_uri=NOT_TRACKED))
        assert [item.sweep_name for item in writer.pending_outbox(destination="http://here")] == ["first", "here"]
        assert writer.count_outbox(destination="http://here") == {"first": 1, "here": 1}
        assert (reader.outbox_pending("elsewhere"), reader.outbox_pending("nowhere")) == (1, 0)
        writer.set_destination(here, "http://elsewhere")
        assert writer.count_outbox(destination="http://elsewhere") == {"first": 1, "here": 1, "elsewhere": 1}
        assert reader.sweep("here").mlflow_uri == "http://elsewhere"

    # Deleting

    def test_delete_leaves_no_orphan_and_keeps_shared_pictures(
        self, writer: Writer, reader: Reader, sweep: int, lease: int
    ) -> None:
        other = writer.create_sweep(new_sweep("other"))
        other_lease = writer.acquire_lease(other, "me", 60)
        shared = picture(77)
        for sweep_id, token in ((sweep, lease), (other, other_lease)):
            writer.insert_trials(sweep_id, token, new_trials(0, 1))
            own = finished(0)
            both = finished(1, pictures=(PictureRecord(IMAGES[0], 20, True, shared),))
            writer.finish_trials(sweep_id, token, [own, both] if sweep_id == sweep else [both])
        with pytest.raises(LeaseHeld, match="is being run by first"):
            writer.delete_sweep("first")
        writer.release_lease(sweep, lease)
        counts = writer.delete_sweep("first")
        assert counts == {
            "sweeps": 1, "trials": 2, "sweep_images": 3, "trial_pictures": 5, "curves": 4, "image_metrics": 8,
            "outbox": 3, "pictures": 4,
        }  # fmt: skip
        assert list(reader.sweeps()["name"]) == ["other"]
        assert reader.picture(shared.sha256) == shared.png
        with pytest.raises(InputError, match="the store has no picture"):
            reader.picture(record(0).pictures[0].picture.sha256)
        writer.release_lease(other, other_lease)
        assert writer.delete_sweep("other")["pictures"] == 4
        assert reader.sweeps().empty
        with pytest.raises(InputError, match="unknown sweep 'other'; the store has none yet"):
            writer.delete_sweep("other")

    def test_a_sweep_being_run_is_deleted_only_by_force(
        self, writer: Writer, reader: Reader, sweep: int, lease: int
    ) -> None:
        assert writer.delete_sweep("first", force=True)["sweeps"] == 1
        with pytest.raises(StaleLease):
            writer.insert_trials(sweep, lease, new_trials(0))

    def test_who_wrote_a_deleted_sweep_cannot_write_the_one_that_took_its_name(
        self, url: str, writer: Writer, reader: Reader, sweep: int, lease: int
    ) -> None:
        writer.insert_trials(sweep, lease, new_trials(0, 1))
        writer.finish_trials(sweep, lease, [finished(1)])
        old_trial = writer.load_trials(sweep)[0].id
        old_entries = [entry.id for entry in writer.pending_outbox()]
        with open_writer(url) as second:
            second.delete_sweep("first", force=True)
            new = second.create_sweep(new_sweep())
            new_lease = second.acquire_lease(new, "second", 60)
            second.insert_trials(new, new_lease, new_trials(0))
            before = second.pending_outbox()

            for write in (
                lambda: writer.finish_trials(sweep, lease, [finished(0, objective=9.0)]),
                lambda: writer.insert_trials(sweep, lease, new_trials(2)),
                lambda: writer.start_again(sweep, lease, [0]),
                lambda: writer.set_sweep_status(sweep, lease, SweepStatus.FAILED),
                lambda: writer.renew_lease(sweep, lease, 60),
            ):
                with pytest.raises(StaleLease):
                    write()
            with pytest.raises(InputError, match="no sweep has the id"):
                writer.acquire_lease(sweep, "second", 60)
            writer.release_lease(sweep, lease)
            writer.mark_delivered(old_entries)
            writer.mark_failed(old_entries, "late")
            writer.set_mlflow_run("old", sweep_id=sweep)
            writer.set_mlflow_run("old", trial_id=old_trial)

            assert second.pending_outbox() == before
            view = reader.sweep("first")
            assert (view.status, view.lease_holder, view.mlflow_run_id) == ("running", "second", None)
            (trial,) = second.load_trials(new)
            assert (trial.state, trial.attempt, trial.mlflow_run_id) == (TrialState.RUNNING, 1, None)
            (answer,) = second.finish_trials(new, new_lease, [finished(0, objective=0.5)])
            assert (answer.accepted, answer.reason) == (True, "")
            assert list(reader.trials("first")["objective"]) == [0.5]

    def test_ids_of_what_was_deleted_are_not_given_again(
        self, writer: Writer, reader: Reader, sweep: int, lease: int
    ) -> None:
        def ids(sweep_id: int) -> tuple[int, set[int], set[int]]:
            trials = {trial.id for trial in writer.load_trials(sweep_id)}
            return sweep_id, trials, {entry.id for entry in writer.pending_outbox()}

        writer.insert_trials(sweep, lease, new_trials(0, 1))
        old_sweep, old_trials, old_entries = ids(sweep)
        writer.delete_sweep("first", force=True)
        new = writer.create_sweep(new_sweep())
        writer.insert_trials(new, writer.acquire_lease(new, "first", 60), new_trials(0, 1))
        new_sweep_id, new_ids, new_entries = ids(new)
        assert new_sweep_id != old_sweep
        assert not new_ids & old_trials
        assert not new_entries & old_entries

    def test_a_lease_of_another_sweep_or_another_store_is_no_lease_here(self, writer: Writer, sweep: int) -> None:
        """Even where the ids are equal, as in a store that was made anew: tokens do not count from the same number."""
        writer.insert_trials(sweep, writer.acquire_lease(sweep, "me", 60), new_trials(0))
        for token in (0, 1, 2):
            with pytest.raises(StaleLease):
                writer.finish_trials(sweep, token, [finished(0)])

    # Priors

    def test_priors_are_kept_and_replaced_by_key(self, writer: Writer, reader: Reader) -> None:
        assert writer.get_prior("k1") is None
        writer.put_prior("k1", "ica", {"patch_size": 8}, b"old")
        writer.put_prior("k2", "foe", {"patch_size": 5}, bytes(range(256)))
        writer.put_prior("k1", "ica", {"patch_size": 8}, b"newer")
        assert writer.get_prior("k1") == b"newer"
        assert reader.get_prior("k2") == bytes(range(256))
        listed = {entry.key: (entry.family, entry.description, entry.size_bytes) for entry in reader.list_priors()}
        assert listed == {"k1": ("ica", {"patch_size": 8}, 5), "k2": ("foe", {"patch_size": 5}, 256)}
        assert writer.list_priors() == reader.list_priors()
