"""A sweep in a real SQLite store, written the way a coordinator writes it, for the tests of tracking."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sweeps.execution.protocol import CurveRecord, EncodedPicture, PictureRecord, TrialRecord
from sweeps.spec.models import SweepSpec
from sweeps.store import file_url
from sweeps.store.models import SweepStatus, TrialState
from sweeps.store.records import FinishedTrial, NewSweep, NewTrial
from sweeps.store.writer import Writer, open_writer

IMAGES = ("sample:coffee", "photos/a b.jpg")
SPEC_YAML = "name: {name}\nmatch: {{layer: conv2/relu}}\n"


def spec(name: str, **changes: Any) -> dict[str, Any]:
    """Return a spec in the form in which a sweep stores it."""
    written = {
        "name": name,
        "network": "cifar_alexnet",
        "images": ["sample:coffee"],
        "match": {"layer": "conv2/relu"},
        "parameters": {"learning_rate": {"values": [0.1]}},
        "method": {"trials": 10},
        "budget": {"iterations": 50},
    }
    return SweepSpec.model_validate(written | changes).model_dump(mode="json")


def encode(seed: int, side: int = 16) -> EncodedPicture:
    """Return a random picture as the store keeps pictures."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    png = buffer.getvalue()
    return EncodedPicture(hashlib.sha256(pixels.tobytes()).hexdigest(), png, png, side, side)


def record(number: int, token: int, error: float, points: int = 5) -> TrialRecord:
    """Return a complete trial's record with curves and final pictures of both images."""
    steps = tuple(range(0, 10 * points, 10))
    return TrialRecord(
        number=number,
        token=token,
        metrics={"image_mse": error, "psnr": 20.0 + number},
        image_metrics={image: {"image_mse": error + 0.001 * i} for i, image in enumerate(IMAGES)},
        raw_parameters={"priors.conv2/relu.weight": 1.0, "priors.image.patch_size": [5, 8][number % 2]},
        curves=tuple(
            CurveRecord(image, "objective", steps, tuple(1.0 / (1 + step + number) for step in steps))
            for image in IMAGES
        ),
        pictures=tuple(
            PictureRecord(image, step, step == 50, encode(1000 * number + i + step))
            for i, image in enumerate(IMAGES)
            for step in (10, 50)
        ),
        queue_s=0.1,
        compute_s=1.5,
        iterations=50,
        worker="worker-1",
    )


@dataclass
class StoredSweep:
    """A running sweep whose trials are asked and finished by hand."""

    url: str
    writer: Writer
    id: int
    lease: int
    name: str
    multi: bool = False

    def ask(self, *numbers: int) -> None:
        self.writer.insert_trials(
            self.id,
            self.lease,
            [
                NewTrial(
                    number=number,
                    token=self.lease,
                    parameters={
                        "priors.conv2/relu.weight": 0.5 + number,
                        "priors.image.patch_size": [5, 8][number % 2],
                    },
                    seed=2**60 + number,
                    baseline="mv2016" if number == 0 else None,
                )
                for number in numbers
            ],
        )

    def complete(self, number: int, error: float, points: int = 5) -> None:
        self.ask(number)
        self._finish(record(number, self.lease, error, points), TrialState.COMPLETE)

    def fail(self, number: int, reason: str) -> None:
        self.ask(number)
        self._finish(TrialRecord(number, self.lease, failure=reason), TrialState.FAILED)

    def end(self, status: SweepStatus = SweepStatus.COMPLETE) -> None:
        self.writer.set_sweep_status(self.id, self.lease, status, verdict={"winner": 1})

    def pending(self) -> int:
        return len(self.writer.pending_outbox(limit=10_000))

    def _finish(self, done: TrialRecord, state: TrialState) -> None:
        values = [done.metrics["image_mse"], done.metrics["psnr"]] if done.metrics else None
        single = values is not None and not self.multi
        answers = self.writer.finish_trials(
            self.id,
            self.lease,
            [
                FinishedTrial(
                    done,
                    state,
                    objective=values[0] if single and values else None,
                    objectives=None if values is None else (values if self.multi else values[:1]),
                )
            ],
        )
        assert answers[0].accepted, answers


def new_sweep(folder: Path, name: str = "conv2", multi: bool = False, **changes: Any) -> StoredSweep:
    """Create a sweep that is ready for trials."""
    url = file_url(folder / "store.db")
    writer = open_writer(url)
    names = ["image_mse", "psnr"] if multi else ["image_mse"]
    fields: dict[str, Any] = {
        "name": name,
        "spec_yaml": SPEC_YAML.format(name=name),
        "spec": spec(name),
        "metric_names": names,
        "metric_goals": ["minimize", "maximize"][: len(names)],
        "seed": 7,
        "trials_planned": 10,
        "owner": "ada",
        "versions": {"torch": "2.15"},
        "images": [(image, "search", encode(i)) for i, image in enumerate(IMAGES)],
    }
    sweep_id = writer.create_sweep(NewSweep(**(fields | changes)))
    lease = writer.acquire_lease(sweep_id, "test", 3600.0)
    return StoredSweep(url, writer, sweep_id, lease, name, multi)
