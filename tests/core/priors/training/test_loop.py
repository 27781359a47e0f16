"""The training loop: when it checks, saves and stops, and that it goes on after a kill as if nothing had happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.priors.training import CheckedTraining, Checkpoint, loop, run_training


class Slope(CheckedTraining):
    """Two numbers pulled towards random places; the losses at the checks may be given."""

    def __init__(
        self, iterations: int = 100, held_out: Sequence[float] = (), shown: Sequence[float] = (), rate: float = 0.1
    ) -> None:
        super().__init__({"place": torch.full((2,), 10.0).requires_grad_()}, rate, iterations)
        self._held_out, self._shown = held_out, shown
        self.generator = torch.Generator().manual_seed(0)
        self.judged = 0

    def rate_share(self) -> float:
        return 1 - self.step / self.iterations

    def compute_gradient(self) -> None:
        (self.leaves["place"] - torch.randn(2, generator=self.generator)).square().sum().backward()

    def judge(self) -> tuple[float, float]:
        self.judged += 1
        place = len(self.losses)
        if self._held_out:
            return self._held_out[min(place, len(self._held_out) - 1)], self._shown[min(place, len(self._shown) - 1)]
        loss = float(self.leaves["place"].square().sum())
        return loss, loss

    def own_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return {"generator": self.generator.get_state()}, {"judged": self.judged}

    def restore_own(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        self.generator.set_state(tensors["generator"])
        self.judged = values["judged"]


class Killed(Exception):
    pass


@pytest.mark.parametrize("last", [0, 1, 7, 50, 99])
def test_a_training_that_was_killed_after_any_save_goes_on_to_the_same_bits(
    last: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_SAVES", -1.0)  # a save after every step, between checks too
    whole = run_training(lambda _: Slope())
    checkpoint = Checkpoint(tmp_path / "state", "key")
    save = checkpoint.save

    def dying(tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        save(tensors, state)
        if state["step"] == last:
            raise Killed

    monkeypatch.setattr(checkpoint, "save", dying)
    with pytest.raises(Killed):
        run_training(lambda _: Slope(), checkpoint=checkpoint)
    told: list[int] = []
    resumed = run_training(lambda _: Slope(), lambda step, *_: told.append(step), Checkpoint(tmp_path / "state", "key"))
    assert min(told) > last
    assert (resumed.losses, resumed.judged, resumed.stopped) == (whole.losses, whole.judged, whole.stopped)
    assert torch.equal(resumed.leaves["place"], whole.leaves["place"])
    assert torch.equal(resumed.best["place"], whole.best["place"])


@pytest.mark.parametrize(("iterations", "checks"), [(100, 51), (40, 41), (3, 4), (85, 44)])
def test_checks_come_before_the_first_step_every_fortieth_and_at_the_last(iterations: int, checks: int) -> None:
    told: list[int] = []
    training = run_training(lambda _: Slope(iterations), lambda step, *_: told.append(step))
    assert told == [step for step, _ in training.losses]
    assert (told[0], told[-1], len(told)) == (0, iterations, checks)


def test_the_lowest_held_out_loss_decides_what_is_kept() -> None:
    losses = [5.0, 3.0, 4.0, 2.0, *[6.0] * 40]
    training = run_training(lambda _: Slope(40, losses, losses))
    other = run_training(lambda _: Slope(40, losses[:4], losses[:4]))
    assert training.best_loss == 2.0
    assert torch.equal(training.best["place"], other.best["place"])


@pytest.mark.parametrize(("shown", "reason"), [((3.0, 2.0, 1.0), "overfitting"), ((3.0, 2.0, 2.0), "stalled")])
def test_it_stops_after_twelve_checks_without_progress_and_says_why(shown: tuple[float, ...], reason: str) -> None:
    training = run_training(lambda _: Slope(400, (3.0, 1.0, 2.0), shown))
    assert (len(training.losses), training.stopped) == (2 + loop.PATIENCE, reason)


def test_an_equal_loss_is_no_progress() -> None:
    assert len(run_training(lambda _: Slope(400, (1.0,), (1.0,))).losses) == 1 + loop.PATIENCE


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_is_told(loss: float) -> None:
    with pytest.raises(InputError, match=r"the loss diverged at step 1 with 0\.5; valid: a smaller one"):
        run_training(lambda _: Slope(40, (1.0, loss), (1.0,), rate=0.5))


def test_without_a_checkpoint_the_training_begins_with_nothing_and_with_one_it_gets_its_tensors(tmp_path: Path) -> None:
    given: list[set[str]] = []

    def begin(tensors: Mapping[str, Tensor]) -> Slope:
        given.append(set(tensors))
        return Slope()

    for _ in range(2):
        run_training(begin, checkpoint=Checkpoint(tmp_path / "state", "key"))
    assert given[0] == set()
    assert {"generator", "leaf.place", "best.place", "optimizer.0.exp_avg"} <= given[1]
