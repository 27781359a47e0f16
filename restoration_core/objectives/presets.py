"""Settings of published methods, as data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from restoration_core.errors import InputError, unknown
from restoration_core.networks.classifier import Classifier
from restoration_core.objectives.feature_match import feature_targets
from restoration_core.priors.isotropic_range import IsotropicRange
from restoration_core.priors.total_variation import TotalVariation
from restoration_core.reconstruction.problem import FeatureMatch, Problem, Schedule, Term

TYPICAL_NORM = 80.0
"""B: typical norm of a pixel after the mean is subtracted, 0..255 units (MV16)."""
ALPHA = 6.0
BETA = 2.0
TC_LEARNING_RATE = 1e-2 * TYPICAL_NORM**2 / ALPHA / 255
"""The thesis author's step for Adam, 1e-2 B^2/alpha, in [0, 1] units: 0.042."""

_ALEXNET_WEIGHTS = {"conv1": 300, "lrn1": 300, "pool1": 300, "conv2": 300, "lrn2": 300, "pool2": 300, "conv3": 300}
_ALEXNET_WEIGHTS |= {"conv4": 100, "conv5": 20}
_VGG16_WEIGHTS = {f"conv{stage}_{number}": 300 for stage in range(1, 5) for number in range(1, 4)}
_VGG16_WEIGHTS |= {"pool1": 300, "pool2": 300, "pool3": 300, "pool4": 100, "conv5_1": 100, "conv5_2": 20, "conv5_3": 20}
_FEATURE_WEIGHTS: dict[str, dict[str, int]] = {
    "alexnet": _ALEXNET_WEIGHTS,
    "cifar_alexnet": _ALEXNET_WEIGHTS,
    "vgg16": _VGG16_WEIGHTS,
}


@dataclass(frozen=True)
class Preset:
    """A method's settings for one network and layer; fields as in :class:`Problem`.

    Attributes:
        name: of the method.
        terms: priors, weights relative to the normalised feature loss.
    """

    name: str
    terms: tuple[Term, ...]
    iterations: int
    learning_rate: Schedule
    jitter: int = 1
    jitter_until: int | None = None
    bound: float | None = None
    optimizer: str = "adam"
    betas: tuple[float, float] = (0.9, 0.999)
    coarse_to_fine: tuple[tuple[int, int], ...] = ()
    initial_std: float = 0.1

    def with_iterations(self, iterations: int) -> Preset:
        """Return the preset stretched or shrunk to ``iterations``, every breakpoint at its share of the run."""
        ratio = iterations / self.iterations
        rates = {round(start * ratio): value for start, value in self.learning_rate.pieces}
        stages = {round(start * ratio): factor for start, factor in self.coarse_to_fine}
        return replace(
            self,
            iterations=iterations,
            learning_rate=Schedule(tuple(rates.items())),
            jitter_until=None if self.jitter_until is None else round(self.jitter_until * ratio),
            coarse_to_fine=tuple(stages.items()),
        )


def feature_weight(classifier: Classifier, layer: str) -> float:
    """Return C, the factor of the feature loss against unit-weight priors (MV16 tries 1, 20, 100 and 300).

    By layer for AlexNet and VGG-16 as the thesis author chose; other networks by the stride of the receptive field
    along the same lines: 300 up to stride 8, 100 at 16, 1 beyond and for fully connected layers.
    """
    name = classifier.resolve(layer)
    table = _FEATURE_WEIGHTS.get(classifier.name)
    if table is not None:
        return float(table.get(name.split("/")[0], 1))
    if len(classifier.shape(name, classifier.native_size)) == 1:
        return 1.0
    stride = classifier.stride(name)
    return 300.0 if stride <= 8 else 100.0 if stride <= 16 else 1.0


def mv_jitter(classifier: Classifier, layer: str) -> int:
    """Return MV16's number of window positions per axis, ``max(round(stride / 4), 1)``; 1 is no jitter."""
    return max(round(classifier.stride(layer) / 4), 1)


def mv2016(classifier: Classifier, layer: str) -> Preset:
    """Return Mahendran & Vedaldi's (2016) settings for a layer.

    The paper minimises ``C loss + R_alpha / B^alpha + TV / (B / 6.5)^beta`` over pictures on the 0..255 scale, priors
    divided by the number of pixels, with B = 80, alpha = 6, beta = 2. Divided by C and taken to [0, 1] units the
    weights are ``(255 / B)^alpha / C`` for the range and ``(255 * 6.5 / B)^beta / C`` for total variation. The bound is
    B+ = 2 B; 300 iterations with jitter are followed by 50 at a tenth of the step without.

    Departure: the step is Adam's with the thesis author's rate for it, not the paper's AdaGrad with momentum; and the
    initial picture is normal noise of the paper's spread instead of uniform noise.
    """
    weight = feature_weight(classifier, layer)
    terms = (
        Term("total_variation", TotalVariation(BETA), (255 * 6.5 / TYPICAL_NORM) ** BETA / weight),
        Term("isotropic_range", IsotropicRange(ALPHA, classifier.mean), (255 / TYPICAL_NORM) ** ALPHA / weight),
    )
    return Preset(
        name="mv2016",
        terms=terms,
        iterations=350,
        learning_rate=Schedule(((0, TC_LEARNING_RATE), (300, TC_LEARNING_RATE / 10))),
        jitter=mv_jitter(classifier, layer),
        jitter_until=300,
        bound=2 * TYPICAL_NORM,
        # Uniform in [-a, a] with its 95 % quantile at B / sqrt(3) has a = B / (0.95 sqrt(3)), deviation a / sqrt(3).
        initial_std=TYPICAL_NORM / (0.95 * 3 * 255),
    )


def none(classifier: Classifier, layer: str) -> Preset:
    """Return the settings without any prior, bound or jitter: the same optimiser and length as :func:`mv2016`."""
    return replace(mv2016(classifier, layer), name="none", terms=(), jitter=1, jitter_until=None, bound=None)


PRESETS: dict[str, Callable[[Classifier, str], Preset]] = {"mv2016": mv2016, "none": none}


def open_preset(name: str, classifier: Classifier, layer: str) -> Preset:
    """Return a preset by name.

    Raises:
        InputError: for an unknown preset or layer.
    """
    if name not in PRESETS:
        raise InputError(unknown("preset", name, PRESETS))
    return PRESETS[name](classifier, layer)


def make_problem(
    classifier: Classifier, image: Tensor, layer: str, preset: Preset, *, seed: int = 0, **overrides: Any
) -> Problem:
    """Return the problem of reconstructing a picture from one layer under a preset.

    Args:
        classifier: the network.
        image: the original, ``(3, H, W)`` in [0, 1]; only its features are used.
        layer: layer to match.
        preset: settings.
        seed: of noise and jitter.
        overrides: fields of :class:`Problem` that replace the preset's. ``iterations`` keeps the preset's schedules;
            see :meth:`Preset.with_iterations`.

    Raises:
        InputError: for an unknown layer or one that refuses the picture's size.
    """
    target = feature_targets(classifier, image, [layer])[layer]
    problem = Problem(
        matches=(FeatureMatch(layer, target),),
        terms=preset.terms,
        iterations=preset.iterations,
        learning_rate=preset.learning_rate,
        optimizer=preset.optimizer,
        betas=preset.betas,
        jitter=preset.jitter,
        jitter_until=preset.jitter_until,
        bound=preset.bound,
        coarse_to_fine=preset.coarse_to_fine,
        initial_std=preset.initial_std,
        seed=seed,
    )
    return replace(problem, **overrides)
