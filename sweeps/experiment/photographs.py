"""The photographs of an experiment, and the proof that none is both searched on and tested on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from restoration_core.errors import InputErrors
from restoration_core.images import load_image

SEARCH, TEST = "search", "test"


@dataclass(frozen=True)
class Photograph:
    """A photograph: how it is named, what it is for, and the SHA-256 of its pixels at the size of the experiment."""

    name: str
    role: str
    sha256: str

    @property
    def short_name(self) -> str:
        return Path(self.name).name


def look_at(search: Sequence[str], test: Sequence[str], size: int) -> tuple[Photograph, ...]:
    """Return all photographs, searched ones first.

    Args:
        search, test: paths or ``sample:NAME``, globs expanded.
        size: side in pixels.

    Raises:
        InputErrors: photographs that cannot be read or occur twice, by their pixels, one line each.
    """
    found: dict[str, Photograph] = {}
    faults: list[str] = []
    for role, names in ((SEARCH, search), (TEST, test)):
        for name in names:
            try:
                digest = hashlib.sha256(load_image(name, size).tobytes()).hexdigest()
            except ValueError as error:
                faults.append(f"{role}_images: {error}")
                continue
            known = found.setdefault(digest, Photograph(name, role, digest))
            if known.name != name or known.role != role:
                faults.append(
                    f"{role}_images: {name} is the same picture as {known.name} of {known.role}_images; valid: every "
                    "photograph once, and tested on others than searched on"
                )
    if faults:
        raise InputErrors(faults)
    return tuple(found.values())


def overlap(photographs: Sequence[Photograph]) -> int:
    """Return how many pictures are both searched and tested on, by their pixels."""
    by_role = {role: {item.sha256 for item in photographs if item.role == role} for role in (SEARCH, TEST)}
    return len(by_role[SEARCH] & by_role[TEST])
