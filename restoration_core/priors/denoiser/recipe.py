"""The recipe of a denoiser."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from restoration_core.errors import InputErrors
from restoration_core.priors.maps import BUNDLED_PICTURES, SAMPLES, LayerMaps
from restoration_core.priors.training import PriorRecipe, common_faults

LARGEST_WIDTH = 256
LARGEST_DEPTH = 32
LARGEST_FACTOR = 4

MAP_LEVELS = {"levels": (0.05, 0.8), "held_out_levels": (0.1, 0.2, 0.4), "factor": 1}
"""Fields of a denoiser on a layer's maps. Noise far below the maps' own deviation could hardly be recognised."""


@dataclass(frozen=True)
class DenoiserRecipe(PriorRecipe):
    """All that decides the numbers of a trained :class:`Denoiser`.

    Noise levels are standard deviations: in [0, 1] units for pictures, in standard deviations of the maps (about each
    channel's mean, over all channels) for a layer.

    Attributes:
        levels: lowest and highest noise level; training draws from all between, evenly on a logarithmic scale.
        noise: the level that the prior has when a user names none; the geometric middle when None.
        held_out_levels: levels at which held-out crops are denoised at the checks.
        width: channels of the hidden layers.
        depth: number of 3 x 3 convolutions, even: one in, residual blocks of two, one out.
        factor: blocks of ``factor x factor`` pixels are taken as channels; 1 works on pixels.
        pictures: ``samples``, or ``sha256:...`` of the photographs' files.
        short_side: photographs are resized so that their shorter side has this many pixels.
        maps: the layer whose maps are learned from; None for the pictures themselves.
        scales: pictures are shown at these sizes, 1 and less of their own; maps of a layer always as they are.
        flips: half of the crops of pictures are mirrored left to right; maps of a layer never.
        crop: side of the random crops in pixels of the maps; smaller maps are shown whole.
        batch: crops in a step.
        iterations: most steps of the optimiser.
        learning_rate: the highest of Adam: it rises over the first 100 steps, then falls along half a cosine to 0.
        seed: decides the first filters, the crops, the noise and its levels.
    """

    family: ClassVar[str] = "denoiser"

    levels: tuple[float, float] = (0.01, 0.3)
    noise: float | None = None
    held_out_levels: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2)
    width: int = 48
    depth: int = 8
    factor: int = 2
    pictures: str = SAMPLES
    short_side: int = 160
    maps: LayerMaps | None = None
    scales: tuple[float, ...] = (1.0, 0.7, 0.5)
    flips: bool = True
    crop: int = 40
    batch: int = 16
    iterations: int = 2000
    learning_rate: float = 0.004
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("levels", "held_out_levels", "scales"):  # 1 and 1.0 are the same recipe, and have one key
            object.__setattr__(self, name, tuple(float(value) for value in getattr(self, name)))
        faults = common_faults(
            self,
            choices={},
            at_least={"batch": 1, "iterations": 1},
            within={"width": (1, LARGEST_WIDTH), "depth": (2, LARGEST_DEPTH), "factor": (1, LARGEST_FACTOR)},
        )
        if len(self.levels) != 2 or not 0 < self.levels[0] < self.levels[1] < math.inf:
            faults.append(f"levels: two levels, 0 < lowest < highest, are needed, but got {list(self.levels)}")
        else:
            low, high = self.levels
            if self.noise is not None and not low <= self.noise <= high:
                faults.append(f"noise: {low} <= noise <= {high} must hold, but got {self.noise}")
            if not self.held_out_levels or not all(low <= level <= high for level in self.held_out_levels):
                levels = list(self.held_out_levels)
                faults.append(f"held_out_levels: levels from {low} to {high} are needed, but got {levels}")
        if self.depth % 2:
            faults.append(f"depth: an even number is needed, but got {self.depth}")
        if 1.0 not in self.scales or not all(0 < scale <= 1 for scale in self.scales):
            faults.append(f"scales: 1 and factors between 0 and 1 are needed, but got {list(self.scales)}")
        if self.crop < self.factor:
            faults.append(f"crop: crop >= factor ({self.factor}) must hold, but got {self.crop}")
        if self.maps is None and self.short_side < self.crop:
            faults.append(f"short_side: short_side >= crop ({self.crop}) must hold, but got {self.short_side}")
        if faults:
            raise InputErrors(faults)

    @property
    def stands_at(self) -> float:
        """The noise level that the prior has when a user names none."""
        return math.sqrt(self.levels[0] * self.levels[1]) if self.noise is None else self.noise

    @property
    def title(self) -> str:
        """``denoiser-depth x width``, and for maps the layer."""
        return self.name_with_layer(f"denoiser-{self.depth}x{self.width}")


def default_denoiser_recipe() -> DenoiserRecipe:
    """Return the recipe of the denoiser of pictures that ships with the package.

    It learned from photographs whose shorter side has 160, 112, 80 and 64 pixels.
    """
    return DenoiserRecipe(pictures=BUNDLED_PICTURES, scales=(1.0, 0.7, 0.5, 0.4), iterations=9000)
