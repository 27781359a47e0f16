"""The state of a training in a file, from which it goes on after it was killed."""

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

_FORMAT = "training-checkpoint-2"
_PREFIX = "optimizer."


class Checkpoint:
    """The state of one training in a file: safetensors with JSON, so that nothing is unpickled.

    The file is written aside and moved into place, so it is whole at any time.

    Args:
        path: the file; its folder must exist when something is saved.
        key: the recipe's; what another training has left there is not loaded.
    """

    def __init__(self, path: Path, key: str) -> None:
        self.path, self.key = path, key

    def save(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Write ``tensors`` and ``state``, in place of what was there.

        Args:
            tensors: by name.
            state: what JSON can hold; floats come back bit by bit.
        """
        metadata = {"format": _FORMAT, "key": self.key, "state": json.dumps(state)}
        aside = self.path.with_name(f"{self.path.name}.{os.getpid()}.part")
        try:
            save_file({name: _copy(tensor) for name, tensor in tensors.items()}, aside, metadata)
            aside.replace(self.path)
        finally:
            aside.unlink(missing_ok=True)

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Return tensors and state; None where there is no file, or one that is damaged or another training's."""
        try:
            with safe_open(self.path, "pt") as file:
                metadata = file.metadata() or {}
                if (metadata.get("format"), metadata.get("key")) != (_FORMAT, self.key):
                    return None
                # Copies: the file's own memory is aligned differently, and kernels round by alignment.
                tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
                return tensors, json.loads(metadata["state"])
        except (OSError, SafetensorError, ValueError, KeyError):
            return None

    def remove(self) -> None:
        """Delete the file."""
        self.path.unlink(missing_ok=True)
        for left in self.path.parent.glob(f"{self.path.name}.*.part"):  # of processes that were killed while writing
            left.unlink(missing_ok=True)


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return an optimiser's state as tensors called ``optimizer.<number of the parameter>.<name>``."""
    states = optimizer.state_dict()["state"]
    return {
        f"{_PREFIX}{number}.{name}": torch.as_tensor(value)
        for number, state in states.items()
        for name, value in state.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Give a new optimiser over the same parameters the state that :func:`optimizer_tensors` returned."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    states: dict[int, dict[str, Tensor]] = {}
    for full, tensor in tensors.items():
        if full.startswith(_PREFIX):
            number, _, name = full.removeprefix(_PREFIX).partition(".")
            parameter = parameters[int(number)]
            # In the parameter's memory layout, as the optimiser makes it: sums round differently in another.
            alike = tensor.shape == parameter.shape
            own = torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor) if alike else tensor
            states.setdefault(int(number), {})[name] = own
    whole = optimizer.state_dict()
    optimizer.load_state_dict({"state": states, "param_groups": whole["param_groups"]})
