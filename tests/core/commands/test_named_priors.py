"""Priors by the names of the command line: where they act, which is found, in which units."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch

from restoration_core.calibration.calibration_library import CalibrationLibrary
from restoration_core.commands.named_priors import name_prior
from restoration_core.commands.prior_terms import calibrate_terms, given_terms, with_stride
from restoration_core.errors import InputError
from restoration_core.networks import Classifier, open_network
from restoration_core.priors import PatchExperts, TotalVariation
from restoration_core.priors.convolutional_experts.convolutional_experts import ConvolutionalExperts
from restoration_core.priors.convolutional_experts.recipe import default_field_recipe
from restoration_core.priors.denoiser.denoiser import Denoiser
from restoration_core.priors.denoiser.recipe import default_denoiser_recipe
from restoration_core.priors.expert_functions import StudentT
from restoration_core.priors.library.blobs import to_blob
from restoration_core.priors.library.prior_library import PriorLibrary
from restoration_core.priors.maps.feature_maps import layer_maps
from restoration_core.priors.patch_experts.recipe import Recipe
from restoration_core.priors.training.family import Trained, TrainingReport
from restoration_core.reconstruction import Term


@cache
def network() -> Classifier:
    return open_network()


@pytest.fixture
def library(tmp_path: Path) -> PriorLibrary:
    """A library with a small prior on maps of pool1 besides what ships."""
    shelf = PriorLibrary(tmp_path)
    generator = torch.Generator().manual_seed(0)
    channels = network().shape("pool1", 32)[0]
    filters = torch.randn(4, channels, 2, 2, generator=generator) / 10
    prior = PatchExperts(filters, torch.ones(4), torch.zeros(4), StudentT())
    recipe = Recipe("student_t", 2, 4, dims=4, sigma=0.1, maps=layer_maps(network(), "pool1"))
    shelf.add(to_blob(Trained(prior, recipe, TrainingReport(1, ((0, 1.0),), 1.0, 0.0, 4)), ""))
    return shelf


def test_a_prior_on_a_layers_maps_is_found_by_expert_and_size(library: PriorLibrary) -> None:
    term = given_terms(["pool1=student_t:2"], [0.5], network(), library)[0].term
    assert (term.name, term.layer, term.weight) == ("priors.pool1", "pool1", 0.5)
    assert isinstance(term.prior, PatchExperts)
    assert term.prior.filters.shape[1] == network().shape("pool1", 32)[0]


def test_a_key_of_the_library_knows_its_layer(library: PriorLibrary) -> None:
    (entry,) = [entry for entry in library.list() if not entry.bundled]
    for text in (entry.key[:9], entry.name, f"pool1={entry.key}"):
        named = name_prior(text, network(), library)
        assert (named.layer, named.key) == ("pool1", entry.key)
    with pytest.raises(InputError, match=rf"learned from maps of pool1; valid: pool1={entry.key}"):
        name_prior(f"conv2/relu={entry.key}", network(), library)
    with pytest.raises(InputError, match="learned from maps of pool1; valid: pool1="):
        name_prior(f"image={entry.key}", network(), library)


def test_families_are_found_by_name_and_stand_at_the_noise_level_asked_for(library: PriorLibrary) -> None:
    field, denoiser = (name_prior(text, network(), library) for text in ("convolutional@0.05", "image=denoiser@0.1"))
    assert isinstance(field.prior, ConvolutionalExperts)
    assert isinstance(denoiser.prior, Denoiser)
    assert (field.prior.noise, denoiser.prior.noise) == (0.05, 0.1)
    assert field.key == f"{default_field_recipe().key}@0.05"
    assert name_prior("denoiser", network(), library).key == default_denoiser_recipe().key


def test_several_learned_priors_act_together_each_under_a_name_of_its_own(library: PriorLibrary) -> None:
    given = ["student_t", "denoiser", "pool1=student_t:2", "total_variation", "pool1=total_variation:1"]
    terms = [each.term for each in given_terms(given, [1, 2, 3, 4, 5], network(), library)]
    assert [(term.name, term.layer) for term in terms] == [
        ("priors.image", None),
        ("priors.image@denoiser", None),
        ("priors.pool1", "pool1"),
        ("total_variation", None),
        ("total_variation@pool1", "pool1"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pool9=student_t", "unknown layer of cifar_alexnet 'pool9'"),
        (
            "pool1=student_t:3",
            "no such prior is trained; valid: student_t:2, or train it with",
        ),
        ("pool1=student_t:3", "--network cifar_alexnet --layer pool1 --expert student_t --patch-size 3`"),
        ("pool1=denoiser", "--layer pool1 --family denoiser"),
        ("pool1=isotropic_range", "a range of colours is for pictures; valid: image=isotropic_range"),
        ("convolutional:7", "convolutional takes no number; valid: convolutional, or convolutional@0.05"),
        ("convolutional@9", "<= noise level <= 0.16 must hold for field-student_t-7x7-64, but got 9"),
        ("student_t@0.1", "student_t-8x8-256 has no noise levels"),
        ("total_variation@0.1", "total_variation has no noise levels"),
        ("denoiser@x", "'x' is no number"),
        ("dneoiser", "did you mean 'denoiser'?"),
        ("", "unknown prior ''"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(library: PriorLibrary, text: str, message: str) -> None:
    with pytest.raises(InputError) as raised:
        name_prior(text, network(), library)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_prior_on_another_networks_maps_is_refused(library: PriorLibrary) -> None:
    other = open_network(weights="random")
    (entry,) = [entry for entry in library.list() if not entry.bundled]
    with pytest.raises(InputError, match=r"learned from maps of cifar_alexnet with weights \w+, but cifar_alexnet has"):
        name_prior(entry.key, other, library)
    with pytest.raises(InputError, match="no such prior is trained"):
        name_prior("pool1=student_t:2", other, library)


def test_a_stride_is_taken_by_priors_over_patches_alone(library: PriorLibrary) -> None:
    patches, field = (each.term for each in given_terms(["student_t", "convolutional"], [1, 1], network(), library))
    assert with_stride(patches, 4).prior.patch_stride == 4  # type: ignore[attr-defined]
    assert with_stride(patches, 4).weight == patches.weight
    assert with_stride(field, 4) is field
    plain = Term("total_variation", TotalVariation(2.0), 1.0)
    assert with_stride(plain, 4) is plain


def test_calibrated_weights_follow_the_rule_and_the_calibration_is_kept(library: PriorLibrary) -> None:
    small = CalibrationLibrary(library.root)
    given = given_terms(["total_variation", "pool1=student_t:2"], [0.5, 2.0], network(), library)
    said: list[str] = []
    terms = calibrate_terms(given, network(), "conv2/lin", 16, library, said.append)
    kept = {calibration.recipe.prior: calibration for calibration in small.list()}
    assert [calibration.recipe.match_layer for calibration in kept.values()] == ["conv2/lin"] * 2
    for each, term in zip(given, terms, strict=True):
        found = kept[each.named.key]
        assert found.recipe.prior_layer == each.named.layer
        assert term == replace(each.term, weight=found.raw_weight(each.term.weight))
        assert term.weight != each.term.weight
    assert any("curvature" in what for what in said)
    said.clear()
    assert calibrate_terms(given, network(), "conv2/lin", 16, library, said.append) == terms
    assert said == []
