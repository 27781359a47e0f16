"""Where reconstructions are computed: on a GPU where the spec asks for one, else on the CPU."""

from __future__ import annotations

import os

import torch

from restoration_core.errors import InputError
from sweeps.spec.models import SweepSpec


def gpus_here() -> int:
    """Return how many GPUs PyTorch can use on this machine."""
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def device_here(spec: SweepSpec) -> str:
    """Return where this process computes: ``cuda`` when the spec asks for GPUs and there is one, else ``cpu``."""
    return "cuda" if spec.resources.gpus_per_actor > 0 and gpus_here() else "cpu"


def check_gpus(spec: SweepSpec, available: float | None = None) -> None:
    """Refuse a sweep that asks for GPUs where there are too few: its packs would never start.

    Args:
        spec: the sweep.
        available: GPUs of the cluster; None for those of this machine, unless ``RAY_ADDRESS`` names a cluster, of
            which only its own Ray can tell.

    Raises:
        InputError: a pack needs more GPUs than there are.
    """
    if available is None:
        if os.environ.get("RAY_ADDRESS"):
            return
        available = gpus_here()
    if spec.resources.gpus_per_actor > available:
        raise InputError(
            f"resources.gpus_per_actor is {spec.resources.gpus_per_actor:g}, but there are {available:g} GPUs; valid: "
            "0, which computes on the CPU"
        )
