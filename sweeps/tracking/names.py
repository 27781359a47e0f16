"""Names that MLflow takes: metric, parameter and tag keys, and file names of pictures."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterable

# MLflow: at most 250 characters of alphanumerics, ``_ - . : /`` and spaces that no path normalisation would change;
# the colon is refused on Windows, so it goes everywhere.
_KEY_LENGTH = 250
_LABEL_LENGTH = 100
_NOT_IN_KEY = re.compile(r"[^\w.\-/ ]")
_NOT_IN_LABEL = re.compile(r"[^\w.\-]+")


def metric_key(name: str) -> str:
    """Return the name as a metric, parameter or tag key; a name that MLflow takes as it is comes back unchanged.

    >>> metric_key("priors.conv2/relu.patch_size")
    'priors.conv2/relu.patch_size'
    >>> metric_key("layers::../odd//name")
    'layers__odd/name'
    """
    key = _NOT_IN_KEY.sub("_", name)
    if posixpath.normpath(key) != key or key.startswith(("..", "/")):
        key = "/".join(part for part in key.split("/") if part.strip(".")) or "_"
        key = key.replace("__/", "__").strip("/")
    if len(key) > _KEY_LENGTH:
        key = f"{key[: _KEY_LENGTH - 9]}-{_short_hash(name)}"
    return key


def image_labels(images: Iterable[str]) -> dict[str, str]:
    """Return a label for every picture that is one path component, distinct also where upper and lower case are one.

    Characters other than letters, digits, ``_ - .`` become ``_``; pictures that would share a label get a hash of
    their name. The labels depend on the set of pictures only, not on its order.

    >>> image_labels(["sample:coffee", "photos/a.jpg", "photos:a.jpg"])["sample:coffee"]
    'sample_coffee'
    """
    plain = {image: _NOT_IN_LABEL.sub("_", image).strip("._")[-_LABEL_LENGTH:] or "_" for image in images}
    count: dict[str, int] = {}
    for label in plain.values():
        count[label.casefold()] = count.get(label.casefold(), 0) + 1
    return {
        image: label if count[label.casefold()] == 1 else f"{label}-{_short_hash(image)}"
        for image, label in plain.items()
    }


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
