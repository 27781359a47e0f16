"""The recipe of a prior of patch experts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from restoration_core.errors import InputError, InputErrors
from restoration_core.priors.expert_functions import EXPERTS
from restoration_core.priors.maps import SAMPLES, LayerMaps
from restoration_core.priors.patch_experts.banks import BANKS
from restoration_core.priors.patch_experts.channel_subset import check_channels
from restoration_core.priors.patch_experts.whitened_patches.whitening import WHITENINGS
from restoration_core.priors.training import PriorRecipe, common_faults

LARGEST_PATCH = 32
"""Whitening holds a matrix of (3 * patch_size^2)^2 numbers."""
PATCHES_PER_DIMENSION = 10
"""A recipe with fewer patches for each dimension that is learned is refused."""


@dataclass(frozen=True)
class Recipe(PriorRecipe):
    """All that decides the numbers of a trained prior.

    Attributes:
        expert: name of the expert function.
        patch_size: side of a patch in pixels, or in positions of the map.
        experts: number of filters (of each channel, in a channel-wise bank).
        pictures: ``samples``, or ``sha256:...`` of the photographs' files.
        short_side: photographs are resized so that their shorter side has this many pixels.
        whitening: ``pca`` or ``zca``.
        dims: whitened dimensions that are kept (of each channel, unless the bank is full); all when None.
        sigma: standard deviation of the white noise that is added to the patches and keeps the whitening bounded: RGB
            in [0, 1], on feature maps relative to their own standard deviation.
        remove_dc: subtract each patch's mean per channel.
        free_norms: filters may have any norm (eq. 8 then contains ``||w||^2``); otherwise they have norm 1.
        patches: patches drawn, a tenth of them held out.
        iterations: most steps of the optimiser.
        batch: patches in a step.
        learning_rate: of Adam, at the start.
        seed: decides the patches, the first filters and the order.
        maps: the layer whose maps are learned from; None for the pictures themselves.
        bank: ``full`` (filters over all channels), ``channelwise`` (a bank for each channel) or ``separable``
            (depth-wise, then point-wise filters).
        channels: the channels that are modelled, by number from 0; all when None.
        multiplier: number of depth-wise filters of each channel, for a separable bank.
    """

    family: ClassVar[str] = "patch_experts"
    later_fields: ClassVar[frozenset[str]] = frozenset({"maps", "bank", "channels", "multiplier"})

    expert: str
    patch_size: int
    experts: int
    pictures: str = SAMPLES
    short_side: int = 160
    whitening: str = "pca"
    dims: int | None = None
    sigma: float = 0.006
    remove_dc: bool = False
    free_norms: bool = False
    patches: int = 100_000
    iterations: int = 2000
    batch: int = 256
    learning_rate: float = 0.01
    seed: int = 0
    maps: LayerMaps | None = None
    bank: str = "full"
    channels: tuple[int, ...] | None = None
    multiplier: int = 4

    def __post_init__(self) -> None:
        faults = common_faults(
            self,
            choices={"expert": tuple(EXPERTS), "whitening": WHITENINGS, "bank": BANKS},
            at_least={"multiplier": 1, "experts": 1, "iterations": 1, "batch": 1, "patches": 20},
            within={"patch_size": (2, LARGEST_PATCH)},
        )
        if self.channels is not None:
            try:
                check_channels(self.channels, 3 if self.maps is None else None)
            except InputError as error:
                faults.append(str(error))
        if self.short_side < self.patch_size:
            faults.append(
                f"short_side: short_side >= patch_size ({self.patch_size}) must hold, but got {self.short_side}"
            )
        most = (1 if self.bank != "full" else len(self.channels or (0, 1, 2))) * self.patch_size**2
        if self.dims is not None and (self.dims < 1 or (self.maps is None and self.dims > most)):
            bound = f" <= {most}" if self.maps is None else ""
            faults.append(f"dims: 1 <= dims{bound} must hold, but got {self.dims}")
        if not 0 <= self.sigma < 1:
            faults.append(f"sigma: 0 <= sigma < 1 must hold, but got {self.sigma}")
        if faults:
            raise InputErrors(faults)

    @property
    def title(self) -> str:
        """``expert-size x size-experts``, with the bank where it is not full, and for maps network and layer."""
        bank = "" if self.bank == "full" else f"-{self.bank}"
        return self.name_with_layer(f"{self.expert}{bank}-{self.patch_size}x{self.patch_size}-{self.experts}")
