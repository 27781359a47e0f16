"""The photographs of an experiment, and the check that none is both searched on and tested on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from restoration_core.errors import InputError, InputErrors
from restoration_core.images import folder_pictures, load_image, picture_reference
from restoration_core.paths import user_path
from sweeps.experiment.models import ExperimentSpec

SEARCH, TEST, TRAIN = "search", "test", "train"


@dataclass(frozen=True)
class Photograph:
    """A photograph: its name, its role, and the SHA-256 of its pixels at the size of the experiment."""

    name: str
    role: str
    sha256: str

    @property
    def short_name(self) -> str:
        return Path(self.name).name


def look_at(spec: ExperimentSpec) -> tuple[Photograph, ...]:
    """Return all photographs of an experiment: searched, tested and trained on.

    Raises:
        InputErrors: photographs that cannot be read, that are given twice, or that are tested on and searched or
            trained on as well, by their pixels, one line each.
    """
    found: dict[str, Photograph] = {}
    faults: list[str] = []
    for role, names in ((SEARCH, spec.search_images), (TEST, spec.test_images)):
        for name, digest in _digests(names, role, spec.image_size, faults):
            known = found.setdefault(digest, Photograph(name, role, digest))
            if (known.name, known.role) != (name, role):
                faults.append(
                    f"{role}_images: {name} is the same picture as {known.name} of {known.role}_images; valid: every "
                    "photograph once, and tested on others than searched on"
                )
    trained = []
    if spec.trained and spec.train_images is not None:
        names = list(map(picture_reference, folder_pictures(user_path(spec.train_images))))
        for name, digest in _digests(names, TRAIN, spec.image_size, faults):
            trained.append(Photograph(name, TRAIN, digest))
            if digest in found and found[digest].role == TEST:
                faults.append(f"train_images: {name} is the same picture as {found[digest].name} of test_images")
    if faults:
        raise InputErrors(faults)
    return (*found.values(), *trained)


def overlap(photographs: Sequence[Photograph], first: str, second: str) -> int:
    """Return how many pictures have both roles, compared by their pixels."""
    by_role = {role: {item.sha256 for item in photographs if item.role == role} for role in (first, second)}
    return len(by_role[first] & by_role[second])


def _digests(names: Sequence[str], role: str, size: int, faults: list[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        try:
            yield name, hashlib.sha256(load_image(name, size).tobytes()).hexdigest()
        except InputError as error:
            faults.append(f"{role}_images: {error}")
