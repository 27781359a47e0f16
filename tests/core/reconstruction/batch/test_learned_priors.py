"""Learned patch priors as terms: the full sum and the random subset, alone and in a batch."""

from __future__ import annotations

import torch
from torch import Tensor

from restoration_core.networks import Classifier
from restoration_core.objectives import make_problem, none
from restoration_core.priors.expert_functions import EXPERTS
from restoration_core.priors.patch_experts.patch_experts import PatchExperts
from restoration_core.reconstruction import Problem, Result, Term, solve

SIZE = 24


def patch_prior(stride: int) -> PatchExperts:
    generator = torch.Generator().manual_seed(stride)
    filters = torch.randn(10, 3, 5, 5, generator=generator)
    alphas = torch.rand(10, generator=generator) + 0.1
    return PatchExperts(filters, alphas, torch.zeros(10), EXPERTS["student_t"], patch_stride=stride)


def problems(classifier: Classifier, photographs: Tensor, strides: tuple[int, ...]) -> list[Problem]:
    preset = none(classifier, "conv2/relu").with_iterations(20)
    priors = {stride: patch_prior(stride) for stride in set(strides)}
    return [
        make_problem(
            classifier,
            image,
            "conv2/relu",
            preset,
            seed=seed,
            jitter=1 + seed % 2,
            terms=(Term("priors.image", priors[stride], 0.05 * (seed + 1)),),
        )
        for seed, (image, stride) in enumerate(zip(photographs, strides, strict=False))
    ]


def gap(first: list[Result], second: list[Result]) -> float:
    return max(float((a.image - b.image).abs().max()) for a, b in zip(first, second, strict=True))


def test_rows_with_full_and_subset_sums_are_the_same_alone_and_together(
    classifier: Classifier, photographs: Tensor
) -> None:
    mixed = problems(classifier, photographs, (1, 2, 3, 2))
    together = solve(classifier, mixed, SIZE, dtype=torch.float64)
    alone = [solve(classifier, [one], SIZE, dtype=torch.float64)[0] for one in mixed]
    assert gap(together, alone) < 1e-10


def test_the_subset_is_drawn_from_the_rows_seed_and_its_energy_is_the_full_one(
    classifier: Classifier, photographs: Tensor
) -> None:
    (one,) = problems(classifier, photographs, (3,))
    first, again = solve(classifier, [one, one], SIZE)
    assert torch.equal(first.image, again.image)
    full = one.terms[0].prior.energy(first.image[None])
    assert abs(first.losses["priors.image"] - float(full)) < 0.05 * float(full)  # clamped against not clamped


def test_a_prior_lowers_its_own_energy(classifier: Classifier, photographs: Tensor) -> None:
    weak, strong = (
        make_problem(
            classifier,
            photographs[0],
            "conv2/relu",
            none(classifier, "conv2/relu").with_iterations(40),
            terms=(Term("priors.image", patch_prior(1), weight),),
        )
        for weight in (0.0, 1.0)
    )
    without, with_prior = solve(classifier, [weak, strong], SIZE)
    assert with_prior.losses["priors.image"] < 0.8 * without.losses["priors.image"]
