"""The parameters a sweep may set or search, by name: the optimiser's, the hand-crafted priors', any trained prior's.

A trained prior is a group of its own, ``priors.<where>`` or ``priors.<where>@<label>``: ``where`` is ``image`` or the
name of a layer, which may hold dots and slashes, so a flat name is cut at its last dot.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from restoration_core.errors import brief, unknown
from sweeps.spec.known import Known

ENABLED = "enabled"
OPTIONAL = "optional"
PRESET = "preset"  # of a baseline: named settings which the other parameters override
BASELINE_UNITS, RAW = "units", "raw"  # of a baseline whose weights are raw where the sweep's are calibrated
RAW_WEIGHT = "raw_weight"  # what a trial records beside a weight in calibrated units
IMAGE = "image"

PATCH_EXPERTS = ("logistic", "student_t")
CONVOLUTIONAL, DENOISER = "convolutional", "denoiser"
NOISE_EXPERTS = (CONVOLUTIONAL, DENOISER)
EXPERTS = (*PATCH_EXPERTS, *NOISE_EXPERTS)
"""What ``expert`` may be: experts over patches by their function, fields of experts, denoisers."""

HAND_CRAFTED = ("total_variation", "alpha_norm", "isotropic_range")
COARSE_TO_FINE, SCHEDULE, NOISE_SCHEDULE = "coarse_to_fine", "schedule", "noise_schedule"

LISTING = "restoration sweep keys"
"""The command that tells of every key and parameter."""

_TRAINED = "priors."
_LABEL = re.compile(r"[A-Za-z0-9_-]{1,40}\Z")


_PAIRS = "pairs of first iteration and"


def _of_every_prior(energy_of: str) -> dict[str, Known]:
    return {
        "weight": Known(float, f"How much {energy_of} counts; 0 leaves the prior out.", low=0.0, high=1e12),
        ENABLED: Known(
            bool, "Whether the prior takes part; `optional: true` in its group searches it.", otherwise="true"
        ),
        SCHEDULE: Known(list, f"Factor on the weight over the iterations: {_PAIRS} factor.", otherwise="1 throughout"),
    }


OPTIMISER: Mapping[str, Known] = {
    "optimizer": Known(
        str,
        "Rule by which a step follows from the gradients.",
        "adam",
        choices=("adam", "adagrad", "momentum"),
        refused={"lbfgs": "must run in a batch, and lbfgs is for single problems; valid: adam, adagrad, momentum"},
    ),
    "learning_rate": Known(
        float, "Size of a step; the picture's values go from 0 to 1.", 0.05, low=0.0, high=1e9, above=True
    ),
    "learning_rate_end": Known(
        float,
        "Size of the last steps: the rate falls geometrically, in ten pieces.",
        otherwise="constant rate",
        low=0.0,
        high=1e9,
        above=True,
    ),
    "iterations": Known(
        int, "Steps of the trial.", otherwise="`budget.iterations`, also the most", low=1, high=1_000_000
    ),
    "beta1": Known(float, "Adam: share of the mean gradient that is kept at each step.", 0.9, low=0.0, high=0.9999),
    "beta2": Known(float, "Adam: the same of the mean squared gradient.", 0.999, low=0.0, high=0.9999),
    "momentum": Known(
        float, "Share of the last step that is added to the next (adagrad, momentum).", 0.9, low=0.0, high=0.9999
    ),
    "jitter": Known(
        int, "Positions along each axis to which the picture is shifted at random; 1 is none.", 1, low=1, high=64
    ),
    "jitter_until": Known(
        int,
        "Iteration from which the picture stays in the middle.",
        otherwise="jitter to the end",
        low=0,
        high=1_000_000,
    ),
    "jitter_canvas": Known(
        str,
        "What is shifted: a window over a larger canvas (priors see the window, or the whole canvas), "
        "or the picture itself, with black moving in.",
        "window",
        choices=("window", "canvas", "zero_padded"),
    ),
    "bound": Known(
        float,
        "Largest distance of a pixel from the mean colour, on the 0..255 scale; longer ones are cut after each step.",
        otherwise="no bound",
        low=0.0,
        high=1e6,
        above=True,
    ),
    "initial_std": Known(float, "Standard deviation of the noise that a trial starts from.", 0.1, low=0.0, high=10.0),
    "initial_noise": Known(
        str,
        "Noise to start from: normal around mid grey, uniform around the network's mean colour, or normal around that "
        "colour with exactly this deviation.",
        "normal",
        choices=("normal", "uniform", "unit_norm"),
    ),
    COARSE_TO_FINE: Known(
        list,
        f"From small to full size: {_PAIRS} factor by which the picture is smaller.",
        otherwise="full size throughout",
    ),
}

OF_HAND_CRAFTED: Mapping[str, Mapping[str, Known]] = {
    "total_variation": {
        **_of_every_prior("the difference of neighbouring pixels"),
        "beta": Known(float, "Exponent of the differences: 2 smooths, 1 keeps edges.", 2.0, low=1.0, high=10.0),
    },
    "alpha_norm": {
        **_of_every_prior("the distance of each colour value from the mean"),
        "alpha": Known(float, "Exponent of the distances.", 6.0, low=1.0, high=20.0),
        "centre": Known(
            str,
            "The mean: the picture's own, its own in each channel, or the network's.",
            "picture",
            choices=("picture", "channel", "data"),
        ),
    },
    "isotropic_range": {
        **_of_every_prior("the distance of each pixel from the network's mean colour"),
        "alpha": Known(float, "Exponent of the distances.", 6.0, low=1.0, high=20.0),
    },
}

OF_TRAINED: Mapping[str, Known] = {
    **_of_every_prior("what the trained prior finds unusual"),
    "expert": Known(
        str,
        "Kind of prior: over patches (`logistic`, `student_t`), a field of filters (`convolutional`), or a denoiser.",
        "student_t",
        choices=EXPERTS,
    ),
    "patch_size": Known(
        int, "Side of the patches.", otherwise="8 on the picture, on a map the last kernel's side", low=2, high=32
    ),
    "patch_stride": Known(
        int, "One patch in stride x stride is looked at in each step, drawn anew.", otherwise="1", low=1, high=32
    ),
    "bank": Known(
        str,
        "How filters divide a map's channels: over all, each channel for itself, or space and channels one after the "
        "other.",
        otherwise="full",
        choices=("full", "channelwise", "separable"),
    ),
    "dims": Known(
        int,
        "Dimensions that are left of a map's patches before training.",
        otherwise="by the layer",
        low=1,
        high=10_000,
    ),
    "noise_level": Known(
        float,
        "Noise at which a field or denoiser acts: of RGB in [0, 1], on maps relative to their deviation.",
        otherwise="the prior's own",
        low=0.0,
        high=100.0,
        above=True,
    ),
    "prior": Known(
        str, "Key or name of a prior from `restoration prior list`, in place of all that says how to train one."
    ),
    NOISE_SCHEDULE: Known(
        list, f"The noise level over the iterations: {_PAIRS} level.", otherwise="`noise_level` throughout"
    ),
}

OF_PATCH_EXPERTS = ("patch_size", "patch_stride", "bank", "dims")
OF_MAPS = ("bank", "dims")
OF_NOISE_EXPERTS = ("noise_level", NOISE_SCHEDULE)


def split_name(name: str) -> tuple[str | None, str]:
    """Return (group, child) of a flat name; the group is None for a parameter of the optimiser.

    >>> split_name("priors.features.4@second.weight")
    ('priors.features.4@second', 'weight')
    """
    group, _, child = name.rpartition(".")
    if group in HAND_CRAFTED or is_trained_group(group):
        return group, child
    return None, name


def group_of(name: str) -> str | None:
    """Return the prior a parameter belongs to (``priors.image``), None for one of the optimiser."""
    return split_name(name)[0]


def is_trained_group(group: str) -> bool:
    """Return whether a name has the form ``priors.<where>[@label]``; the layer need not exist."""
    if not group.startswith(_TRAINED):
        return False
    where, at, label = group.removeprefix(_TRAINED).rpartition("@")
    return bool(where if at else label) and (not at or bool(_LABEL.match(label)))


def is_active(name: str, chosen: Mapping[str, object]) -> bool:
    """Return whether a parameter exists in a trial: its group is not switched off by the switches ``chosen`` so far."""
    group = group_of(name)
    return group is None or name == f"{group}.{ENABLED}" or chosen.get(f"{group}.{ENABLED}", True) is not False


def layer_of(group: str) -> str | None:
    """Return the layer whose map a trained prior acts on, None for the image (and for a hand-crafted prior)."""
    if group in HAND_CRAFTED:
        return None
    where = _where(group)
    return None if where == IMAGE else where


def at_layer(group: str, layer: str) -> str:
    """Return the group with another layer's name in the place of its own."""
    return f"{_TRAINED}{layer}{group.removeprefix(_TRAINED)[len(_where(group)) :]}"


def _where(group: str) -> str:
    whole = group.removeprefix(_TRAINED)
    where, at, _ = whole.rpartition("@")
    return where if at else whole


def known_parameter(name: str) -> Known | None:
    """Return what a parameter may be, None when there is none of this name."""
    group, child = split_name(name)
    if group is None:
        return OPTIMISER.get(child)
    return children_of(group).get(child)


def children_of(group: str) -> Mapping[str, Known]:
    """Return the parameters that a prior's group has."""
    return OF_HAND_CRAFTED.get(group, OF_TRAINED)


def groups_among(names: Iterable[str]) -> list[str]:
    """Return the groups of these parameters: hand-crafted priors first, then trained ones as they come."""
    found = dict.fromkeys(group for name in names if (group := group_of(name)) is not None)
    return [group for group in HAND_CRAFTED if group in found] + [group for group in found if group not in HAND_CRAFTED]


def unknown_parameter(name: str) -> str:
    """Return the message for a parameter name that does not exist."""
    group = group_of(name)
    if group is not None:
        return unknown("parameter", name, [f"{group}.{known}" for known in (*children_of(group), OPTIONAL)], LISTING)
    if name == "priors" or name.startswith(_TRAINED):
        return (
            f"{brief(name)} is no prior; valid: priors.image or priors.<layer>, each with @label for a second one "
            f"there, and below it {', '.join(OF_TRAINED)}"
        )
    hand_crafted = [f"{group}.{child}" for group, children in OF_HAND_CRAFTED.items() for child in children]
    valid = sorted([*OPTIMISER, *hand_crafted, *(f"priors.image.{child}" for child in OF_TRAINED)])
    return unknown("parameter", name, valid, LISTING)
