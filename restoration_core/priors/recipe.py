"""What a trained prior was made of: plain data whose hash is the prior's name."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from restoration_core.errors import InputErrors, unknown
from restoration_core.priors.experts import EXPERTS
from restoration_core.priors.whitening import WHITENINGS

SAMPLES = "samples"
LARGEST_PATCH = 32

# Counted up when training changes so that the same recipe no longer gives the same prior.
_VERSION = 1


@dataclass(frozen=True)
class Recipe:
    """All that decides the numbers of a trained prior.

    Attributes:
        expert: name of the expert function.
        patch_size: side of a patch in pixels.
        experts: number of filters.
        pictures: ``samples``, or ``sha256:...`` of the photographs' files.
        short_side: photographs are resized so that their shorter side has this many pixels.
        whitening: ``pca`` or ``zca``.
        dims: whitened dimensions kept; all when None.
        sigma: standard deviation of white noise added to the patches, RGB in [0, 1]; it bounds the whitening.
        remove_dc: subtract each patch's mean per channel.
        free_norms: filters of any norm (eq. 8 then carries ``||w||^2``) rather than of norm 1.
        patches: patches drawn, a tenth of them held out.
        iterations: most steps of the optimiser.
        batch: patches in a step.
        learning_rate: of Adam, at the start.
        seed: of the patches, the first filters and the order.
    """

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

    def __post_init__(self) -> None:
        faults: list[str] = []
        if self.expert not in EXPERTS:
            faults.append(unknown("expert", self.expert, EXPERTS))
        if self.whitening not in WHITENINGS:
            faults.append(unknown("whitening", self.whitening, WHITENINGS))
        if self.pictures != SAMPLES and not self.pictures.startswith("sha256:"):
            faults.append(f"pictures: {SAMPLES!r} or 'sha256:...' is needed, but got {self.pictures!r}")
        for name, low in (("experts", 1), ("iterations", 1), ("batch", 1), ("patches", 20)):
            if getattr(self, name) < low:
                faults.append(f"{name}: {name} >= {low} must hold, but got {getattr(self, name)}")
        if not 2 <= self.patch_size <= LARGEST_PATCH:  # whitening holds a matrix of (3 patch_size^2)^2
            faults.append(f"patch_size: 2 <= patch_size <= {LARGEST_PATCH} must hold, but got {self.patch_size}")
        if self.short_side < self.patch_size:
            faults.append(
                f"short_side: short_side >= patch_size ({self.patch_size}) must hold, but got {self.short_side}"
            )
        if self.dims is not None and not 1 <= self.dims <= 3 * self.patch_size**2:
            faults.append(f"dims: 1 <= dims <= {3 * self.patch_size**2} must hold, but got {self.dims}")
        if not 0 <= self.sigma < 1:
            faults.append(f"sigma: 0 <= sigma < 1 must hold, but got {self.sigma}")
        if not self.learning_rate > 0:
            faults.append(f"learning_rate: learning_rate > 0 must hold, but got {self.learning_rate}")
        if faults:
            raise InputErrors(faults)

    @property
    def key(self) -> str:
        """The first 16 hexadecimal digits of SHA-256 over the canonical JSON of the recipe."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """Return the recipe as JSON with sorted keys and no spaces: the same text for the same recipe."""
        fields = dataclasses.asdict(self) | {"version": _VERSION}
        return json.dumps(fields, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_mapping(cls, fields: Mapping[str, Any]) -> Recipe:
        """Return the recipe of a mapping as :meth:`to_json` writes it.

        Raises:
            InputErrors: an unknown or missing field, another version, or a value out of range.
        """
        given = dict(fields)
        version = given.pop("version", _VERSION)
        names = {field.name: field for field in dataclasses.fields(cls)}
        faults = [unknown("recipe field", name, names) for name in given if name not in names]
        faults += [
            f"recipe: field {name!r} is missing"
            for name, field in names.items()
            if field.default is dataclasses.MISSING and name not in given
        ]
        if version != _VERSION:
            faults.append(f"recipe version {version!r} is unknown; valid: {_VERSION}")
        if faults:
            raise InputErrors(faults)
        return cls(**given)


# 200 photographs of the Berkeley segmentation data set (BSDS500, training part), which the bundled priors learned from.
_BUNDLED_PICTURES = "sha256:74a815c0eb07a380aba8b23b7ca4af650b21d9301aae9204e442193e8b46f4a8"


def default_recipe(expert: str, patch_size: int = 8) -> Recipe:
    """Return the recipe that a spec means when it names only an expert and a patch size.

    For 8 x 8 it is that of the bundled prior. Other sizes are trained from the sample pictures when first asked for,
    with twice as many experts as dimensions, at most 512, in less than a minute on one core.

    Raises:
        InputErrors: an unknown expert or a patch size outside 2..32.
    """
    if patch_size == 8:
        return Recipe(
            expert, 8, 512, _BUNDLED_PICTURES, patches=200_000, iterations=25_000, batch=256, learning_rate=0.05
        )
    experts = min(512, 2 * 3 * max(patch_size, 1) ** 2)
    return Recipe(expert, patch_size, experts, patches=50_000, iterations=2000, batch=256, learning_rate=0.05)
