"""Training: it finds known sources, is decided by its seed, keeps the best state, and goes on after a kill."""

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
from restoration_core.priors.expert_functions import EXPERTS
from restoration_core.priors.library.prior_library import PriorLibrary
from restoration_core.priors.maps.photographs import Photographs
from restoration_core.priors.patch_experts.recipe import Recipe
from restoration_core.priors.patch_experts.training import train_patch_experts
from restoration_core.priors.patch_experts.whitened_patches.patches import plan_patches, stream_patches
from restoration_core.priors.training import loop
from restoration_core.priors.training.checkpoint import Checkpoint

RECIPE = Recipe(
    "student_t", 3, 30, "sha256:noise", 24, patches=1500, iterations=80, batch=64, learning_rate=0.03, free_norms=True
)
SMALL = Recipe("logistic", 3, 30, patches=4000, iterations=120, batch=128, learning_rate=0.05, short_side=40)


def noise() -> Photographs:
    generator = torch.Generator().manual_seed(0)
    smooth = torch.nn.functional.avg_pool2d(torch.rand(3, 3, 44, 44, generator=generator), 3, 1)
    return Photographs("sha256:noise", list(smooth))


def textures(count: int = 3, side: int = 40) -> Photographs:
    """Piecewise flat pictures: overlapping rectangles of random colours."""
    generator = torch.Generator().manual_seed(0)
    pictures = []
    for _ in range(count):
        picture = torch.full((3, side, side), 0.5)
        for _ in range(30):
            top, left = torch.randint(0, side - 4, (2,), generator=generator).tolist()
            height, width = torch.randint(3, 16, (2,), generator=generator).tolist()
            colour = torch.rand(3, 1, 1, generator=generator)
            picture[:, top : top + height, left : left + width] = colour
        pictures.append(picture)
    return Photographs("samples", pictures)


@pytest.mark.parametrize("expert", sorted(EXPERTS))
def test_training_lowers_the_held_out_loss_and_keeps_its_minimum(expert: str) -> None:
    report = train_patch_experts(dataclasses.replace(SMALL, expert=expert), textures()).report
    values = [loss for _, loss in report.losses]
    assert report.best_loss == min(values)
    assert report.best_loss < values[0] - 1
    assert report.losses[0][0] == 0
    assert report.losses[-1][0] == report.iterations == 120
    assert report.dims == 27


def test_same_seed_same_prior_and_another_seed_another() -> None:
    first, again, other = (
        train_patch_experts(dataclasses.replace(SMALL, iterations=20, seed=seed), textures()).prior
        for seed in (0, 0, 1)
    )
    assert torch.equal(first.filters, again.filters)
    assert torch.equal(first.alphas, again.alphas)
    assert not torch.equal(first.filters, other.filters)


@pytest.mark.parametrize("free", [False, True], ids=["unit", "free"])
def test_filters_have_norm_one_in_whitened_space_unless_freed(free: bool) -> None:
    recipe = dataclasses.replace(SMALL, free_norms=free, iterations=60)
    prior = train_patch_experts(recipe, textures()).prior
    plan = plan_patches(textures().sizes, 3, 4000, seed=5)
    ((_, patches),) = stream_patches(textures(), plan)
    noisy = patches + recipe.sigma * torch.randn(patches.shape, generator=torch.Generator().manual_seed(0))
    deviation = (noisy @ prior.filters.flatten(1).T + prior.bias).square().mean(dim=0).sqrt()
    # A unit filter on white data has responses of deviation 1.
    assert bool((deviation - 1).abs().amax() < 0.15) is not free


def test_alphas_are_positive() -> None:
    assert (train_patch_experts(SMALL, textures()).prior.alphas > 0).all()


@pytest.mark.parametrize("whitening", ["pca", "zca"])
def test_removed_dc_gives_filters_without_a_mean(whitening: str) -> None:
    recipe = dataclasses.replace(SMALL, remove_dc=True, whitening=whitening, dims=20, iterations=10)
    trained = train_patch_experts(recipe, textures())
    assert trained.prior.filters.mean(dim=(2, 3)).abs().amax() < 1e-3 * trained.prior.filters.abs().amax()


def test_progress_is_told_at_every_check() -> None:
    told: list[tuple[int, int, float]] = []
    report = train_patch_experts(SMALL, textures(), lambda *values: told.append(values)).report
    assert [(step, loss) for step, _, loss in told] == list(report.losses)
    assert {steps for _, steps, _ in told} == {120}


def test_too_few_patches_are_refused() -> None:
    with pytest.raises(InputError, match="are wanted of it"):
        train_patch_experts(dataclasses.replace(SMALL, patches=5000), textures())


def test_pictures_of_one_colour_are_refused() -> None:
    flat = Photographs("samples", [torch.full((3, 40, 40), value) for value in (0.2, 0.5, 0.8)])
    with pytest.raises(InputError, match="pictures: each is of one colour everywhere, so there is no variance"):
        train_patch_experts(SMALL, flat)


@pytest.mark.slow
def test_independent_sources_are_found_again() -> None:
    # Pixels of one colour channel are independent Laplace noise: the axes of the pixels are the sources.
    generator = torch.Generator().manual_seed(0)
    uniform = torch.rand(2, 3, 120, 120, generator=generator) - 0.5
    pictures = list(0.5 - 0.1 * uniform.sign() * torch.log1p(-2 * uniform.abs().clamp(max=0.499)))
    recipe = Recipe("logistic", 2, 12, patches=20_000, iterations=800, batch=512, learning_rate=0.03, sigma=0.0)
    filters = train_patch_experts(recipe, Photographs("samples", pictures)).prior.filters.flatten(1)
    peakedness = filters.abs().amax(dim=1) / filters.norm(dim=1)
    assert peakedness.median() > 0.95
    # Each of the twelve axes has a filter.
    assert len(set(filters.abs().argmax(dim=1).tolist())) >= 11


@pytest.mark.parametrize("experts", [1, 2])
def test_few_experts_on_many_dimensions_are_trained(experts: int) -> None:
    recipe = Recipe("logistic", 8, experts, patches=2000, iterations=5, short_side=40)
    trained = train_patch_experts(recipe, textures())
    assert trained.report.dims / experts > 89
    # The first weight of few filters is limited: each starts as if it stood for four dimensions.
    torch.testing.assert_close(trained.prior.alphas, torch.full((experts,), 6.0), rtol=0.05, atol=0)


class Killed(Exception):
    pass


@pytest.mark.parametrize("bank", ["full", "channelwise", "separable"])
@pytest.mark.parametrize("last", [0, 25, 40])
def test_interrupted_training_gives_bitwise_the_same_prior(
    last: int, bank: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_SAVES", -1.0)  # after every step, between checks too
    recipe = dataclasses.replace(RECIPE, bank=bank)
    whole = train_patch_experts(recipe, noise())
    checkpoint = Checkpoint(tmp_path / "state", recipe.key)
    saved, save = 0, checkpoint.save

    def dying(tensors: dict[str, torch.Tensor], state: dict[str, object]) -> None:
        nonlocal saved
        save(tensors, state)
        saved += 1
        if state["step"] == last:
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
from tests.core.priors.patch_experts.test_training import RECIPE, noise

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
