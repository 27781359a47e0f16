"""Photographs to train on: a folder or the sample pictures, resized, with a name that depends on their content only."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from restoration_core.errors import InputError, InputErrors
from restoration_core.images import folder_pictures, open_picture, sample_names, sample_path
from restoration_core.priors.map_source import SAMPLES


@dataclass(frozen=True)
class Photographs:
    """Pictures of any sizes and what a recipe calls them: a :class:`MapSource` that holds them all.

    Attributes:
        identity: ``samples``, or ``sha256:`` and the hash over the sorted hashes of the files.
        pictures: each ``(3, H, W)``, float32, RGB in [0, 1], in an order that depends on the content only.
    """

    identity: str
    pictures: tuple[Tensor, ...]

    channels: ClassVar[int] = 3
    layer_maps: ClassVar[None] = None

    def __len__(self) -> int:
        return len(self.pictures)

    def maps(self, indices: Sequence[int]) -> list[Tensor]:
        """Return some of the pictures."""
        return [self.pictures[index] for index in indices]


def load_folder(folder: Path, short_side: int | None) -> Photographs:
    """Read all pictures that lie directly in ``folder``.

    Args:
        folder: holds JPEG, PNG, WebP, TIFF, BMP, GIF or PPM files; other files are passed over.
        short_side: pixels of the shorter side after resizing (Lanczos, shape kept); no resizing when None.

    Raises:
        InputError: no such folder or no picture in it.
        InputErrors: pictures that cannot be read, one line each.
    """
    found: list[tuple[str, Tensor]] = []
    faults: list[str] = []
    for path in folder_pictures(folder):
        try:
            picture = _read(path, short_side)
            found.append((hashlib.sha256(path.read_bytes()).hexdigest(), picture))
        except InputError as error:
            faults.append(str(error))
    if faults:
        raise InputErrors(faults)
    found.sort(key=lambda pair: pair[0])
    whole = hashlib.sha256("\n".join(digest for digest, _ in found).encode()).hexdigest()
    return Photographs(f"sha256:{whole}", tuple(picture for _, picture in found))


def load_samples(short_side: int | None) -> Photographs:
    """Return the sample pictures that ship with the package, whole (not cut to squares)."""
    return Photographs(SAMPLES, tuple(_read(sample_path(name), short_side) for name in sample_names()))


def _read(path: Path, short_side: int | None) -> Tensor:
    image = open_picture(path)
    if short_side is not None:
        scale = short_side / min(image.size)
        size = (max(short_side, round(image.width * scale)), max(short_side, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255
