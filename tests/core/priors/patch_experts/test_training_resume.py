"""Training that is killed goes on where it was and gives bitwise the prior of one that was not; overfitting is told."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from restoration_core.errors import InputError
from restoration_core.priors.library.prior_library import PriorLibrary
from restoration_core.priors.maps.photographs import Photographs
from restoration_core.priors.patch_experts import training as module
from restoration_core.priors.patch_experts.recipe import Recipe
from restoration_core.priors.patch_experts.training import train_patch_experts
from restoration_core.priors.training.checkpoint import Checkpoint, optimizer_tensors, restore_optimizer

RECIPE = Recipe(
    "student_t", 3, 30, "sha256:noise", 24, patches=1500, iterations=80, batch=64, learning_rate=0.03, free_norms=True
)


def noise() -> Photographs:
    generator = torch.Generator().manual_seed(0)
    smooth = torch.nn.functional.avg_pool2d(torch.rand(3, 3, 44, 44, generator=generator), 3, 1)
    return Photographs("sha256:noise", list(smooth))


class Killed(Exception):
    pass


@pytest.mark.parametrize("bank", ["full", "channelwise", "separable"])
@pytest.mark.parametrize("last", [0, 25, 40])
def test_interrupted_training_gives_bitwise_the_same_prior(
    last: int, bank: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SECONDS_BETWEEN_CHECKPOINTS", -1.0)  # after every step, between checks too
    recipe = dataclasses.replace(RECIPE, bank=bank)
    whole = train_patch_experts(recipe, noise())
    checkpoint = Checkpoint(tmp_path / "state", recipe.key)
    saved, save = 0, checkpoint.save

    def dying(tensors: dict[str, torch.Tensor], state: dict[str, object]) -> None:
        nonlocal saved
        save(tensors, state)
        saved += 1
        if state["_step"] == last:
            raise Killed

    monkeypatch.setattr(checkpoint, "save", dying)
    with pytest.raises(Killed):
        train_patch_experts(recipe, noise(), checkpoint=checkpoint)
    assert saved == last + 1
    told: list[int] = []
    resumed = train_patch_experts(
        recipe, noise(), lambda step, *_: told.append(step), Checkpoint(tmp_path / "state", recipe.key)
    )
    assert min(told) > last
    assert resumed.report.losses == whole.report.losses
    for one, other in zip(_tensors(resumed.prior), _tensors(whole.prior), strict=True):
        assert torch.equal(one, other)


def _tensors(prior: object) -> list[torch.Tensor]:
    return [value for value in vars(prior).values() if isinstance(value, torch.Tensor)]


_SCRIPT = """
import sys, time
from pathlib import Path
from restoration_core.priors.library.prior_library import PriorLibrary
from tests.core.priors.patch_experts.test_training_resume import RECIPE, noise

def slowly(step, steps, loss):
    print(step, flush=True)
    time.sleep(0.05)

PriorLibrary(Path(sys.argv[1])).get(RECIPE, noise, slowly)
"""


@pytest.mark.slow
def test_a_process_killed_in_training_loses_nothing(tmp_path: Path) -> None:
    whole = PriorLibrary(tmp_path / "whole").get(RECIPE, noise)
    killed = PriorLibrary(tmp_path / "killed")
    process = subprocess.Popen(
        [sys.executable, "-c", _SCRIPT, str(killed.root)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[4],
    )
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= 30:
            os.kill(process.pid, signal.SIGKILL)
            break
    process.wait(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert not list(killed.root.glob("*.safetensors"))
    told: list[int] = []
    resumed = killed.get(RECIPE, noise, lambda step, *_: told.append(step))
    assert min(told) >= 30
    assert torch.equal(resumed.filters, whole.filters)  # type: ignore[attr-defined]
    assert torch.equal(resumed.alphas, whole.alphas)  # type: ignore[attr-defined]
    assert killed.entry(RECIPE.key).report.losses == PriorLibrary(tmp_path / "whole").entry(RECIPE.key).report.losses
    assert [path.suffix for path in killed.root.iterdir()] == [".safetensors"]  # the checkpoint is gone


def test_time_before_the_interruption_counts(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "state", RECIPE.key)
    train_patch_experts(RECIPE, noise(), lambda *_: time.sleep(0.01), checkpoint)
    assert train_patch_experts(RECIPE, noise(), checkpoint=checkpoint).report.train_time_s > 0.4


def test_state_of_another_training_is_passed_over(tmp_path: Path) -> None:
    other = dataclasses.replace(RECIPE, seed=1)
    path = tmp_path / "state"
    train_patch_experts(other, noise(), checkpoint=Checkpoint(path, other.key))
    told: list[int] = []
    train_patch_experts(RECIPE, noise(), lambda step, *_: told.append(step), Checkpoint(path, RECIPE.key))
    assert told[0] == 0


@pytest.mark.parametrize("content", [b"", b"rubbish", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_damaged_state_is_no_state(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_bytes(content)
    assert Checkpoint(path, "key").load() is None


def test_checkpoint_keeps_tensors_and_numbers_bit_by_bit(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "state", "key")
    assert checkpoint.load() is None
    tensors = {"half": torch.randn(3).half(), "long": torch.arange(4), "double": torch.rand(2, dtype=torch.float64)}
    state = {"loss": 0.1 + 0.2, "infinite": float("inf"), "steps": [1, 2]}
    checkpoint.save(tensors, state)
    found = checkpoint.load()
    assert found is not None
    assert found[1] == state
    assert all(torch.equal(found[0][name], tensor) for name, tensor in tensors.items())
    (tmp_path / "state.99.part").write_bytes(b"left by a kill")
    checkpoint.remove()
    assert not list(tmp_path.iterdir())


def test_optimiser_goes_on_with_the_state_it_had() -> None:
    def steps(parameter: torch.Tensor, optimizer: torch.optim.Optimizer, count: int) -> None:
        for _ in range(count):
            optimizer.zero_grad()
            (parameter**4).sum().backward()
            optimizer.step()

    parameter = torch.linspace(-1, 1, 5).requires_grad_()
    optimizer = torch.optim.Adam([parameter], lr=0.1)
    steps(parameter, optimizer, 3)
    other = parameter.detach().clone().requires_grad_()
    resumed = torch.optim.Adam([other], lr=0.1)
    restore_optimizer(resumed, {name: tensor.clone() for name, tensor in optimizer_tensors(optimizer).items()})
    steps(parameter, optimizer, 3)
    steps(other, resumed, 3)
    assert torch.equal(parameter, other)


def test_patches_learned_by_heart_stop_as_overfitting() -> None:
    # Four hundred patches without noise, many free filters: what is learned of them does not hold for others.
    recipe = dataclasses.replace(RECIPE, patches=400, experts=200, sigma=0.0005, learning_rate=0.01, iterations=1200)
    report = train_patch_experts(recipe, noise()).report
    assert report.stopped == "overfitting"
    assert report.iterations < 1200
    assert report.losses[-1][1] > report.best_loss + 1


def test_a_training_that_ran_its_course_says_so() -> None:
    assert train_patch_experts(RECIPE, noise()).report.stopped == "finished"


def test_a_loss_that_diverges_is_told() -> None:
    with pytest.raises(InputError, match=r"the loss diverged at step \d+ with 1e\+30; valid: a smaller one"):
        train_patch_experts(dataclasses.replace(RECIPE, learning_rate=1e30), noise())
