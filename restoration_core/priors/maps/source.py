"""What a training reads its maps from, and checks of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from restoration_core.errors import InputError

SAMPLES = "samples"
BUNDLED_PICTURES = "sha256:74a815c0eb07a380aba8b23b7ca4af650b21d9301aae9204e442193e8b46f4a8"
"""What the bundled priors were trained on: the 200 training photographs of the Berkeley data set BSDS500."""


@dataclass(frozen=True)
class LayerMaps:
    """The layer and network that a prior on feature maps belongs to.

    Attributes:
        network: the network's name.
        weights_id: hash of its weights (``Classifier.weights_id``).
        layer: readable name of the layer.
    """

    network: str
    weights_id: str
    layer: str

    def __str__(self) -> str:
        return f"{self.layer} of {self.network}"


class MapSource(Protocol):
    """Maps to learn from, in an order that depends on their content only.

    Attributes:
        identity: the pictures' name in recipes: ``samples`` for those of the package, or ``sha256:`` and a hash over
            the files.
        channels: of every map.
        layer_maps: the layer the maps come from; None for the pictures themselves.
        sizes: height and width of every map.
    """

    @property
    def identity(self) -> str: ...
    @property
    def channels(self) -> int: ...
    @property
    def layer_maps(self) -> LayerMaps | None: ...
    @property
    def sizes(self) -> tuple[tuple[int, int], ...]: ...

    def __len__(self) -> int:
        """How many maps there are."""
        ...

    def maps(self, indices: Sequence[int]) -> list[Tensor]:
        """Return some maps, each ``(C, H, W)``, float32; pictures are RGB in [0, 1], resized as the recipe says.

        They are read or computed anew at each call, so ask for a few at a time (:func:`in_batches`).
        """
        ...


def in_batches(count: int, size: int) -> list[range]:
    """Return the indices ``0 .. count - 1`` cut into runs of at most ``size``."""
    return [range(first, min(first + size, count)) for first in range(0, count, size)]


def check_contrast(source: MapSource) -> None:
    """Refuse maps without any contrast. They are read up to the first that has some.

    Raises:
        InputError: in every map each channel has the same value everywhere.
    """
    for index in range(len(source)):
        channels = source.maps([index])[0].flatten(1)
        if bool((channels.amax(dim=1) != channels.amin(dim=1)).any()):
            return
    where = "pictures: each" if source.layer_maps is None else f"maps: each map of {source.layer_maps}"
    kind = "of one colour" if source.layer_maps is None else "flat"
    raise InputError(f"{where} is {kind} everywhere, so there is no variance to learn from; valid: photographs")


def check_source(maps: LayerMaps | None, pictures: str, source: MapSource) -> None:
    """Refuse a source that is not what a recipe names.

    Args:
        maps: the recipe's layer.
        pictures: the recipe's pictures.
        source: the source that was given.

    Raises:
        InputError: other pictures, or maps of another layer.
    """
    if source.identity != pictures:
        raise InputError(f"photographs: {pictures} is needed by the recipe, but got {source.identity}")
    if source.layer_maps != maps:
        wanted, got = maps or "the pictures themselves", source.layer_maps or "the pictures themselves"
        weights = f" (weights {maps.weights_id})" if maps is not None else ""
        raise InputError(f"maps: {wanted}{weights} are needed by the recipe, but got {got}")
