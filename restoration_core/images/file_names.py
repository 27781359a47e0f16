"""Names of files made from names of pictures and layers, whatever these are, on any file system."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Collection, Iterable
from pathlib import Path

from restoration_core.paths import as_text

_USUAL_LONGEST = 255
_SHORTEST = 16
_NOT_IN_NAMES = str.maketrans({"/": "_", "\\": "_", "\0": "_"})


def longest_name(folder: Path) -> int:
    """Return how many bytes the name of a file in this folder may have; the folder need not exist yet."""
    above = next((place for place in (folder.absolute(), *folder.absolute().parents) if os.path.isdir(place)), None)
    try:
        return os.pathconf(above or ".", "PC_NAME_MAX")
    except (OSError, ValueError, AttributeError):
        return _USUAL_LONGEST


def file_part(text: str, most: int) -> str:
    """Return text as a part of a file's name: one component, of at most ``most`` bytes (never fewer than 16).

    What is cut keeps its beginning and gets a hash of the whole, so that two long texts with the same beginning differ.

    >>> file_part("conv1/relu", 40)
    'conv1_relu'
    """
    part = as_text(text).translate(_NOT_IN_NAMES)
    most = max(_SHORTEST, most)
    if len(part.encode()) <= most:
        return part
    return f"{part.encode()[: most - 9].decode(errors='ignore')}-{_short_hash(text)}"


def free_part(text: str, most: int, taken: Collection[str]) -> str:
    """Return :func:`file_part` of a text, with a number behind it where it is taken: ``photo``, ``photo-2`` ...

    Args:
        text, most: as for :func:`file_part`.
        taken: parts that are in use, each as :func:`same_file` gives it.
    """
    part, number = file_part(text, most), 1
    while same_file(part) in taken:
        number += 1
        part = f"{file_part(text, most - len(str(number)) - 1)}-{number}"
    return part


def same_file(name: str) -> str:
    """Return what two names share that some file system takes for one: upper and lower case, composed accents."""
    return unicodedata.normalize("NFC", name).casefold()


def distinct_parts(texts: Iterable[str], most: int) -> dict[str, str]:
    """Return a part without dashes for each of some texts: those that would share one get a hash of the text."""
    plain = {text: file_part(text, most).replace("-", "_") for text in texts}
    seen: dict[str, int] = {}
    for part in plain.values():
        seen[same_file(part)] = seen.get(same_file(part), 0) + 1
    return {
        text: part
        if seen[same_file(part)] == 1
        else f"{file_part(text, most - 9)}_{_short_hash(text)}".replace("-", "_")
        for text, part in plain.items()
    }


def _short_hash(text: str) -> str:
    return hashlib.sha256(as_text(text).encode()).hexdigest()[:8]
