"""Priors by the names that users give them: ``total_variation:1.5``, ``conv2/relu=student_t:3``, ``denoiser@0.05``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from restoration_core.calibration import hand_crafted_key
from restoration_core.errors import InputError, unknown
from restoration_core.networks import Classifier
from restoration_core.priors.convolutional_experts import default_field_recipe
from restoration_core.priors.denoiser import default_denoiser_recipe
from restoration_core.priors.expert_functions import EXPERTS
from restoration_core.priors.hand_crafted import AlphaNorm, IsotropicRange, TotalVariation
from restoration_core.priors.library import Entry, PriorLibrary, at_noise_level
from restoration_core.priors.maps import default_patch_size
from restoration_core.priors.patch_experts import Recipe, default_recipe
from restoration_core.priors.prior import Prior

Number = TypeVar("Number", int, float)

IMAGE = "image"
"""What stands before ``=`` for a prior on the picture, where users write it out."""

HAND_CRAFTED: dict[str, tuple[float, Callable[[float, Classifier], Prior]]] = {
    "total_variation": (2.0, lambda exponent, classifier: TotalVariation(exponent)),
    "alpha_norm": (6.0, lambda exponent, classifier: AlphaNorm(exponent)),
    "isotropic_range": (6.0, lambda exponent, classifier: IsotropicRange(exponent, classifier.mean)),
}
_FAMILIES = {
    "convolutional": "convolutional_experts",
    "convolutional_experts": "convolutional_experts",
    "denoiser": "denoiser",
}
_PATCH_SIZE = 8


@dataclass(frozen=True)
class NamedPrior:
    """A prior as the user named it.

    Attributes:
        prior: the energy.
        key: under which its calibration is kept: of its recipe, or class and values of a hand-crafted one.
        layer: the layer it acts on; None for the picture.
        name: for people.
        kind: what was asked for: ``total_variation``, ``student_t``, ``denoiser`` ... or a name of the library.
        learned: it was trained.
    """

    prior: Prior
    key: str
    layer: str | None
    name: str
    kind: str
    learned: bool


def name_prior(text: str, classifier: Classifier, library: PriorLibrary) -> NamedPrior:
    """Return the prior that ``text`` names.

    Args:
        text: ``[LAYER=]WHAT[@NOISE]``. WHAT is ``NAME[:EXPONENT]`` of a hand-crafted prior, ``EXPERT[:PATCH_SIZE]`` of
            patch experts, ``convolutional``, ``denoiser``, or the name or key of a prior in the library. NOISE is the
            level at which a field or denoiser stands, RGB in [0, 1] or relative to the maps' own deviation.
        classifier: whose mean colour the range prior takes, and whose maps a prior on maps must have learned from.
        library: where learned priors are looked up.

    Raises:
        InputError: an unknown or missing prior, one of other maps, or a noise level that it was not trained at.
    """
    place, equals, what = text.partition("=")
    if not equals:
        place, what = "", text
    layer = None if place in ("", IMAGE) else classifier.resolve(place)
    what, at, level = what.partition("@")
    name, _, number = what.partition(":")
    if name in HAND_CRAFTED:
        if at:
            raise InputError(f"--prior {text}: {name} has no noise levels; valid: {what}")
        return _hand_crafted(text, name, number, layer, classifier)
    entry = _entry(text, what, layer, classifier, library)
    maps = entry.recipe.maps
    if maps is not None and maps.weights_id != classifier.weights_id:
        raise InputError(
            f"--prior {text}: learned from maps of {maps.network} with weights {maps.weights_id}, but {classifier.name}"
            f" has weights {classifier.weights_id}; valid: --network {maps.network} with those weights"
        )
    own = None if maps is None else classifier.resolve(maps.layer)
    if equals and own != layer:
        where = "pictures" if own is None else f"maps of {own}"
        raise InputError(f"--prior {text}: learned from {where}; valid: {own or IMAGE}={what}")
    prior, key = library.load(entry.key), entry.key
    if at:
        prior = at_noise_level(prior, entry.recipe, _number(text, level, float), f"--prior {text}", "no @")
        key = f"{key}@{_number(text, level, float):g}"
    return NamedPrior(prior, key, own, entry.name + at + level, name if _is_kind(name) else entry.name, True)


def _hand_crafted(text: str, name: str, number: str, layer: str | None, classifier: Classifier) -> NamedPrior:
    if layer is not None and name == "isotropic_range":
        raise InputError(f"--prior {text}: a range of colours is for pictures; valid: {IMAGE}={name}")
    default, build = HAND_CRAFTED[name]
    prior = build(_number(text, number, float) if number else default, classifier)
    return NamedPrior(prior, hand_crafted_key(name, prior), layer, text, name, False)


def _is_kind(name: str) -> bool:
    return name in EXPERTS or name in _FAMILIES


def _entry(text: str, what: str, layer: str | None, classifier: Classifier, library: PriorLibrary) -> Entry:
    """Return the library's entry: by expert, family, name or key."""
    name, _, number = what.partition(":")
    there = [entry for entry in library.list() if _acts_on(entry, layer, classifier)]
    if name in EXPERTS:
        return _patch_experts(text, name, number, layer, classifier, there)
    if name in _FAMILIES:
        if number:
            raise InputError(f"--prior {text}: {name} takes no number; valid: {name}, or {name}@0.05 for a noise level")
        return _family(text, name, layer, classifier, there)
    entries = library.list()
    if any(what in (entry.name, entry.path.stem) or entry.key.startswith(what) for entry in entries if what):
        return library.entry(what)
    kinds = [*HAND_CRAFTED, *EXPERTS, "convolutional", "denoiser"]
    raise InputError(unknown("prior", text, [*kinds, *(entry.name for entry in entries)]))


def _patch_experts(
    text: str, expert: str, number: str, layer: str | None, classifier: Classifier, there: Sequence[Entry]
) -> Entry:
    if number:
        size = _number(text, number, int)
    else:
        size = _PATCH_SIZE if layer is None else default_patch_size(classifier, layer)
    patches = [(entry, entry.recipe) for entry in there if isinstance(entry.recipe, Recipe)]
    found = [entry for entry, recipe in patches if (recipe.expert, recipe.patch_size) == (expert, size)]
    if not found:
        sizes = sorted(f"{recipe.expert}:{recipe.patch_size}" for _, recipe in patches)
        where = "" if layer is None else f" --network {classifier.name} --layer {layer}"
        raise InputError(
            f"--prior {text}: no such prior is trained; valid: {', '.join(dict.fromkeys(sizes)) or 'none'}, or train it"
            f" with `restoration prior train{where} --expert {expert} --patch-size {size}`"
        )
    if len(found) > 1:
        usual = default_recipe(expert, size, layer=layer, network=classifier).key
        return next((entry for entry in found if entry.key == usual), found[0])
    return found[0]


def _family(text: str, name: str, layer: str | None, classifier: Classifier, there: Sequence[Entry]) -> Entry:
    family = _FAMILIES[name]
    found = [entry for entry in there if entry.recipe.family == family]
    if not found:
        where = "" if layer is None else f" --network {classifier.name} --layer {layer}"
        raise InputError(
            f"--prior {text}: no such prior is trained{' on that layer' if where else ''}; valid: train it with"
            f" `restoration prior train{where} --family {family}`"
        )
    usual = (default_field_recipe() if family == "convolutional_experts" else default_denoiser_recipe()).key
    return next((entry for entry in found if entry.key == usual), found[0])


def _acts_on(entry: Entry, layer: str | None, classifier: Classifier) -> bool:
    maps = entry.recipe.maps
    if maps is None or layer is None:
        return maps is None and layer is None
    return maps.weights_id == classifier.weights_id and classifier.resolve(maps.layer) == layer


def _number(text: str, number: str, kind: Callable[[str], Number]) -> Number:
    try:
        return kind(number)
    except ValueError as error:
        raise InputError(f"--prior {text}: {number!r} is no number; valid: total_variation:1.5, logistic:8") from error
