"""What the reader answers, and in how many statements."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import Engine, event

from restoration_core.errors import InputError
from restoration_core.images.differences import signed_difference
from sweeps.execution.protocol import EncodedPicture, PictureRecord
from sweeps.store import FinishedTrial, Reader, TrialState, Writer
from tests.contracts.store_contract import IMAGES, new_sweep, new_trials, png, record
from tests.sweeps.store.conftest import fill


def statements(ask: Callable[[], object]) -> int:
    """How many statements a question takes, BEGIN left out."""
    seen: list[str] = []

    def count(connection: object, cursor: object, statement: str, *rest: object) -> None:
        if not statement.startswith("BEGIN"):
            seen.append(statement)

    event.listen(Engine, "before_cursor_execute", count)
    try:
        ask()
    finally:
        event.remove(Engine, "before_cursor_execute", count)
    return len(seen)


def test_sweeps_counts_states_and_names_the_best_complete_trial(writer: Writer, reader: Reader) -> None:
    fill(writer, "low")
    fill(writer, "high", "maximize")
    writer.create_sweep(new_sweep("empty"))
    frame = reader.sweeps()
    assert list(frame.columns) == [
        "name", "status", "owner", "created_at", "finished_at", "trials_planned", "complete", "pruned", "failed",
        "running", "metric_names", "metric_goals", "best_number", "best_objective",
    ]  # fmt: skip
    rows = frame.set_index("name")
    assert list(rows.index) == ["empty", "high", "low"]  # the newest first
    assert rows.loc["low", ["complete", "pruned", "failed", "running"]].tolist() == [5, 1, 1, 1]
    assert rows.loc["low", ["best_number", "best_objective"]].tolist() == [4, 0.1]
    assert rows.loc["high", ["best_number", "best_objective"]].tolist() == [2, 0.9]
    assert rows.loc["empty", ["complete", "running"]].tolist() == [0, 0]
    assert rows["best_number"].isna().tolist() == [True, False, False]


def test_an_empty_store_has_typed_empty_frames(writer: Writer, reader: Reader) -> None:
    assert reader.sweeps().empty
    assert "best_objective" in reader.sweeps().columns
    writer.create_sweep(new_sweep("empty"))
    trials = reader.trials("empty")
    assert trials.empty
    assert trials["objective"].dtype == "float64"
    assert reader.best("empty").empty


def test_trials_spread_parameters_and_metrics_into_columns(writer: Writer, reader: Reader) -> None:
    fill(writer, "low")
    frame = reader.trials("low")
    assert list(frame["number"]) == list(range(8))
    assert list(frame["state"]) == ["complete"] * 5 + ["failed", "pruned", "running"]
    assert list(frame.columns[:17]) == [
        "number", "state", "attempt", "baseline", "objective", "seed", "asked_at", "started_at", "finished_at",
        "finish_order", "queue_s", "compute_s", "iterations", "device", "worker", "pack", "failure",
    ]  # fmt: skip
    assert list(frame.columns[17:]) == [
        "params.total_variation.weight", "params.priors.image.expert", "raw.total_variation.weight",
        "metrics.metric_0", "metrics.psnr",
    ]  # fmt: skip
    assert frame["params.total_variation.weight"].tolist() == pytest.approx([0.1 * number for number in range(8)])
    assert frame["metrics.metric_0"].isna().tolist() == [False] * 5 + [True] * 3
    assert frame["failure"].tolist()[5] == "out of memory"
    assert frame["baseline"].tolist()[:2] == ["mv2016", None]
    assert frame["seed"].tolist()[3] == 2**62 + 3  # exact: no detour through float
    assert list(reader.trials("low", ["failed", "running"])["number"]) == [5, 7]
    with pytest.raises(InputError, match="unknown trial state 'complet'; did you mean 'complete'"):
        reader.trials("low", ["complet"])


def test_times_of_a_trial_are_in_order(writer: Writer, reader: Reader) -> None:
    fill(writer, "low")
    row = reader.trials("low").iloc[0]
    assert row["asked_at"] <= row["started_at"] <= row["finished_at"]


@pytest.mark.parametrize(("goal", "expected"), [("minimize", [4, 1, 3, 0, 2]), ("maximize", [2, 0, 1, 3, 4])])
def test_best_respects_the_goal_breaks_ties_by_number_and_leaves_pruned_out(
    writer: Writer, reader: Reader, goal: str, expected: list[int]
) -> None:
    fill(writer, "sweep", goal)
    assert list(reader.best("sweep")["number"]) == expected
    assert list(reader.best("sweep", 2)["number"]) == expected[:2]


def test_best_of_several_metrics_is_the_pareto_front(writer: Writer, reader: Reader) -> None:
    points = [(1.0, 5.0), (2.0, 9.0), (3.0, 4.0), (2.5, 9.0), (0.5, 1.0), (1.0, 5.0)]
    sweep = writer.create_sweep(new_sweep("two", ("minimize", "maximize")))
    lease = writer.acquire_lease(sweep, "me", 60)
    writer.insert_trials(sweep, lease, new_trials(*range(6)))
    writer.finish_trials(
        sweep,
        lease,
        [FinishedTrial(record(n), TrialState.COMPLETE, objectives=point) for n, point in enumerate(points)],
    )
    # By hand: 2 and 3 are dominated by 1; 0 and 5 are equal and both stay.
    assert list(reader.best("two")["number"]) == [4, 0, 5, 1]
    assert list(reader.best("two", 3)["number"]) == [4, 0, 5]
    assert reader.sweeps()["best_number"].isna().all()


def test_an_unknown_trial_names_the_valid_numbers(writer: Writer, reader: Reader) -> None:
    fill(writer, "low")
    with pytest.raises(InputError, match="sweep 'low' has no trial 8; valid: 0 to 7"):
        reader.trial("low", 8)


def test_the_difference_view_is_the_core_s(writer: Writer, reader: Reader) -> None:
    first = np.full((2, 3, 3), 100, np.uint8)
    second = first.copy()
    second[0, 0] = (151, 49, 100)
    pictures = [
        EncodedPicture(str(index) * 64, png(pixels), png(pixels), 3, 2) for index, pixels in enumerate((first, second))
    ]
    wide = np.zeros((2, 4, 3), np.uint8)
    sweep = writer.create_sweep(new_sweep(images=[(IMAGES[0], "search", pictures[0])]))
    lease = writer.acquire_lease(sweep, "me", 60)
    writer.insert_trials(sweep, lease, new_trials(0))
    shown = tuple(
        PictureRecord(IMAGES[0], step, False, item)
        for step, item in enumerate((pictures[1], EncodedPicture("2" * 64, png(wide), png(wide), 4, 2)))
    )
    writer.finish_trials(sweep, lease, [FinishedTrial(record(0, pictures=shown), TrialState.COMPLETE, 1.0, [1.0])])

    signed = np.asarray(Image.open(io.BytesIO(reader.difference("0" * 64, "1" * 64, "signed", 0.5))))
    floats = [pixels.transpose(2, 0, 1) / np.float64(255) for pixels in (first, second)]
    expected = np.floor(signed_difference(floats[0], floats[1], 0.5) * 255 + 0.5).astype(np.uint8).transpose(1, 2, 0)
    np.testing.assert_array_equal(signed, expected)
    # By hand: an error of 51/255 = 0.2 on a scale of 0.5 is 0.2 above or below grey; absolute: 0.4 of white.
    assert signed[0, 0].tolist() == [179, 77, 128]
    absolute = np.asarray(Image.open(io.BytesIO(reader.difference("0" * 64, "1" * 64, "absolute", 0.5))))
    assert absolute[0, 0].tolist() == [102, 102, 0]
    assert absolute[1, 2].tolist() == [0, 0, 0]
    with pytest.raises(InputError, match="pictures of 3 x 2 and 4 x 2 pixels have no difference"):
        reader.difference("0" * 64, "2" * 64)
    with pytest.raises(InputError, match="unknown difference view 'sined'; did you mean 'signed'"):
        reader.difference("0" * 64, "1" * 64, "sined")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="must be > 0, but got 0"):
        reader.difference("0" * 64, "1" * 64, "signed", 0.0)


def test_thumbnails_and_results_of_many_trials_come_at_once(writer: Writer, reader: Reader) -> None:
    fill(writer, "low")
    results = reader.final_pictures("low")
    assert list(results["number"].unique()) == [0, 1, 2, 3, 4]
    assert set(results["step"]) == {20}
    assert list(reader.final_pictures("low", [3])["image"]) == sorted(IMAGES)
    thumbnails = reader.thumbnails([*results["sha256"], "missing"])
    assert set(thumbnails) == set(results["sha256"])
    assert thumbnails[results["sha256"][0]] == reader.thumbnail(results["sha256"][0])


def test_no_question_takes_more_statements_for_more_trials(writer: Writer, reader: Reader) -> None:
    fill(writer, "small")
    questions: dict[str, Callable[[], object]] = {
        "sweeps": reader.sweeps,
        "sweep": lambda: reader.sweep("small"),
        "trials": lambda: reader.trials("small"),
        "trial": lambda: reader.trial("small", 0),
        "best": lambda: reader.best("small"),
        "final_pictures": lambda: reader.final_pictures("small"),
        "outbox_pending": lambda: reader.outbox_pending("small"),
    }
    before = {name: statements(ask) for name, ask in questions.items()}
    lease = writer.acquire_lease(writer.find_sweep("small"), "me", 60)
    writer.insert_trials(writer.find_sweep("small"), lease, new_trials(*range(8, 60)))
    for number in range(3):
        fill(writer, f"more {number}")
    assert {name: statements(ask) for name, ask in questions.items()} == before
    assert before["sweeps"] == 3
    assert max(before.values()) <= 5


def test_size_counts_the_log(url: str, writer: Writer, reader: Reader) -> None:
    before = reader.size_bytes()
    fill(writer, "low")
    assert reader.size_bytes() > before > 0
