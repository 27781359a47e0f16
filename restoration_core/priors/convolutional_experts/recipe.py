"""The recipe of a convolutional field of experts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from restoration_core.errors import InputErrors
from restoration_core.priors.convolutional_experts.convolution import BOUNDARIES
from restoration_core.priors.expert_functions import EXPERTS
from restoration_core.priors.maps import BUNDLED_PICTURES, SAMPLES, LayerMaps
from restoration_core.priors.training import PriorRecipe, common_faults

OBJECTIVES = ("denoising", "implicit")
LARGEST_FILTER = 32
MOST_SCALES = 6


@dataclass(frozen=True)
class FieldRecipe(PriorRecipe):
    """All that decides the numbers of a trained :class:`ConvolutionalExperts`.

    Attributes:
        expert: name of the expert function.
        filter_size: side of a filter in pixels.
        experts: number of filters.
        scales: number of scales, each half the size of the one before.
        noise_levels: standard deviations the field is trained at, rising: RGB in [0, 1], for feature maps relative to
            their own deviation.
        noise: the level the prior has when a user names none, within the trained ones; the upper middle one when None.
        objective: ``denoising`` (Vincent 2011) or ``implicit`` (thesis eq. 8 with ``||w||^2``) score matching.
        boundary: ``reflect`` or ``valid``, see :class:`ConvolutionalExperts`.
        zero_mean: every filter sums to zero in each channel, so that the field does not see brightness and colour.
        pictures: ``samples``, or ``sha256:...`` of the photographs' files.
        short_side: photographs are resized so that their shorter side has this many pixels.
        maps: the layer whose maps are learned from; None for the pictures themselves.
        crop: side of the random crops in pixels of the maps.
        batch: crops in a step; crop ``b`` gets noise of level ``b mod L``.
        iterations: most steps of the optimiser.
        learning_rate: of Adam, at the start; it falls to 1 % along half a cosine.
        seed: decides the first filters, the crops and the noise.
    """

    family: ClassVar[str] = "convolutional_experts"

    expert: str = "student_t"
    filter_size: int = 7
    experts: int = 64
    scales: int = 3
    noise_levels: tuple[float, ...] = (0.02, 0.04, 0.08, 0.16)
    noise: float | None = None
    objective: str = "denoising"
    boundary: str = "reflect"
    zero_mean: bool = True
    pictures: str = SAMPLES
    short_side: int = 96
    maps: LayerMaps | None = None
    crop: int = 48
    batch: int = 16
    iterations: int = 1500
    learning_rate: float = 0.03
    seed: int = 0

    def __post_init__(self) -> None:
        # 1 and 1.0 are the same recipe, and have one key.
        object.__setattr__(self, "noise_levels", tuple(float(level) for level in self.noise_levels))
        faults = common_faults(
            self,
            choices={"expert": tuple(EXPERTS), "objective": OBJECTIVES, "boundary": BOUNDARIES},
            at_least=dict.fromkeys(("experts", "iterations", "batch", "short_side"), 1),
            within={"filter_size": (1, LARGEST_FILTER), "scales": (1, MOST_SCALES)},
        )
        levels = list(self.noise_levels)
        if not levels or not all(0 < level < float("inf") for level in levels) or levels != sorted(set(levels)):
            faults.append(f"noise_levels: positive values, rising, are needed, but got {levels}")
        elif self.noise is not None and not levels[0] <= self.noise <= levels[-1]:
            faults.append(f"noise: {levels[0]} <= noise <= {levels[-1]} must hold, but got {self.noise}")
        if self.batch < len(levels):
            faults.append(f"batch: batch >= {len(levels)} must hold, a crop a noise level, but got {self.batch}")
        coarsest = self.filter_size * 2 ** (self.scales - 1)
        if self.crop < coarsest:
            faults.append(
                f"crop: crop >= {coarsest} must hold, filters of {self.filter_size} px on {self.scales} scales, but got"
                f" {self.crop}"
            )
        if self.objective == "implicit" and self.crop % 2 ** (self.scales - 1):
            faults.append(
                f"crop: a multiple of {2 ** (self.scales - 1)} is needed by the implicit objective on {self.scales}"
                f" scales, but got {self.crop}"
            )
        if self.maps is None and self.short_side < self.crop:
            faults.append(f"short_side: short_side >= crop ({self.crop}) must hold, but got {self.short_side}")
        if self.zero_mean and self.filter_size == 1:
            faults.append("zero_mean: a filter of one pixel would be zero; valid: False, or filter_size >= 2")
        if faults:
            raise InputErrors(faults)

    @property
    def title(self) -> str:
        """``field-expert-size x size-experts``, and for maps the layer."""
        return self.name_with_layer(f"field-{self.expert}-{self.filter_size}x{self.filter_size}-{self.experts}")


def default_field_recipe() -> FieldRecipe:
    """Return the recipe of the field that ships: 64 Student-t experts 7 x 7 on three scales, at four noise levels.

    Its noise level is 0.04, at which reconstructions from a middle layer came out best.
    """
    return FieldRecipe(pictures=BUNDLED_PICTURES, noise=0.04)
