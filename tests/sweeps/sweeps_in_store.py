"""Makes sweeps in a real store for the tests of this folder."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sweeps.execution.coordinator import Coordinator
from sweeps.execution.holder import new_holder
from sweeps.execution.lease import LEASE_TTL_S, Lease
from sweeps.execution.protocol import Assignment, CurveRecord, EncodedPicture, PictureRecord, TrialRecord
from sweeps.spec.models import SweepSpec
from sweeps.store.records import NewSweep
from sweeps.store.writer import open_writer

PARAMETERS: dict[str, Any] = {
    "total_variation.weight": {"distribution": "log_uniform", "min": 1e-3, "max": 1e2},
    "learning_rate": {"value": 0.05},
}


def make_spec(**changes: Any) -> SweepSpec:
    """Return a small spec over one sample picture; keyword arguments replace its sections."""
    sections: dict[str, Any] = {
        "name": "test",
        "images": ["sample:coffee"],
        "image_size": 32,
        "match": {"layer": "conv2/relu"},
        "method": {"sampler": "tpe", "trials": 6, "seed": 3},
        "budget": {"iterations": 12},
        "baselines": ["none"],
        "parameters": PARAMETERS,
    }
    return SweepSpec.model_validate(sections | changes)


def store(folder: Path) -> str:
    return f"sqlite:///{folder / 'store.db'}"


def make_sweep(url: str, spec: SweepSpec) -> int:
    """Create the sweep's row without pictures, for tests that solve nothing."""
    with open_writer(url) as writer:
        return writer.create_sweep(
            NewSweep(
                name=spec.name,
                spec_yaml="",
                spec=spec.model_dump(mode="json"),
                metric_names=spec.metric_names,
                metric_goals=spec.metric_goals,
                seed=spec.method.seed,
                trials_planned=spec.method.trials,
                owner="tester",
            )
        )


class HeldCoordinator(Coordinator):
    """A coordinator with a lease of its own, which it gives back when it is closed."""

    def __init__(self, url: str, sweep: str, holder: str | None = None, ttl_s: float = LEASE_TTL_S, **options: Any):
        self.holder = holder or new_holder()
        self.writer = open_writer(url)
        self.lease = Lease(self.writer, self.writer.find_sweep(sweep), self.holder, ttl_s)
        super().__init__(url, sweep, self.lease, **options)

    def close(self) -> None:
        super().close()
        self.lease.release()
        self.writer.close()


def coordinate(url: str, spec: SweepSpec, **options: Any) -> HeldCoordinator:
    return HeldCoordinator(url, spec.name, **options)


def picture(value: int) -> EncodedPicture:
    pixels = np.full((8, 8, 3), value, dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return EncodedPicture(hashlib.sha256(pixels.tobytes()).hexdigest(), buffer.getvalue(), buffer.getvalue(), 8, 8)


def record(item: Assignment, value: float, **more: Any) -> TrialRecord:
    """Return what a pack would hand in for a trial that reached ``value``."""
    fields: dict[str, Any] = {
        "metrics": {"image_mse": value},
        "image_metrics": {"sample:coffee": {"image_mse": value}},
        "curves": (CurveRecord("sample:coffee", "objective", (0, 10), (1.0, value)),),
    }
    return TrialRecord(item.number, item.token, **(fields | more))


def with_picture(item: Assignment, value: float, shade: int) -> TrialRecord:
    return record(item, value, pictures=(PictureRecord("sample:coffee", 12, True, picture(shade)),))
