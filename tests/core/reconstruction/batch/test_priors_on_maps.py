"""Learned priors on feature maps as terms: the random subset of patches, alone, in a batch, and on average."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from restoration_core.errors import InputErrors
from restoration_core.networks import Classifier
from restoration_core.objectives import make_problem, none
from restoration_core.priors.expert_functions import EXPERTS
from restoration_core.priors.patch_experts.channel_subset import ChannelSubset
from restoration_core.priors.patch_experts.patch_experts import PatchExperts
from restoration_core.reconstruction import BatchSolver, Problem, Result, Term, solve
from restoration_core.reconstruction.batch.objective import BatchObjective

SIZE = 24


@pytest.fixture(scope="module")
def double(classifier: Classifier) -> Classifier:
    return classifier.to("cpu", torch.float64)


def map_prior(channels: int, stride: int) -> PatchExperts:
    generator = torch.Generator().manual_seed(channels)
    filters = torch.randn(10, channels, 3, 3, generator=generator)
    return PatchExperts(filters, torch.ones(10), torch.zeros(10), EXPERTS["student_t"], patch_stride=stride)


def on_map(network: Classifier, layer: str, stride: int, weight: float = 0.5) -> Term:
    return Term(f"priors.{layer}", map_prior(network.shape(layer, SIZE)[0], stride), weight, layer)


def problems(network: Classifier, photographs: Tensor, terms: Sequence[tuple[Term, ...]]) -> list[Problem]:
    preset = none(network, "conv3/relu").with_iterations(15)
    return [
        make_problem(network, image, "conv3/relu", preset, seed=seed, jitter=1 + seed % 2, terms=own)
        for seed, (image, own) in enumerate(zip(photographs, terms, strict=False))
    ]


def gap(first: Sequence[Result], second: Sequence[Result]) -> float:
    return max(float((a.image - b.image).abs().max()) for a, b in zip(first, second, strict=True))


def test_rows_with_few_patches_of_several_maps_are_the_same_alone_and_together(
    double: Classifier, photographs: Tensor
) -> None:
    strided, dense = on_map(double, "conv1/relu", 3), on_map(double, "conv1/relu", 1)
    deep = on_map(double, "conv2/relu", 2)
    image = Term("priors.image", map_prior(3, 2), 0.1)
    few = Term("few channels", ChannelSubset(map_prior(5, 2), (0, 2, 3, 7, 8), deep.prior.channels), 0.5, "conv2/relu")  # type: ignore[attr-defined]
    mixed = problems(double, photographs, [(strided,), (dense, deep), (image, deep, strided), (), (few, strided)])
    together = solve(double, mixed, SIZE, dtype=torch.float64)
    alone = [solve(double, [one], SIZE, dtype=torch.float64)[0] for one in mixed]
    assert gap(together, alone) < 1e-10
    for one, other in zip(together, alone, strict=True):
        assert one.curves.keys() == other.curves.keys()
        for name, values in one.curves.items():
            assert values == pytest.approx(other.curves[name], rel=1e-8)


def test_a_padded_single_row_on_a_map_replays_a_batch_to_the_last_bit(
    classifier: Classifier, photographs: Tensor
) -> None:
    terms = [(on_map(classifier, "conv2/relu", stride),) for stride in (2, 3, 2)]
    mixed = problems(classifier, photographs, terms)
    together = solve(classifier, mixed, SIZE)
    for one, other in zip(mixed, together, strict=True):
        assert torch.equal(solve(classifier, [one], SIZE)[0].image, other.image)


def objective_gradient(network: Classifier, problem: Problem, x: Tensor, corner: tuple[int, int] | None) -> Tensor:
    (term,) = problem.terms
    patches = None if corner is None else [{term.name: torch.tensor(corner)}]
    gradient = torch.empty_like(x)
    BatchObjective(network, [problem], [0]).gradient(x, gradient, patches)
    return gradient


def test_few_patches_of_a_map_pull_at_the_picture_without_bias_and_through_the_network(
    double: Classifier, photographs: Tensor
) -> None:
    (one,) = problems(double, photographs, [(on_map(double, "conv1/relu", 2, weight=3.0),)])
    (term,) = one.terms
    x = photographs[1:2].double()
    corners = [(down, right) for down in range(2) for right in range(2)]
    pulls = [objective_gradient(double, one, x, corner) for corner in corners]
    everything = objective_gradient(double, one, x, None)
    torch.testing.assert_close(torch.stack(pulls).mean(dim=0), everything, rtol=1e-9, atol=1e-12)
    assert all(float((pull - everything).abs().max()) > 1e-6 for pull in pulls)

    leaf = x.clone().requires_grad_()
    maps = double.features(leaf, ["conv1/relu", "conv3/relu"])
    target = one.matches[0].target.double()
    loss = (maps["conv3/relu"] - target).square().sum() / target.square().sum()
    prior = term.prior.to("cpu", torch.float64)
    loss = loss + term.weight * prior.differentiable(maps["conv1/relu"]).sum()
    torch.testing.assert_close(everything, torch.autograd.grad(loss, leaf)[0], rtol=1e-8, atol=1e-11)


def test_the_subset_is_drawn_anew_at_each_step_and_recorded_as_it_was_taken(
    double: Classifier, photographs: Tensor
) -> None:
    (one,) = problems(double, photographs, [(on_map(double, "conv1/relu", 3, weight=0.0),)])
    (term,) = one.terms
    frozen = replace(one, initial=photographs[1], iterations=6, learning_rate=type(one.learning_rate).constant(1e-30))
    (result,) = solve(double, [frozen], SIZE, dtype=torch.float64, record_every=1)
    prior = term.prior.to("cpu", torch.float64)
    seen = double.features(photographs[1:2].double(), ["conv1/relu"])["conv1/relu"]
    every = {
        float(prior.energy_at(seen, torch.tensor([[down, right]])))  # type: ignore[attr-defined]
        for down in range(3)
        for right in range(3)
    }
    values = result.curves[term.name][:-1]
    assert len(set(values)) > 2
    assert all(min(abs(value / known - 1) for known in every) < 1e-9 for value in values)
    assert result.losses[term.name] == pytest.approx(float(prior.energy(seen)), rel=1e-9)


def test_lbfgs_refuses_random_patches_of_maps_and_takes_all_of_them(
    classifier: Classifier, photographs: Tensor
) -> None:
    random, full, out = (
        on_map(classifier, "conv1/relu", stride, weight) for stride, weight in ((2, 1), (1, 1), (2, 0))
    )
    start, taken, idle = (
        replace(one, optimizer="lbfgs", jitter=1, iterations=3)
        for one in problems(classifier, photographs[:1].expand(3, -1, -1, -1), [(random,), (full,), (out,)])
    )
    with pytest.raises(InputErrors, match="takes no random patches, but got patch_stride 2"):
        solve(classifier, [start], SIZE)
    for allowed in (taken, idle):  # with weight 0 only the energy is computed, and that over all patches
        (result,) = solve(classifier, [allowed], SIZE, record_every=1)
        assert result.curves["priors.conv1/relu"][-1] == pytest.approx(result.losses["priors.conv1/relu"], rel=1e-5)


def test_no_energy_is_worked_out_between_two_records(
    classifier: Classifier, photographs: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    (one,) = problems(classifier, photographs, [(on_map(classifier, "conv1/relu", 1),)])
    calls: list[int] = []
    measured = PatchExperts.energy
    monkeypatch.setattr(PatchExperts, "energy", lambda self, x: calls.append(len(x)) or measured(self, x))
    monkeypatch.setattr(PatchExperts, "energy_and_gradient", None)
    solver: BatchSolver[int] = BatchSolver(classifier, SIZE, record_every=10)
    solver.add(0, one)
    solver.advance(12)
    assert calls == [1, 1]
