"""A pack: one bad trial leaves the others alone, rows are refilled at once, nothing is solved beyond the quota."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from restoration_core.networks import open_network
from restoration_core.reconstruction import BatchSolver
from sweeps.execution.pack import give_back, run_pack
from sweeps.execution.protocol import Acknowledgement, Assignment, Exchange, Report, TrialRecord
from sweeps.execution.worker_context import PackContext
from sweeps.trial.metrics import Measuring
from sweeps.trial.pictures import encode, load
from tests.sweeps.sweeps_in_store import make_spec

GOOD = {"total_variation.weight": 0.01, "learning_rate": 0.05}
STEPPED = {"distribution": "q_uniform", "min": 1.0, "max": 3.0, "step": 0.1}


class Queue:
    """A coordinator over given trials that remembers what came back and how full the pack was when it asked."""

    def __init__(self, parameters: Sequence[dict[str, Any]]) -> None:
        self.waiting = [Assignment(number, 1, item, 100 + number) for number, item in enumerate(parameters)]
        self.records: dict[int, TrialRecord] = {}
        self.asked: list[int] = []
        self.stop: list[int] = []
        self.reports: list[Report] = []

    def exchange(self, records: Sequence[TrialRecord], k: int, worker: str) -> Exchange:
        self.records |= {record.number: record for record in records}
        self.asked.append(k)
        handed, self.waiting = self.waiting[:k], self.waiting[k:]
        answers = tuple(Acknowledgement(record.number, True) for record in records)
        return Exchange(answers, tuple(handed), len(self.waiting))

    def report(self, reports: Sequence[Report]) -> list[int]:
        self.reports += reports
        return self.stop


def context(**changes: Any) -> PackContext:
    sections = {"budget": {"iterations": 10}, "save": {"images": "all"}} | changes
    spec = make_spec(**sections)
    return PackContext(spec, open_network(), load(spec.images, spec.image_size)).on("cpu")


def test_a_trial_that_cannot_be_built_and_one_that_diverges_fail_alone() -> None:
    bad = GOOD | {"priors.image.weight": 1.0, "priors.image.patch_size": 7}
    wild = GOOD | {"learning_rate": 1e38, "total_variation.weight": 1e12}
    queue = Queue([GOOD, bad, wild, GOOD])
    summary = run_pack(queue, context(), width=4, quota=10, pack="p")
    assert sorted(queue.records) == [0, 1, 2, 3]
    failures = {number: record.failure for number, record in queue.records.items()}
    assert failures[0] is None
    assert failures[3] is None
    assert failures[1] is not None
    assert failures[1].startswith("InputError: no trained prior student_t-7; there are: none")
    assert failures[2] is not None
    assert "NaN or infinite" in failures[2]
    assert (summary.trials, summary.failed, summary.refused) == (4, 2, 0)


def test_a_batch_that_raises_is_solved_trial_by_trial_and_only_the_guilty_one_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    advance = BatchSolver.advance

    def poisoned(self: BatchSolver[Any], max_iterations: int | None = None) -> Any:
        if any(key[0] == 1 for key in self.keys):
            raise RuntimeError("kernel  failed")
        return advance(self, max_iterations)

    clean = Queue([GOOD, GOOD, GOOD])
    run_pack(clean, context(), width=3, quota=3, pack="p")
    monkeypatch.setattr(BatchSolver, "advance", poisoned)
    queue = Queue([GOOD, GOOD, GOOD])
    run_pack(queue, context(), width=3, quota=3, pack="p")
    assert queue.records[1].failure == "RuntimeError: kernel failed"
    for number in (0, 2):
        assert queue.records[number].failure is None
        pixels = [record.pictures[0].picture.sha256 for record in (queue.records[number], clean.records[number])]
        assert pixels[0] == pixels[1]


@pytest.mark.slow
def test_rows_that_end_at_different_times_are_refilled_at_once_and_stay_occupied() -> None:
    trials = [GOOD | {"iterations": 60 + 23 * (number % 5)} for number in range(24)]
    queue = Queue(trials)
    summary = run_pack(queue, context(budget={"iterations": 200}), width=4, quota=24, pack="p")
    assert sorted(queue.records) == list(range(24))
    assert {number: record.iterations for number, record in queue.records.items()} == {
        number: trial["iterations"] for number, trial in enumerate(trials)
    }
    assert summary.occupied_row_s / summary.capacity_row_s > 0.85


def test_no_more_trials_are_taken_than_the_quota_nor_more_at_a_time_than_the_width() -> None:
    queue = Queue([GOOD] * 10)
    summary = run_pack(queue, context(), width=2, quota=5, pack="p")
    assert sorted(queue.records) == [0, 1, 2, 3, 4]
    assert summary.trials == 5
    assert max(queue.asked) == 2
    assert len(queue.waiting) == 5


def test_a_trial_has_a_row_for_each_picture_and_one_record() -> None:
    queue = Queue([GOOD])
    run_pack(queue, context(images=["sample:coffee", "sample:rocket"]), width=1, quota=1, pack="p")
    record = queue.records[0]
    assert set(record.image_metrics) == {"sample:coffee", "sample:rocket"}
    assert [picture.image for picture in record.pictures] == ["sample:coffee", "sample:rocket"]
    mean = sum(metrics["psnr"] for metrics in record.image_metrics.values()) / 2
    assert record.metrics["psnr"] == pytest.approx(mean)
    assert record.queue_s >= 0


def test_a_pack_that_is_told_to_stop_leaves_its_trials_as_they_are() -> None:
    queue = Queue([GOOD] * 3)
    looks = iter([False, False, True])
    run_pack(queue, context(budget={"iterations": 1000}), width=3, quota=3, pack="p", should_stop=lambda: next(looks))
    assert queue.records == {}


def test_a_trial_whose_attempt_is_stale_leaves_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeps.execution.pack.REPORT_EVERY_S", 0.0)
    monkeypatch.setattr("sweeps.execution.pack_batch.STEPS_BETWEEN_LOOKS", 5)
    queue = Queue([GOOD, GOOD])
    queue.stop = [1]
    run_pack(queue, context(budget={"iterations": 30}), width=2, quota=2, pack="p")
    assert sorted(queue.records) == [0]


def test_a_pack_reports_how_far_its_trials_are_though_none_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeps.execution.pack.REPORT_EVERY_S", 0.0)
    queue = Queue([GOOD | {"iterations": 10}, GOOD | {"iterations": 40}])
    run_pack(queue, context(images=["sample:coffee", "sample:rocket"]), width=2, quota=2, pack="p")
    shares = {number: [item.share for item in queue.reports if item.number == number] for number in (0, 1)}
    assert all(0 < share < 1 for share in shares[0] + shares[1])
    assert shares[1] == sorted(shares[1])
    assert max(shares[1]) > 0.5


def test_a_trial_without_a_calibrated_unit_fails_with_that_reason_and_the_others_go_on() -> None:
    """What failed the trial is not computed again to record it: that would end the pack."""
    found = context(
        units="calibrated", parameters={"total_variation.weight": {"value": 1.0}, "total_variation.beta": STEPPED}
    )
    found.units = {"total_variation beta 1.7": 2.0}
    queue = Queue([GOOD | {"total_variation.beta": beta} for beta in (1.6, 1.7, 1.7000000000000002)])
    run_pack(queue, found, width=3, quota=3, pack="p")
    assert queue.records[0].failure == (
        "InputError: no calibrated unit of total_variation beta 1.6; there are: total_variation beta 1.7"
    )
    assert queue.records[0].raw_parameters == {}
    for number in (1, 2):  # as the spec lists it, and as an older version of the sampler computed it
        assert queue.records[number].failure is None
        assert queue.records[number].raw_parameters["total_variation.raw_weight"] == pytest.approx(0.02)


def test_raw_parameters_are_computed_once_a_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[int] = []
    original = PackContext.raw_parameters

    def counted(self: PackContext, parameters: Any) -> dict[str, Any]:
        computed.append(1)
        return original(self, parameters)

    monkeypatch.setattr(PackContext, "raw_parameters", counted)
    queue = Queue([GOOD, GOOD])
    run_pack(queue, context(), width=2, quota=2, pack="p")
    assert len(computed) == len(queue.records) == 2
    assert queue.records[0].raw_parameters["total_variation.weight"] == 0.01


def failing_for(number: int, original: Callable[..., Any], error: Exception) -> Callable[..., Any]:
    """Return a measurement that raises for one trial: with all of them at once, and then when it is measured alone."""
    calls = iter(range(1000))

    def measure(self: Measuring, rows: Sequence[tuple[str, Any]]) -> Any:
        call = next(calls)
        if len(rows) > 1 or call == number + 1:
            raise error
        return original(self, rows)

    return measure


def test_a_trial_that_cannot_be_measured_fails_alone_and_with_the_true_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = failing_for(1, Measuring.measure, RuntimeError("no such kernel"))
    monkeypatch.setattr(Measuring, "measure", broken)
    queue = Queue([GOOD, GOOD, GOOD])
    summary = run_pack(queue, context(), width=3, quota=3, pack="p")
    assert {number: record.failure for number, record in queue.records.items()} == {
        0: None,
        1: "RuntimeError: no such kernel",
        2: None,
    }
    assert queue.records[1].raw_parameters["total_variation.weight"] == 0.01
    assert queue.records[2].pictures
    assert summary.notices == (
        "measuring a batch failed (RuntimeError: no such kernel), so it was done trial by trial",
    )


def test_a_pack_that_can_measure_nothing_hands_in_failures_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise LookupError("no held-out layer")

    monkeypatch.setattr("sweeps.trial.metrics.held_out_layers", broken)
    queue = Queue([GOOD] * 4)
    summary = run_pack(queue, context(), width=2, quota=4, pack="p")
    assert [record.failure for record in queue.records.values()] == ["LookupError: no held-out layer"] * 4
    assert (summary.trials, summary.failed) == (4, 4)


def test_a_picture_that_cannot_be_encoded_fails_its_trial_only(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = iter(range(100))

    def encode_or_raise(picture: Any) -> Any:
        if next(calls) == 0:
            raise ValueError("cannot write\nthis picture")
        return encode(picture)

    monkeypatch.setattr("sweeps.execution.pack_records.encode", encode_or_raise)
    queue = Queue([GOOD, GOOD])
    run_pack(queue, context(), width=2, quota=2, pack="p")
    assert [queue.records[number].failure for number in (0, 1)] == ["ValueError: cannot write this picture", None]


def test_a_batch_that_does_not_fit_is_solved_one_by_one_then_in_smaller_batches_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    advance, sizes = BatchSolver.advance, []

    def short_of_memory(self: BatchSolver[Any], max_iterations: int | None = None) -> Any:
        sizes.append(len(self.keys))
        if len(self.keys) > 2:
            raise MemoryError("cannot allocate 9 GiB")
        return advance(self, max_iterations)

    monkeypatch.setattr(BatchSolver, "advance", short_of_memory)
    queue = Queue([GOOD] * 8)
    summary = run_pack(queue, context(), width=4, quota=8, pack="p")
    assert [record.failure for record in queue.records.values()] == [None] * 8
    assert sizes.count(4) == 1
    assert max(sizes[1:]) == 2
    (notice,) = summary.notices
    assert notice.startswith("a batch of trials failed (MemoryError: cannot allocate 9 GiB), so its trials were solved")


@pytest.mark.parametrize(
    ("error", "of_the_machine"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
            True,
        ),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), True),
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.ENOENT, "No such file or directory"), False),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
    ],
)
def test_a_record_says_whether_the_machine_or_the_trial_failed(
    monkeypatch: pytest.MonkeyPatch, error: Exception, of_the_machine: bool
) -> None:
    def broken(self: BatchSolver[Any], max_iterations: int | None = None) -> Any:
        raise error

    monkeypatch.setattr(BatchSolver, "advance", broken)
    queue = Queue([GOOD, GOOD])
    run_pack(queue, context(), width=2, quota=2, pack="p")
    assert [record.of_the_machine for record in queue.records.values()] == [of_the_machine] * 2
    assert all((record.failure or "").startswith(type(error).__name__) for record in queue.records.values())


def test_a_process_that_cannot_compute_at_all_gives_its_trials_back_with_the_reason() -> None:
    queue = Queue([])
    trials = [Assignment(number, 1, GOOD, number) for number in range(3)]
    summary = give_back(queue, context(), "p", trials, AssertionError("Torch not compiled with CUDA enabled"))
    assert [record.failure for record in queue.records.values()] == [
        "AssertionError: Torch not compiled with CUDA enabled"
    ] * 3
    assert all(record.of_the_machine for record in queue.records.values())
    assert (summary.trials, summary.failed) == (3, 3)
