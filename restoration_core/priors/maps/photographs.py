"""Photographs to train on: a folder or the sample pictures, named by a hash of their content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, overload

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from restoration_core.errors import InputError, InputErrors
from restoration_core.images import MAX_PIXELS, folder_pictures, open_picture, sample_names, sample_path
from restoration_core.paths import shown
from restoration_core.priors.maps.source import SAMPLES

_KEPT_BYTES = 1 << 30
"""Most memory of decoded pictures; those beyond are read again each time."""


@dataclass(frozen=True)
class Photographs:
    """A :class:`MapSource` of pictures of any sizes.

    Attributes:
        identity: their name in recipes: ``samples``, or ``sha256:`` and a hash over the sorted hashes of the files.
        pictures: each ``(3, H, W)``, float32, RGB in [0, 1], in an order that depends on the content only.
    """

    identity: str
    pictures: Sequence[Tensor]

    channels: ClassVar[int] = 3
    layer_maps: ClassVar[None] = None

    def __len__(self) -> int:
        return len(self.pictures)

    @cached_property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Height and width of every picture."""
        if isinstance(self.pictures, PictureFiles):
            return self.pictures.sizes
        return tuple((picture.shape[1], picture.shape[2]) for picture in self.pictures)

    def maps(self, indices: Sequence[int]) -> list[Tensor]:
        """Return some of the pictures."""
        return [self.pictures[index] for index in indices]


class PictureFiles(Sequence[Tensor]):
    """Pictures in files, decoded when asked for; at most a gibibyte of them is kept in memory.

    Args:
        paths: the files.
        short_side: pixels of the shorter side after resizing (Lanczos, shape kept); no resizing when None.

    Attributes:
        sizes: height and width of every picture, after resizing.

    Raises:
        InputErrors: files that cannot be read as pictures, one line each.
    """

    def __init__(self, paths: Sequence[Path], short_side: int | None) -> None:
        self._paths, self._short_side = tuple(paths), short_side
        self._kept: dict[int, NDArray[np.uint8]] = {}
        self._kept_bytes = 0
        sizes, faults = [], []
        for index in range(len(self._paths)):
            try:
                sizes.append(self._pixels(index).shape[:2])
            except InputError as error:
                faults.append(str(error))
        if faults:
            raise InputErrors(sorted(faults))
        self.sizes = tuple((height, width) for height, width in sizes)

    def __len__(self) -> int:
        return len(self._paths)

    @overload
    def __getitem__(self, index: int) -> Tensor: ...
    @overload
    def __getitem__(self, index: slice) -> list[Tensor]: ...
    def __getitem__(self, index: int | slice) -> Tensor | list[Tensor]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return torch.from_numpy(self._pixels(index % len(self))).permute(2, 0, 1).float() / 255

    def __iter__(self) -> Iterator[Tensor]:
        return (self[index] for index in range(len(self)))

    def _pixels(self, index: int) -> NDArray[np.uint8]:
        if index in self._kept:
            return self._kept[index]
        pixels = _read(self._paths[index], self._short_side)
        if self._kept_bytes + pixels.nbytes <= _KEPT_BYTES:
            self._kept[index] = pixels
            self._kept_bytes += pixels.nbytes
        return pixels


def load_folder(folder: Path, short_side: int | None) -> Photographs:
    """Return all pictures that lie directly in ``folder``.

    Args:
        folder: holds JPEG, PNG, WebP, TIFF, BMP, GIF or PPM files; other files are passed over.
        short_side: pixels of the shorter side after resizing (Lanczos, shape kept); no resizing when None.

    Raises:
        InputError: no such folder or no picture in it.
        InputErrors: pictures that cannot be read, one line each.
    """
    found = sorted((_digest(path), path) for path in folder_pictures(folder))
    whole = hashlib.sha256("\n".join(digest for digest, _ in found).encode()).hexdigest()
    return Photographs(f"sha256:{whole}", PictureFiles([path for _, path in found], short_side))


def load_samples(short_side: int | None) -> Photographs:
    """Return the sample pictures that ship with the package, whole (not cut to squares)."""
    return Photographs(SAMPLES, PictureFiles([sample_path(name) for name in sample_names()], short_side))


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""  # reported later, with the other pictures that cannot be read


def _read(path: Path, short_side: int | None) -> NDArray[np.uint8]:
    image = open_picture(path)
    if short_side is not None:
        scale = short_side / min(image.size)
        size = (max(short_side, round(image.width * scale)), max(short_side, round(image.height * scale)))
        if size[0] * size[1] > MAX_PIXELS:
            shape = f"{image.width} x {image.height} pixels become {size[0]} x {size[1]}"
            raise InputError(f"{shown(path)}: {shape}; valid: at most {MAX_PIXELS // 10**6} million pixels")
        image = image.resize(size, Image.Resampling.LANCZOS)
    return np.array(image)
