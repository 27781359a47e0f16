"""What a folder of reconstructions holds: one record a picture and layer, by which a command goes on where it was."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from restoration_core.commands.reconstruct_request import LayerPlan, Plan
from restoration_core.errors import InputError
from restoration_core.images import PREFIX, free_part, longest_name, pixel_sha256, same_file, to_uint8
from restoration_core.paths import as_text, shown

FILE = "metrics.json"
LONGEST_LAYER = 80
"""Bytes that a layer's name may take in the name of a file."""

# Bytes that stand behind a picture's name at most: the layer, the view and the ending, with the dashes between.
_BEHIND_NAME = LONGEST_LAYER + 35

# Counted up when what is computed or kept changes, so that older records are done again.
_VERSION = 2

Record = dict[str, Any]


class Records:
    """The records of a folder, in ``metrics.json``: every change is written aside, then moved.

    Args:
        out: the folder; it need not exist.

    Raises:
        InputError: the file is there and is not a list of records.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self._kept: dict[tuple[str, str], Record] = {}
        path = out / FILE
        if not path.is_file():
            return
        try:
            rows = json.loads(path.read_text())
            records = [row for row in rows if {"name", "layer", "image", "picture", "settings"} <= row.keys()]
            self._kept = {(row["name"], row["layer"]): row for row in records}
        except (ValueError, TypeError, AttributeError, OSError) as error:
            raise InputError(
                f"--out {shown(out)}: its {FILE} cannot be read ({error}); valid: another folder"
            ) from error

    def names(self, references: tuple[str, ...]) -> list[str]:
        """Return what the files of each picture are called: a name that the folder has for it, or a free one."""
        known = {row["image"]: row["name"] for row in self._kept.values()}
        taken = {same_file(name) for name in known.values()}
        most = longest_name(self._out) - _BEHIND_NAME
        names = []
        for reference in references:
            if reference not in known:
                known[reference] = free_part(Path(reference.removeprefix(PREFIX)).stem, most, taken)
                taken.add(same_file(known[reference]))
            names.append(known[reference])
        return names

    def done(self, name: str, layer: str, settings: str) -> Record | None:
        """Return the record of a picture and layer if it was done with these settings and its files are there."""
        row = self._kept.get((name, layer))
        if row is None or row["settings"] != settings or not row["metrics"]:
            return None
        files = {view: Path(file).name for view, file in row["files"].items()}
        if not all((self._out / file).is_file() for file in files.values()):
            return None
        return row | {"files": {view: as_text(self._out / file) for view, file in files.items()}}

    def make_room(self, name: str, layer: str, picture: str) -> None:
        """Forget the record whose files are about to be replaced, so that no record speaks of another's files.

        Args:
            name, layer: of the new record.
            picture: its picture; records of another picture or size under this name lose their original.
        """
        stale = [
            key
            for key, row in self._kept.items()
            if key == (name, layer) or (key[0] == name and row["picture"] != picture)
        ]
        for key in stale:
            del self._kept[key]
        if stale:
            self._write()

    def keep(self, row: Record) -> None:
        """Keep a record, in the place of that of the same picture and layer."""
        self._kept[row["name"], row["layer"]] = row
        self._write()

    def _write(self) -> None:
        self._out.mkdir(parents=True, exist_ok=True)
        aside = self._out / f".{FILE}.{os.getpid()}"
        try:
            aside.write_text(json.dumps(list(self._kept.values()), indent=2) + "\n")
            aside.replace(self._out / FILE)
        finally:
            aside.unlink(missing_ok=True)


def picture_hash(original: Tensor) -> str:
    """Return the hash of a picture's pixels, ``(3, H, W)``, RGB in [0, 1]."""
    return pixel_sha256(to_uint8(original.numpy()))


def settings_hash(plan: Plan, layer: LayerPlan, original: Tensor) -> str:
    """Return a hash over all that decides what is written for one picture and layer, the device aside."""
    request = plan.request
    fields = {
        "version": _VERSION,
        "picture": picture_hash(original),
        "network": [plan.classifier.name, plan.classifier.weights_id, layer.layer],
        "preset": [
            (field.name, _identity(getattr(layer.preset, field.name)))
            for field in dataclasses.fields(layer.preset)
            if field.name != "published"
        ],
        "runs": [request.seed, request.restarts, request.gap],
        "animation": [request.animate, request.frames] if request.animate else None,
    }
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:16]


def _identity(value: Any) -> Any:
    """Return plain data that is the same for the same value: tensors by their content, objects by their fields."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Tensor):
        content = value.detach().cpu().contiguous()
        digest = hashlib.sha256(content.flatten().view(torch.uint8).numpy().data).hexdigest()
        return [str(value.dtype), list(value.shape), digest]
    if isinstance(value, tuple | list):
        return [_identity(item) for item in value]
    if isinstance(value, Mapping):
        return [[str(key), _identity(item)] for key, item in value.items()]
    if not hasattr(value, "__dict__"):  # a dtype, a device
        return str(value)
    return [type(value).__name__, *([name, _identity(item)] for name, item in sorted(vars(value).items()))]
