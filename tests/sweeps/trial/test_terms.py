"""The problem built from a spec is the one built by hand through the core: terms on maps, schedules, noise levels."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from restoration_core.errors import InputError
from restoration_core.networks import Classifier, open_network
from restoration_core.objectives import open_preset
from restoration_core.objectives.feature_match import feature_targets
from restoration_core.priors import PriorLibrary, TotalVariation, Trained, default_recipe
from restoration_core.priors.convolutional_experts.convolutional_experts import ConvolutionalExperts
from restoration_core.priors.convolutional_experts.recipe import default_field_recipe
from restoration_core.priors.denoiser.denoiser import Denoiser
from restoration_core.priors.denoiser.recipe import default_denoiser_recipe
from restoration_core.priors.patch_experts.patch_experts import PatchExperts
from restoration_core.reconstruction import FeatureMatch, Problem, Result, Schedule, Term, solve
from restoration_core.seeds import derive_seed
from sweeps.lifecycle.placeholder_priors import PlaceholderPriors
from sweeps.priors.recipes import recipe_of
from sweeps.priors.reference import PriorReference
from sweeps.spec.load import parse_spec
from sweeps.spec.models import PRESET_BASELINES, SweepSpec
from sweeps.trial.problems import build_problems
from sweeps.trial.raw_parameters import raw_parameters

SPEC = """
images: [a]
image_size: 32
match: conv3/relu
budget: {iterations: 12}
parameters: {learning_rate: 0.1}
"""
PICTURE = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(1))
LIBRARY = PriorLibrary()


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return open_network("cifar_alexnet")


@pytest.fixture(scope="module")
def spec() -> SweepSpec:
    return parse_spec(SPEC, check=False)


def kept(classifier: Classifier) -> Any:
    """Look references up among the priors that ship."""

    def look_up(reference: PriorReference) -> Trained:
        return LIBRARY.trained(recipe_of(reference, classifier).key)

    return look_up


def by_spec(spec: SweepSpec, parameters: dict[str, Any], classifier: Classifier, lookup: Any = None) -> Problem:
    (problem,) = build_problems(
        spec,
        raw_parameters(spec, parameters, classifier, {}),
        classifier,
        [("a", PICTURE)],
        5,
        lookup or kept(classifier),
    )
    return problem


def solved(problem: Problem, classifier: Classifier) -> Result:
    (result,) = solve(classifier, [problem], 32)
    return result


def test_a_specs_problem_gives_the_same_pixels_as_one_made_by_hand(spec: SweepSpec, classifier: Classifier) -> None:
    parameters = {
        "total_variation.weight": 0.2,
        "total_variation.schedule": [[0, 1], [8, 0.5]],
        "priors.image.expert": "convolutional",
        "priors.image.weight": 1e-3,
        "priors.image.noise_level": 0.05,
        "priors.conv2/relu.weight": 1e-4,
        "priors.conv2/relu.patch_stride": 2,
        "priors.conv2/relu.schedule": [[0, 0], [9, 1]],
        "optimizer": "momentum",
        "momentum": 0.8,
        "learning_rate": 0.5,
        "jitter": 3,
        "jitter_canvas": "canvas",
        "initial_noise": "unit_norm",
        "initial_std": 0.2,
    }
    field = LIBRARY.load(default_field_recipe().key)
    assert isinstance(field, ConvolutionalExperts)
    on_maps = LIBRARY.load(default_recipe("student_t", layer="conv2/relu").key)
    assert isinstance(on_maps, PatchExperts)
    target = feature_targets(classifier, PICTURE, ["conv3/relu"])["conv3/relu"]
    by_hand = Problem(
        (FeatureMatch("conv3/relu", target),),
        (
            Term("total_variation", TotalVariation(2.0), 0.2, schedule=Schedule(((0, 1.0), (8, 0.5)))),
            Term("priors.image", field.at_noise(0.05), 1e-3),
            Term("priors.conv2/relu", on_maps.with_stride(2), 1e-4, "conv2/relu", Schedule(((0, 0.0), (9, 1.0)))),
        ),
        iterations=12,
        learning_rate=Schedule.constant(0.5),
        optimizer="momentum",
        momentum=0.8,
        jitter=3,
        jitter_canvas="canvas",
        initial_noise="unit_norm",
        initial_std=0.2,
        seed=derive_seed(5, "a"),
    )
    ours, theirs = solved(by_spec(spec, parameters, classifier), classifier), solved(by_hand, classifier)
    assert torch.equal(ours.image, theirs.image)
    assert ours.losses == theirs.losses


def test_a_noise_schedule_is_one_term_a_level_each_in_its_stage(spec: SweepSpec, classifier: Classifier) -> None:
    problem = by_spec(
        spec,
        {
            "priors.image@d.expert": "denoiser",
            "priors.image@d.weight": 0.5,
            "priors.image@d.noise_schedule": [[0, 0.2], [4, 0.1], [8, 0.2]],
            "priors.image@d.schedule": [[0, 1], [6, 0.5]],
        },
        classifier,
    )
    weights = {term.name: [term.weight_at(step) for step in range(0, 12, 2)] for term in problem.terms}
    assert weights == {
        "priors.image@d 0.2": [0.5, 0.5, 0.0, 0.0, 0.25, 0.25],
        "priors.image@d 0.1": [0.0, 0.0, 0.5, 0.25, 0.0, 0.0],
    }
    levels = [term.prior.noise for term in problem.terms if isinstance(term.prior, Denoiser)]
    assert levels == [0.2, 0.1]


def test_two_priors_at_one_place_and_rows_share_their_objects(spec: SweepSpec, classifier: Classifier) -> None:
    shelf = PlaceholderPriors(classifier)
    parameters = {
        "priors.image.weight": 0.1,
        "priors.image@d.expert": "denoiser",
        "priors.image@d.noise_level": 0.1,
        "priors.image@d.weight": 0.1,
    }
    first, second = (by_spec(spec, parameters, classifier, shelf) for _ in range(2))
    assert [type(term.prior) for term in first.terms] == [PatchExperts, Denoiser]
    assert [a.prior is b.prior for a, b in zip(first.terms, second.terms, strict=True)] == [True, True]


def test_a_named_prior_is_the_librarys(spec: SweepSpec, classifier: Classifier) -> None:
    key = default_denoiser_recipe().key
    parameters = {"priors.image.prior": key, "priors.image.weight": 0.1, "priors.image.noise_level": 0.07}
    (term,) = by_spec(spec, parameters, classifier).terms
    assert isinstance(term.prior, Denoiser)
    assert term.prior.noise == 0.07
    with pytest.raises(InputError, match=r"0\.01 <= noise level <= 0\.3 must hold for denoiser"):
        by_spec(spec, parameters | {"priors.image.noise_level": 0.7}, classifier)
    patches = {"priors.image.prior": "student_t-8x8-512", "priors.image.weight": 1, "priors.image.noise_level": 0.1}
    with pytest.raises(InputError, match="student_t-8x8-512 has no noise levels"):
        by_spec(spec, patches, classifier)


@pytest.mark.parametrize("name", PRESET_BASELINES)
def test_a_presets_baseline_has_its_priors_bound_and_jitter(name: str, spec: SweepSpec, classifier: Classifier) -> None:
    preset = open_preset(name, classifier, "conv3/relu").with_iterations(12)
    problem = by_spec(spec, {"preset": name, "learning_rate": 0.1}, classifier)
    assert [term.weight for term in problem.terms] == [term.weight for term in preset.terms]
    x = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    for ours, theirs in zip(problem.terms, preset.terms, strict=True):
        torch.testing.assert_close(ours.prior.energy(x), theirs.prior.energy(x), rtol=0, atol=0)
    assert (problem.bound, problem.jitter) == (preset.bound, preset.jitter)
    assert problem.learning_rate == Schedule.constant(0.1)
