"""Where a killed training goes on: its whole state in one file, written aside and moved into place."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

_FORMAT = "training-checkpoint-1"


class Checkpoint:
    """The state of one training in a file; nothing is unpickled.

    Args:
        path: the file; its folder must exist when something is saved.
        key: of the recipe: the state of another training is passed over.
    """

    def __init__(self, path: Path, key: str) -> None:
        self.path, self.key = path, key

    def save(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Keep ``tensors`` and ``state`` (what JSON can hold; floats come back bit by bit) instead of what was kept."""
        metadata = {"format": _FORMAT, "key": self.key, "state": json.dumps(state)}
        aside = self.path.with_name(f"{self.path.name}.{os.getpid()}.part")
        try:
            save_file({name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}, aside, metadata)
            aside.replace(self.path)
        finally:
            aside.unlink(missing_ok=True)

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Return tensors and state, or None where nothing usable of this training is kept."""
        try:
            with safe_open(self.path, "pt") as file:
                metadata = file.metadata() or {}
                if (metadata.get("format"), metadata.get("key")) != (_FORMAT, self.key):
                    return None
                # Copies, aligned as before the interruption: kernels round differently by alignment.
                tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
                return tensors, json.loads(metadata["state"])
        except (OSError, SafetensorError, ValueError, KeyError):
            return None

    def remove(self) -> None:
        """Forget what is kept."""
        self.path.unlink(missing_ok=True)
        for left in self.path.parent.glob(f"{self.path.name}.*.part"):  # of processes that were killed while writing
            left.unlink(missing_ok=True)


def optimizer_tensors(optimizer: torch.optim.Optimizer, prefix: str = "optimizer.") -> dict[str, Tensor]:
    """Return an optimiser's state as tensors by ``prefix``, number of the parameter, and name."""
    states = optimizer.state_dict()["state"]
    return {
        f"{prefix}{number}.{name}": torch.as_tensor(value)
        for number, state in states.items()
        for name, value in state.items()
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], prefix: str = "optimizer."
) -> None:
    """Give a new optimiser over the same parameters the state that :func:`optimizer_tensors` returned."""
    states: dict[int, dict[str, Tensor]] = {}
    for full, tensor in tensors.items():
        if full.startswith(prefix):
            number, _, name = full.removeprefix(prefix).partition(".")
            states.setdefault(int(number), {})[name] = tensor
    whole = optimizer.state_dict()
    optimizer.load_state_dict({"state": states, "param_groups": whole["param_groups"]})
