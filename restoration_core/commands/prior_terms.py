"""Weighted priors as users give them on the command line, in raw or calibrated units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from restoration_core.calibration import CalibrationLibrary, Calibrator, load_squares
from restoration_core.commands.named_priors import IMAGE, NamedPrior, name_prior
from restoration_core.errors import InputError
from restoration_core.networks import Classifier
from restoration_core.priors.library import PriorLibrary
from restoration_core.priors.patch_experts import ChannelSubset, PatchField
from restoration_core.priors.prior import Prior
from restoration_core.reconstruction import Term

LEARNED_TERM = f"priors.{IMAGE}"

RAW, CALIBRATED = "raw", "calibrated"
WEIGHT_UNITS = (RAW, CALIBRATED)


@dataclass(frozen=True)
class GivenTerm:
    """A term with the prior's name, and the weight as it was given."""

    term: Term
    named: NamedPrior


def given_terms(
    priors: Sequence[str], weights: Sequence[float], classifier: Classifier, library: PriorLibrary
) -> tuple[GivenTerm, ...]:
    """Return the terms that ``--prior`` and ``--weight`` describe, in order.

    A hand-crafted prior's term has its name (``total_variation``, ``total_variation@conv1/relu``), a learned one's that
    of the place (``priors.image``, ``priors.conv2/relu``), and further ones there their kind behind it
    (``priors.image@denoiser``).

    Args:
        priors: as :func:`name_prior` takes them.
        weights: one per prior.
        classifier: whose mean colour the range prior takes.
        library: where learned priors are looked up.

    Raises:
        InputError: for an unknown prior, the same one twice, or another number of weights than of priors.
    """
    if len(priors) != len(weights):
        raise InputError(
            f"{len(priors)} --prior and {len(weights)} --weight were given; valid: a weight after each prior"
        )
    found: dict[str, GivenTerm] = {}
    texts: dict[str, str] = {}
    for text, weight in zip(priors, weights, strict=True):
        named = name_prior(text, classifier, library)
        name = _term_name(named)
        if named.learned and name in found and found[name].named.kind != named.kind:
            name = f"{name}@{named.kind}"
        if name in found:
            raise InputError(
                f"--prior {text}: comes after --prior {texts[name]}; valid: each kind of prior once at a place"
            )
        found[name], texts[name] = GivenTerm(Term(name, named.prior, weight, named.layer), named), text
    return tuple(found.values())


def _term_name(named: NamedPrior) -> str:
    if named.learned:
        return f"priors.{named.layer or IMAGE}"
    return named.kind if named.layer is None else f"{named.kind}@{named.layer}"


def with_stride(term: Term, patch_stride: int) -> Term:
    """Return the term of a prior over patches with another stride; any other as it is."""
    prior: Prior = term.prior
    if not isinstance(prior, PatchField | ChannelSubset) or prior.patch_stride == patch_stride:
        return term
    return replace(term, prior=prior.with_stride(patch_stride))


def calibrate_terms(
    given: Sequence[GivenTerm],
    classifier: Classifier,
    layer: str,
    size: int,
    root: PriorLibrary,
    progress: Callable[[str], None],
) -> tuple[Term, ...]:
    """Return the terms with raw weights, their weights being in calibrated units.

    See :meth:`Calibration.raw_weight` for the rule. A calibration that is not kept is measured now, on the sample
    pictures, as ``restoration prior calibrate`` does without options, and kept.

    Args:
        given: with calibrated weights.
        classifier: on the device to measure on.
        layer: matched layer.
        size: side of the pictures in pixels.
        root: library whose folder keeps calibrations.
        progress: told in words what is measured.

    Raises:
        InputError: a prior or layer whose curvature is not positive, which has no calibrated unit.
    """
    if not given:
        return ()
    kept = CalibrationLibrary(root.root)
    calibrator = Calibrator(classifier, layer, load_squares(None, size), progress=progress)
    terms = []
    for each in given:
        named = each.named
        calibration = kept.get(
            calibrator.recipe(named.key, named.layer),
            lambda named=named: calibrator.calibrate(named.prior, named.key, named.layer, named.name),  # type: ignore[misc]
        )
        terms.append(replace(each.term, weight=calibration.raw_weight(each.term.weight)))
    return tuple(terms)
