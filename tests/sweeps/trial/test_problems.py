"""From flat parameters to problems of the core."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from restoration_core.networks import Classifier, open_network
from restoration_core.objectives import mv2016
from restoration_core.priors import Recipe, Trained, TrainingReport
from restoration_core.priors.expert_functions import EXPERTS
from restoration_core.priors.patch_experts.patch_experts import PatchExperts
from restoration_core.reconstruction import Problem, solve
from restoration_core.seeds import derive_seed
from sweeps.priors.reference import PriorReference
from sweeps.priors.required import priors_needed
from sweeps.spec.load import parse_spec
from sweeps.spec.models import SweepSpec
from sweeps.trial.problems import build_problems
from sweeps.trial.raw_parameters import raw_parameters
from sweeps.trial.terms import PriorLookup

SPEC = """
images: [a, b]
image_size: 32
match: {layers: {conv2/relu: 1, conv3/relu: 0.5}}
budget: {iterations: 20}
save: {steps: [5, 15]}
baselines: [none, mv2016]
parameters:
  total_variation.weight: {distribution: log_uniform, min: 1e-3, max: 10}
  priors.image: {optional: true, expert: logistic, patch_size: {values: [5, 8]}, weight: 0.1}
  learning_rate: 0.1
"""


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return open_network("cifar_alexnet", "random")


@pytest.fixture(scope="module")
def spec() -> SweepSpec:
    return parse_spec(SPEC, check=False)


IMAGES = [(name, torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(n))) for n, name in enumerate("ab")]


def prior(reference: PriorReference) -> Trained:
    size = reference.patch_size or 3
    generator = torch.Generator().manual_seed(size)
    filters = torch.randn(4, 3, size, size, generator=generator)
    experts = PatchExperts(filters, torch.ones(4), torch.zeros(4), EXPERTS[reference.expert])
    return Trained(experts, Recipe(reference.expert, size, 4), TrainingReport(0, (), 0.0, 0.0, 0))


def problems_of(
    spec: SweepSpec,
    parameters: dict[str, Any],
    classifier: Classifier,
    images: list[tuple[str, torch.Tensor]],
    seed: int,
    lookup: PriorLookup,
) -> list[Problem]:
    raw = raw_parameters(spec, parameters, classifier, {})
    return build_problems(spec, raw, classifier, images, seed, lookup)


def test_one_problem_a_picture_with_seeds_of_their_own(spec: SweepSpec, classifier: Classifier) -> None:
    parameters = {"total_variation.weight": 0.5, "learning_rate": 0.1}
    problems = problems_of(spec, parameters, classifier, IMAGES, 7, prior)
    assert [problem.seed for problem in problems] == [derive_seed(7, "a"), derive_seed(7, "b")]
    assert [(match.layer, match.weight) for match in problems[0].matches] == [("conv2/relu", 1.0), ("conv3/relu", 0.5)]
    assert [(term.name, term.weight) for term in problems[0].terms] == [("total_variation", 0.5)]
    assert problems[0].snapshots == (5, 15)
    target = classifier.features(IMAGES[1][1][None], ["conv3/relu"])["conv3/relu"][0]
    torch.testing.assert_close(problems[1].matches[1].target, target)


def test_a_switched_off_prior_and_a_weight_of_zero_are_no_terms(spec: SweepSpec, classifier: Classifier) -> None:
    parameters = {"total_variation.weight": 0.0, "priors.image.enabled": False, "learning_rate": 0.1}
    assert problems_of(spec, parameters, classifier, IMAGES[:1], 0, prior)[0].terms == ()
    assert not any(name.startswith(("total", "priors")) for name in raw_parameters(spec, parameters, classifier, {}))


def test_rows_with_the_same_strided_prior_share_one_object(spec: SweepSpec, classifier: Classifier) -> None:
    kept = prior(PriorReference(None, "logistic", 5))
    parameters = {
        "priors.image.enabled": True,
        "priors.image.expert": "logistic",
        "priors.image.patch_size": 5,
        "priors.image.patch_stride": 2,
        "priors.image.weight": 0.1,
    }
    found = [
        problems_of(spec, parameters, classifier, IMAGES[:1], seed, lambda _: kept)[0].terms[0].prior for seed in (0, 1)
    ]
    assert isinstance(found[0], PatchExperts)
    assert found[0].patch_stride == 2
    assert found[0] is found[1]


def test_preset_has_the_papers_priors_and_the_sweeps_optimiser(spec: SweepSpec, classifier: Classifier) -> None:
    paper = mv2016(classifier, "conv3/relu")
    (problem,) = build_problems(
        spec,
        raw_parameters(spec, {"preset": "mv2016", "learning_rate": 0.1}, classifier, {}),
        classifier,
        IMAGES[:1],
        0,
        prior,
    )
    assert [term.weight for term in problem.terms] == [term.weight for term in paper.terms]
    assert [type(term.prior) for term in problem.terms] == [type(term.prior) for term in paper.terms]
    assert problem.bound == paper.bound
    assert problem.jitter == paper.jitter
    assert problem.iterations == 20
    assert problem.learning_rate.at(0) == problem.learning_rate.at(19) == 0.1


def test_falling_rate_starts_and_ends_where_it_was_told(spec: SweepSpec, classifier: Classifier) -> None:
    parameters = {"learning_rate": 0.1, "learning_rate_end": 0.001}
    (problem,) = problems_of(spec, parameters, classifier, IMAGES[:1], 0, prior)
    rates = [problem.learning_rate.at(step) for step in range(20)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[-1] == pytest.approx(0.001)
    assert rates == sorted(rates, reverse=True)


def test_problems_are_accepted_and_solved_by_the_core(spec: SweepSpec, classifier: Classifier) -> None:
    parameters = {
        "total_variation.weight": 0.5,
        "priors.image.enabled": True,
        "priors.image.expert": "logistic",
        "priors.image.patch_size": 5,
        "priors.image.weight": 0.1,
        "alpha_norm.weight": 0.1,
        "isotropic_range.weight": 0.1,
        "iterations": 6,
        "jitter": 2,
        "bound": 160,
        "coarse_to_fine": [[0, 2], [3, 1]],
    }
    problems = problems_of(spec, parameters, classifier, IMAGES, 0, prior)
    results = solve(classifier, problems, 32)
    assert [result.iterations for result in results] == [6, 6]
    assert set(results[0].snapshots) == {5}
    assert {"total_variation", "alpha_norm", "isotropic_range", "priors.image"} <= set(results[0].losses)


def test_priors_that_any_trial_may_ask_for_are_listed(spec: SweepSpec, classifier: Classifier) -> None:
    assert priors_needed(spec, classifier) == [PriorReference(None, "logistic", size) for size in (5, 8)]
    without = parse_spec(SPEC.replace("  priors.image:", "  #"), check=False)
    assert priors_needed(without, classifier) == []
