"""Training: it finds the best denoiser where that is known, goes on after a kill, stops when it learns no more."""

from __future__ import annotations

import dataclasses
import math
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.priors.denoiser import samples, training
from restoration_core.priors.denoiser.denoiser import Denoiser
from restoration_core.priors.denoiser.recipe import DenoiserRecipe
from restoration_core.priors.denoiser.samples import Crops, split
from restoration_core.priors.denoiser.training import train_denoiser
from restoration_core.priors.library.blobs import from_blob, to_blob
from restoration_core.priors.maps.source import LayerMaps
from restoration_core.priors.training.checkpoint import Checkpoint

MAPS = LayerMaps("some_network", "weights", "conv1")
SMALL = DenoiserRecipe(
    short_side=24, crop=16, batch=8, width=12, depth=4, iterations=80, scales=(1.0,), levels=(0.05, 0.5),
    held_out_levels=(0.1, 0.3), learning_rate=0.01,
)  # fmt: skip


class Source:
    """Maps in memory that counts how many are asked for at once."""

    def __init__(self, maps: Sequence[Tensor], layer_maps: LayerMaps | None = None) -> None:
        self._maps, self.layer_maps, self.identity = list(maps), layer_maps, "samples"
        self.channels = self._maps[0].shape[0] if self._maps else 3
        self.most, self.asked = 0, 0

    def __len__(self) -> int:
        return len(self._maps)

    def maps(self, indices: Sequence[int]) -> list[Tensor]:
        self.most, self.asked = max(self.most, len(indices)), self.asked + len(indices)
        return [self._maps[index] for index in indices]


def gaussian(count: int, channels: int, side: int, spread: float, mean: float = 0.5) -> Source:
    generator = torch.Generator().manual_seed(3)
    return Source([mean + spread * torch.randn(channels, side, side, generator=generator) for _ in range(count)])


def smooth(count: int, side: int = 24, seed: int = 0) -> Source:
    """Pictures of a few large discs of one colour."""
    generator = torch.Generator().manual_seed(seed)
    axis = torch.arange(side)
    pictures = []
    for _ in range(count):
        picture = torch.rand(3, 1, 1, generator=generator).repeat(1, side, side)
        for _ in range(4):
            down, right, radius = (torch.rand(3, generator=generator) * side).tolist()
            inside = (axis[:, None] - down) ** 2 + (axis - right) ** 2 < radius**2 / 4
            picture = torch.where(inside, torch.rand(3, 1, 1, generator=generator), picture)
        pictures.append(picture)
    return Source(pictures)


def same(first: Denoiser, second: Denoiser) -> bool:
    pairs = [(first.centre, second.centre)]
    pairs += list(zip(first.network.tensors().values(), second.network.tensors().values(), strict=True))
    return all(torch.equal(a, b) for a, b in pairs) and (first.unit, first.noise) == (second.unit, second.noise)


def test_on_gaussian_pixels_it_finds_the_best_denoiser() -> None:
    recipe = dataclasses.replace(
        SMALL, iterations=250, factor=1, depth=2, levels=(0.24, 0.26), held_out_levels=(0.25,), learning_rate=0.03
    )
    trained = train_denoiser(recipe, gaussian(20, 2, 16, 0.25))
    # Maps and noise have the same variance, so the best possible prediction of the noise has the error 1/2.
    assert trained.report.best_loss == pytest.approx(0.5, rel=0.08)
    assert trained.report.losses[0][1] == pytest.approx(1.0, abs=0.03)


def test_it_keeps_the_lowest_held_out_loss_and_tells_progress() -> None:
    told: list[tuple[int, int, float]] = []
    trained = train_denoiser(SMALL, smooth(20), lambda *values: told.append(values))
    report = trained.report
    assert [(step, loss) for step, _, loss in told] == list(report.losses)
    assert report.losses[0][0] == 0
    assert report.losses[-1][0] == report.iterations == 80
    assert report.best_loss == min(loss for _, loss in report.losses) < 0.8 * report.losses[0][1]
    assert report.stopped == "finished"
    prior = trained.prior
    assert isinstance(prior, Denoiser)
    left = split(SMALL, smooth(20))[1].judge(prior.network, prior.centre, prior.unit)
    assert sum(left) / 2 == pytest.approx(report.best_loss)


def test_same_seed_same_prior_and_another_seed_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "MOST_NOISE_LEFT", 2)  # so short a training learns nothing yet
    short = dataclasses.replace(SMALL, iterations=10)
    first, again, other = (train_denoiser(dataclasses.replace(short, seed=seed), smooth(6)).prior for seed in (0, 0, 1))
    assert isinstance(first, Denoiser) and isinstance(again, Denoiser) and isinstance(other, Denoiser)  # noqa: PT018
    assert same(first, again)
    assert not same(first, other)


def test_levels_on_maps_count_in_their_standard_deviation() -> None:
    pixels = gaussian(12, 4, 16, 50.0, mean=-200.0)
    source = Source(pixels.maps(range(12)), MAPS)
    recipe = dataclasses.replace(SMALL, maps=MAPS, iterations=100, levels=(0.5, 2.0), held_out_levels=(1.0,))
    trained = train_denoiser(recipe, source)
    # White maps with equally strong noise: half of the noise can be predicted.
    assert 0.5 <= trained.report.best_loss < 0.9
    prior = trained.prior
    assert isinstance(prior, Denoiser)
    assert prior.unit == pytest.approx(50, rel=0.05)
    torch.testing.assert_close(prior.centre, torch.full((4,), -200.0), rtol=0.02, atol=0)
    again = from_blob(to_blob(trained)).prior
    assert isinstance(again, Denoiser)
    assert same(prior, again)
    x = source.maps([0])[0][None]
    assert torch.equal(again.gradient(x), prior.gradient(x))


def test_a_file_whose_tensors_are_not_the_recipes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "MOST_NOISE_LEFT", 2)
    trained = train_denoiser(dataclasses.replace(SMALL, iterations=20), smooth(3))
    for wrong in ({"depth": 6}, {"width": 13}):
        other = dataclasses.replace(trained, recipe=dataclasses.replace(SMALL, iterations=20, **wrong))  # type: ignore[arg-type]
        with pytest.raises(InputError, match="4 layers of width 12 where its recipe says"):
            from_blob(to_blob(other))


def test_examples_depend_on_seed_and_step_alone() -> None:
    centre = torch.full((3,), 0.5)
    crops, again = (split(SMALL, smooth(10))[0] for _ in range(2))
    for step in (3, 0, 7):
        again.noisy(step + 1, centre, 1.0)
        one, two = crops.noisy(step, centre, 1.0), again.noisy(step, centre, 1.0)
        assert torch.equal(one.scaled, two.scaled)
        assert torch.equal(one.noise, two.noise)
    low, high = SMALL.levels
    many = dataclasses.replace(SMALL, batch=500)
    sigmas = split(many, smooth(10))[0].noisy(0, centre, 1.0).sigmas
    assert low <= float(sigmas.min()) < 1.1 * low
    assert 0.9 * high < float(sigmas.max()) <= high
    assert float(sigmas.log().mean()) == pytest.approx((math.log(low) + math.log(high)) / 2, abs=0.1)


def test_what_the_network_sees_is_the_map_over_the_noise_plus_noise() -> None:
    centre = torch.tensor([0.1, 0.2, 0.3])
    crops, clean = (split(SMALL, smooth(10))[0] for _ in range(2))
    found = crops.noisy(4, centre, 2.0)
    wanted = (clean.clean(4, 8) - centre[:, None, None]) / 2 / found.sigmas[:, None, None, None] + found.noise
    torch.testing.assert_close(found.scaled, wanted)


def test_held_out_maps_are_never_shown() -> None:
    source = Source([torch.full((3, 24, 24), float(index)) for index in range(20)])
    shown, held_out = split(SMALL, source)
    seen = {float(value) for step in range(30) for value in shown.clean(step, 8)[:, 0, 0, 0]}
    judged = {float(value) for value in held_out.clean(0, 200)[:, 0, 0, 0]}
    assert len(judged) == 2
    assert seen | judged == set(range(20))
    assert not seen & judged


def test_maps_that_do_not_fit_the_pool_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "POOL_BYTES", 10 * 3 * 24 * 24 * 4)
    source = Source([torch.full((3, 24, 24), float(index)) for index in range(60)])
    crops = Crops(SMALL, source, range(60), "shown")
    turns = [{float(v) for step in (50 * turn, 50 * turn + 49) for v in crops.clean(step, 99)[:, 0, 0, 0]}
             for turn in range(3)]  # fmt: skip
    assert [len(turn) for turn in turns] == [10, 10, 10]
    assert turns[0] != turns[1] != turns[2]
    assert source.most <= 8
    # Asked for an earlier step again, as by a resumed training, it gives the same maps.
    assert {float(v) for v in crops.clean(0, 99)[:, 0, 0, 0]} == turns[0]


def test_pictures_are_shown_smaller_and_mirrored_and_maps_of_a_layer_are_not() -> None:
    ramp = torch.linspace(0, 1, 48).expand(3, 48, 48)
    recipe = dataclasses.replace(SMALL, scales=(1.0, 0.5, 0.3))
    slopes = torch.cat([
        crops.diff(dim=-1).mean((1, 2, 3)) for step in range(20)
        for crops in [Crops(recipe, Source([ramp, ramp]), [0, 1], "shown").clean(step, 8)]
    ]) * 47  # fmt: skip
    found = {round(float(slope)) for slope in slopes}
    assert found == {1, -1, 2, -2}  # a third of 48 px no longer holds a crop of 16
    layer = dataclasses.replace(recipe, maps=MAPS)
    plain = Crops(layer, Source([ramp, ramp], MAPS), [0, 1], "shown").clean(0, 99).diff(dim=-1).mean((1, 2, 3)) * 47
    assert {round(float(slope)) for slope in plain} == {1}


def test_maps_smaller_than_a_crop_are_shown_whole_in_blocks() -> None:
    source = gaussian(4, 2, 7, 1.0)
    assert split(SMALL, source)[0].clean(0, 5).shape == (5, 2, 6, 6)


@pytest.mark.parametrize(
    ("source", "fields", "message"),
    [
        (smooth(1), {}, "pictures: at least 2 are needed, one of them held out, but got 1"),
        (Source([torch.ones(3, 24, 24)] * 3), {}, "each is of one colour everywhere, so there is no variance to learn"),
        (gaussian(3, 2, 1, 1.0), {}, "at least 2 x 2 values are needed, but got .1, 1."),
        (
            smooth(4),
            {"learning_rate": 1e-12, "iterations": 3},
            r"after 3 of 3 steps with a learning rate of 1e-12 held-out maps have 0\.998 of the noise left",
        ),
        (smooth(4), {"iterations": 15}, r"have 0\.9\d+ of the noise left, but at most 0\.9 must be; valid: more"),
        (smooth(4), {"learning_rate": 1e30}, r"learning_rate: the loss diverged at step \d+ with 1e\+30"),
    ],
    ids=["one picture", "constant", "too small", "nothing learned", "little learned", "diverged"],
)
def test_what_cannot_be_learned_from_is_refused(source: Source, fields: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        train_denoiser(dataclasses.replace(SMALL, **fields), source)  # type: ignore[arg-type]


def test_it_stops_when_only_what_it_was_shown_still_gets_better() -> None:
    recipe = dataclasses.replace(
        SMALL, iterations=1200, width=32, crop=8, batch=16, factor=1, flips=False, levels=(0.2, 0.5),
        held_out_levels=(0.3,),
    )  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    # Random pixels have no structure, so the pictures can only be learned by heart.
    report = train_denoiser(recipe, Source([torch.rand(3, 8, 8, generator=generator) for _ in range(2)])).report
    assert report.stopped == "overfitting"
    assert report.iterations < 1200
    assert report.best_loss < report.losses[-1][1]


_TRAIN = """
import sys
from pathlib import Path
from restoration_core.priors.library.blobs import to_blob
from restoration_core.priors.training.checkpoint import Checkpoint
from tests.core.priors.denoiser.test_training import LONGER, smooth
from restoration_core.priors.denoiser.training import train_denoiser
import torch
torch.set_num_threads(1)
checkpoint = Checkpoint(Path(sys.argv[1]), LONGER.key)
train_denoiser(LONGER, smooth(20), lambda step, most, loss: print(step, flush=True), checkpoint)
"""
LONGER = dataclasses.replace(SMALL, iterations=160)


@pytest.mark.slow
def test_a_killed_training_goes_on_and_gives_the_same_prior(tmp_path: Path) -> None:
    path = tmp_path / "training.checkpoint"
    root = Path(__file__).parents[4]
    command = [sys.executable, "-c", _TRAIN, str(path)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=root, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert process.stdout is not None
    while int(process.stdout.readline()) < 40:
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = Checkpoint(path, LONGER.key).load()
    assert kept is not None
    assert 40 <= kept[1]["step"] < LONGER.iterations
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        told: list[int] = []
        resumed = train_denoiser(LONGER, smooth(20), lambda step, *_: told.append(step), Checkpoint(path, LONGER.key))
        straight = train_denoiser(LONGER, smooth(20))
    finally:
        torch.set_num_threads(threads)
    assert told[0] == kept[1]["step"] + LONGER.iterations // 40
    assert isinstance(resumed.prior, Denoiser) and isinstance(straight.prior, Denoiser)  # noqa: PT018
    assert same(resumed.prior, straight.prior)
    assert resumed.report.losses == straight.report.losses
