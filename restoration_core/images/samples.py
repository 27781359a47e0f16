"""The sample pictures that ship with the package, by name."""

from __future__ import annotations

from pathlib import Path

from restoration_core.errors import InputError, unknown

PREFIX = "sample:"
_DATA = Path(__file__).parent / "data"


def sample_names() -> list[str]:
    """Return the names of the sample pictures in alphabetical order."""
    return sorted(path.stem for path in _DATA.glob("*.jpg"))


def sample_path(name: str) -> Path:
    """Return the file of a sample picture.

    Args:
        name: without the prefix ``sample:``.

    Raises:
        InputError: for an unknown name, with the nearest match.
    """
    if name not in sample_names():
        raise InputError(unknown("sample picture", name, sample_names()))
    return _DATA / f"{name}.jpg"
