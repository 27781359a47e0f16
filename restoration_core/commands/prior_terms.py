"""Priors as a user names them on the command line: ``total_variation:1.5``, ``logistic:8``, a key of the library."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from restoration_core.errors import InputError, unknown
from restoration_core.networks import Classifier
from restoration_core.priors.alpha_norm import AlphaNorm
from restoration_core.priors.experts import EXPERTS
from restoration_core.priors.isotropic_range import IsotropicRange
from restoration_core.priors.prior import Prior
from restoration_core.priors.prior_library import PriorLibrary
from restoration_core.priors.recipe import Recipe
from restoration_core.priors.total_variation import TotalVariation
from restoration_core.reconstruction import Term

Number = TypeVar("Number", int, float)

LEARNED_TERM = "priors.image"

_HAND_CRAFTED: dict[str, tuple[float, Callable[[float, Classifier], Prior]]] = {
    "total_variation": (2.0, lambda exponent, classifier: TotalVariation(exponent)),
    "alpha_norm": (6.0, lambda exponent, classifier: AlphaNorm(exponent)),
    "isotropic_range": (6.0, lambda exponent, classifier: IsotropicRange(exponent, classifier.mean)),
}


def parse_terms(
    priors: Sequence[str], weights: Sequence[float], classifier: Classifier, library: PriorLibrary
) -> tuple[Term, ...]:
    """Return the terms that ``--prior`` and ``--weight`` describe, in order.

    Args:
        priors: ``NAME[:EXPONENT]`` of a hand-crafted prior, ``EXPERT:PATCH_SIZE`` of a learned one, or the name or key
            of a prior in the library.
        weights: one per prior, raw units.
        classifier: whose mean colour the range prior takes.
        library: where learned priors are looked up.

    Raises:
        InputError: for an unknown prior, a second one of a kind, or another number of weights than of priors.
    """
    if len(priors) != len(weights):
        raise InputError(
            f"{len(priors)} --prior and {len(weights)} --weight were given; valid: a weight after each prior"
        )
    terms = tuple(_term(text, weight, classifier, library) for text, weight in zip(priors, weights, strict=True))
    first: dict[str, str] = {}
    for text, term in zip(priors, terms, strict=True):
        if first.setdefault(term.name, text) != text or list(priors).count(text) > 1:
            raise InputError(
                f"--prior {text}: comes after --prior {first[term.name]}; valid: one learned prior, and each "
                "hand-crafted one once"
            )
    return terms


def _term(text: str, weight: float, classifier: Classifier, library: PriorLibrary) -> Term:
    name, _, number = text.partition(":")
    if name in _HAND_CRAFTED:
        default, build = _HAND_CRAFTED[name]
        return Term(name, build(_number(text, number, float) if number else default, classifier), weight)
    if name in EXPERTS:
        size = _number(text, number, int) if number else 8
        found = library.find(name, size)
        if not found:
            sizes = sorted(
                f"{entry.recipe.expert}:{entry.recipe.patch_size}"
                for entry in library.list()
                if isinstance(entry.recipe, Recipe) and entry.recipe.maps is None
            )
            raise InputError(
                f"--prior {text}: no such prior is trained; valid: {', '.join(sizes) or 'none'}, or train it with "
                f"`restoration prior train --expert {name} --patch-size {size}`"
            )
        return Term(LEARNED_TERM, library.load(found[0].key), weight)
    entries = library.list()
    if any(name in (entry.name, entry.path.stem) or entry.key.startswith(name) for entry in entries):
        return Term(LEARNED_TERM, library.load(text), weight)
    raise InputError(unknown("prior", text, [*_HAND_CRAFTED, *EXPERTS, *(entry.name for entry in entries)]))


def _number(text: str, number: str, kind: Callable[[str], Number]) -> Number:
    try:
        return kind(number)
    except ValueError as error:
        raise InputError(f"--prior {text}: {number!r} is no number; valid: total_variation:1.5, logistic:8") from error
