"""What kind of file lies there: weights that can be read, or one of the things that are often taken for them."""

from __future__ import annotations

import json
import zipfile
from enum import Enum
from pathlib import Path

from restoration_core.errors import InputError
from restoration_core.paths import check_file, shown

SUFFIXES = (".safetensors", ".pt", ".pth", ".th", ".ckpt", ".bin", ".pth.tar", ".tar", ".npz")
VALID = "a state dict as .safetensors, .pt, .pth, .th, .ckpt, .bin, .pth.tar or .npz"
_OTHERS = (".h5", ".hdf5", ".keras", ".npy", ".json", ".onnx", ".pkl", ".msgpack", ".index", ".caffemodel", ".zip")
_CUT_OFF = "it is cut off, its end is missing; valid: copy or download it again"
_BEGINNINGS = (
    (b"version https://git-lfs", "it is a Git LFS pointer, not the weights themselves; valid: `git lfs pull` first"),
    (b"\x89HDF", "it is an HDF5 file (Keras, TensorFlow); valid: its arrays under the network's names as .npz"),
    (
        b"\x93NUMPY",
        "a .npy file holds one array or a pickled dictionary, which is not opened; valid: its arrays as .npz",
    ),
    (b"\x1f\x8b", "it is compressed by gzip; valid: the unpacked file"),
    (b"BZh", "it is compressed by bzip2; valid: the unpacked file"),
    (b"\xfd7zXZ", "it is compressed by xz; valid: the unpacked file"),
    (b"7z\xbc\xaf", "it is a 7z archive; valid: the unpacked file"),
    (b"%PDF", f"it is a PDF; valid: {VALID}"),
)


class Kind(Enum):
    """How a file of weights is read."""

    TORCH = "torch.save"
    SAFETENSORS = "safetensors"
    NUMPY = "npz"


def is_path(weights: str) -> bool:
    """Whether a ``weights`` entry names a file rather than one of the keywords."""
    return weights.lower().endswith((*SUFFIXES, *_OTHERS)) or "/" in weights


def check_weights_file(path: Path) -> None:
    """Check, without reading it whole, that a file can hold weights.

    Raises:
        InputError: for a missing file, and one that holds no weights, saying what it holds.
    """
    kind_of(path)


def kind_of(path: Path) -> Kind:
    """Return how to read a file of weights, judged by its content; its name only has to end as weights do.

    Raises:
        InputError: for a missing file, and one that holds no weights, saying what it holds.
    """
    if not path.name.lower().endswith((*SUFFIXES, *_OTHERS)):
        raise InputError(f"{shown(path)}: unknown kind of weights file {path.suffix!r}; valid: {VALID}")
    check_file(path, "weights file", VALID)
    try:
        with path.open("rb") as file:
            head = file.read(1024)
        size = path.stat().st_size
    except OSError as error:
        raise InputError(f"{shown(path)}: cannot be read ({(error.strerror or str(error)).lower()})") from error
    if fault := _no_weights(path, head, size):
        raise InputError(f"{shown(path)}: {fault}")
    if head.startswith(b"PK"):
        return Kind.NUMPY if path.name.lower().endswith(".npz") else _kind_of_archive(path)
    return Kind.SAFETENSORS if head[8:9] == b"{" else Kind.TORCH


def _no_weights(path: Path, head: bytes, size: int) -> str | None:
    if size == 0:
        return f"it is empty; valid: {VALID}"
    for beginning, fault in _BEGINNINGS:
        if head.startswith(beginning):
            return fault
    text = head.lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "it is a web page, saved in the place of the weights; valid: the file that the page's link leads to"
    if text.startswith(b"{") and b'"weight_map"' in path.read_bytes():
        return "it is the index of weights in several files; valid: those files joined into one"
    if text.startswith((b"{", b"[")):
        return f"it is JSON; valid: {VALID}"
    if head[257:262] == b"ustar":
        return "it is a tar archive; valid: the file of weights inside it"
    if head.startswith(b"PK"):
        return None if zipfile.is_zipfile(path) else _CUT_OFF
    if head[8:9] == b"{":
        return _cut_off_safetensors(path, size)
    if path.name.lower().endswith(_OTHERS) or not head.startswith(b"\x80"):
        return f"not a readable state dict (it begins as no kind of weights does); valid: {VALID}"
    return None


def _cut_off_safetensors(path: Path, size: int) -> str | None:
    """Say so where a safetensors file is shorter than its own header tells."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if 8 + length > size:
            return _CUT_OFF
        try:
            header = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
            return _CUT_OFF if 8 + length + max(ends, default=0) > size else None
        except (ValueError, TypeError, KeyError, AttributeError, IndexError):
            return "not a readable state dict (its safetensors header is damaged); valid: copy or download it again"


def _kind_of_archive(path: Path) -> Kind:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if any(name.endswith("constants.pkl") for name in names):
        raise InputError(
            f"{shown(path)}: it is a TorchScript archive (torch.jit.save), which holds code; valid: a state dict saved "
            "by torch.save(module.state_dict(), PATH)"
        )
    if any(name.endswith("data.pkl") for name in names):
        return Kind.TORCH
    if names and all(name.endswith(".npy") for name in names):
        return Kind.NUMPY
    held = ", ".join(names[:3]) or "nothing"
    raise InputError(f"{shown(path)}: it is a zip archive of other things ({held}); valid: {VALID}")
