"""The calibrations of a sweep in calibrated units: measured before it starts, kept in the store beside its priors.

They are measured on the pictures that the sweep searches on, at most 32 of them, spread evenly. These are never the
ones that judge the winner: a spec's ``images`` and ``validate_on`` share no picture.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from restoration_core.calibration import Calibration, CalibrationLibrary, Calibrator, Squares, hand_crafted_key
from restoration_core.errors import InputError
from restoration_core.images import pixel_sha256, to_uint8
from restoration_core.networks import Classifier
from restoration_core.priors import Prior, Trained
from sweeps.priors.reference import PriorReference, reference_of
from sweeps.priors.training import Notice
from sweeps.priors.units import Subject, subjects, unit_of
from sweeps.spec.models import CALIBRATED, SweepSpec
from sweeps.spec.old_names import current_unit_name
from sweeps.spec.parameter_names import HAND_CRAFTED, layer_of
from sweeps.store.writer import Writer
from sweeps.trial.terms import hand_crafted, trained

FAMILY = "calibration"
"""The family under which the store keeps a calibration's JSON."""
MOST_PICTURES = 32

Keys = Mapping[str, Mapping[str, str]]
"""Keys of calibrations in the store, by the unit's name and the matched layer."""


def calibrate_missing(
    spec: SweepSpec,
    classifier: Classifier,
    images: Mapping[str, Tensor],
    priors: Mapping[PriorReference, Trained],
    writer: Writer,
    notice: Notice,
) -> tuple[dict[str, float], dict[str, dict[str, str]]]:
    """Return the units of a sweep, measured where the library has no calibration, and keep these in the store.

    Args:
        spec: of the sweep; with ``units: raw`` nothing is needed.
        classifier: with the sweep's weights, on the CPU.
        images: the pictures searched on, by name.
        priors: trained ones by reference.
        writer: of the store.
        notice: called with a line for each step of a measurement.

    Returns:
        the units; the calibrations' keys, which go into the sweep's row.

    Raises:
        InputError: a prior without a unit, as it does not pull noise back at the level of the reconstructions' error.
    """
    if spec.units != CALIBRATED:
        return {}, {}
    library, squares = CalibrationLibrary(), as_squares(list(images.values()))
    calibrators = {
        layer: Calibrator(classifier, layer, squares, progress=lambda what: notice(f"calibrating: {what}"))
        for layer in spec.layers
    }
    found: dict[str, dict[str, Calibration]] = {}
    for subject in subjects(spec, classifier):
        prior, key = _prior(subject, classifier, priors)
        place = layer_of(subject.group)
        for layer, calibrator in calibrators.items():
            calibration = library.get(
                calibrator.recipe(key, place),
                lambda made=(calibrator, prior, key, place, subject.name): made[0].calibrate(*made[1:]),  # type: ignore[misc]
            )
            found.setdefault(subject.name, {})[layer] = calibration
    units = {name: _named_unit(name, by_layer, spec) for name, by_layer in found.items()}
    for name, by_layer in found.items():
        for layer, calibration in by_layer.items():
            if writer.get_prior(calibration.key) is None:
                description = {"name": f"calibration of {name} at {layer}", "prior": name, "layer": layer}
                writer.put_prior(calibration.key, FAMILY, description, calibration.to_json().encode())
    return units, {name: {layer: item.key for layer, item in by_layer.items()} for name, by_layer in found.items()}


def stored_units(spec: SweepSpec, writer: Writer, keys: Keys) -> dict[str, float]:
    """Return a sweep's units from the calibrations in the store.

    Args:
        spec: of the sweep.
        writer: of the store.
        keys: as :func:`calibrate_missing` returned them.

    Raises:
        InputError: the store has lost one.
    """
    units = {}
    for name, by_layer in keys.items():
        found = {}
        for layer, key in by_layer.items():
            blob = writer.get_prior(key)
            if blob is None:
                raise InputError(
                    f"the store no longer has the calibration of {name} at {layer} (key {key}); run the sweep anew"
                )
            found[layer] = Calibration.from_json(blob.decode(), f"calibration {key} of the store")
        units[current_unit_name(name)] = _named_unit(name, found, spec)
    return units


def as_squares(pictures: Sequence[Tensor]) -> Squares:
    """Return at most 32 pictures, spread evenly, as photographs to calibrate on.

    The same pictures get the same identity as from :func:`restoration_core.calibration.load_squares`.

    Args:
        pictures: ``(3, S, S)`` each, RGB in [0, 1].
    """
    count = min(MOST_PICTURES, len(pictures))
    chosen = [pictures[place * len(pictures) // count] for place in range(count)]
    digests = "\n".join(pixel_sha256(to_uint8(picture.numpy())) for picture in chosen)
    return Squares(f"sha256:{hashlib.sha256(digests.encode()).hexdigest()}", torch.stack(chosen))


def calibration_key(subject: Subject, prior: Prior, trained_key: str) -> str:
    """Return what a calibration's recipe calls a prior: a hand-crafted one's values, or a trained one's key.

    A noise level that parameters name stands behind the key, as in ``restoration prior calibrate``.
    """
    if subject.group in HAND_CRAFTED:
        return hand_crafted_key(subject.group, prior)
    level = subject.settings.get(f"{subject.group}.noise_level") if subject.level is None else subject.level
    return trained_key if level is None else f"{trained_key}@{float(level):g}"


def _prior(subject: Subject, classifier: Classifier, priors: Mapping[PriorReference, Trained]) -> tuple[Prior, str]:
    if subject.group in HAND_CRAFTED:
        prior = hand_crafted(subject.settings, subject.group, classifier)
        return prior, calibration_key(subject, prior, "")
    prior = trained(subject.settings, subject.group, priors.__getitem__, subject.level)
    return prior, calibration_key(subject, prior, priors[reference_of(subject.settings, subject.group)].recipe.key)


def _named_unit(name: str, by_layer: Mapping[str, Calibration], spec: SweepSpec) -> float:
    try:
        return unit_of([(weight, by_layer[layer]) for layer, weight in spec.match.layers.items()])
    except InputError as error:
        raise InputError(f"units: calibrated: {name} has no unit here ({error}); valid: units: raw") from error
