"""Stores to look at: written through the store's own writer, with real pictures made worse by known amounts."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from skimage import data as samples

from sweeps.execution.protocol import CurveRecord, EncodedPicture, PictureRecord, TrialRecord
from sweeps.store import FinishedTrial, NewSweep, NewTrial, SweepStatus, TrialState, Writer, open_writer

SIZE = 48
STEPS = (0, 50, 100, 150, 200, 250, 300)
IMAGES = ("sample:astronaut", "sample:coffee")
SPEC_YAML = """\
name: demo
network: {name: cifar_alexnet}
images: [sample:astronaut, sample:coffee]
validate_on: [sample:chelsea]
match: {layer: conv3/relu}
metric: {name: image_mse, goal: minimize}
baselines: [none, mv2016]
parameters:
  total_variation.weight: {distribution: log_uniform, min: 1e-3, max: 1e2}
  priors.image.expert: {values: [logistic, student_t]}
  priors.image.patch_size: {values: [5, 8, 12]}
"""
PARAMETERS: dict[str, Any] = {
    "total_variation.weight": {"distribution": "log_uniform", "min": 1e-3, "max": 1e2, "values": None, "value": None},
    "priors.image.expert": {"values": ["logistic", "student_t"], "distribution": None},
    "priors.image.patch_size": {"values": [5, 8, 12], "distribution": None},
}
VERDICT: dict[str, Any] = {
    "summary": "the winner beats mv2016 by 1.60 dB, is better on 2 of 2 pictures (95 % interval +1.20 to +2.00 dB; "
    "with so few pictures only a hint)",
    "winner": 9,
    "seeds": 3,
    "pictures": ["sample:chelsea", "sample:rocket"],
    "comparisons": {
        "mv2016": {
            "psnr": {
                "winner": 20.9,
                "baseline": 19.3,
                "difference": 1.6,
                "interval": [1.2, 2.0],
                "better_on": 2,
                "pictures": 2,
                "by_picture": {
                    "sample:chelsea": {"winner": 20.0, "baseline": 18.8},
                    "sample:rocket": {"winner": 21.8, "baseline": 19.8},
                },
            }
        },
        "none": {
            "psnr": {
                "winner": 20.9,
                "baseline": 12.0,
                "difference": 8.9,
                "interval": [8.0, 9.8],
                "better_on": 2,
                "pictures": 2,
                "by_picture": {
                    "sample:chelsea": {"winner": 20.0, "baseline": 12.0},
                    "sample:rocket": {"winner": 21.8, "baseline": 12.0},
                },
            }
        },
    },
}


def photograph(name: str, size: int = SIZE) -> np.ndarray:
    """Return a sample photograph, ``(size, size, 3)`` uint8."""
    whole = {"sample:astronaut": samples.astronaut, "sample:coffee": samples.coffee}.get(name, samples.chelsea)()
    side = min(whole.shape[:2])
    return np.asarray(Image.fromarray(whole[:side, :side, :3]).resize((size, size), Image.Resampling.BOX))


def worse(pixels: np.ndarray, amount: float, seed: int) -> np.ndarray:
    """Return the picture with Gaussian noise of standard deviation ``amount`` (of the full range) and less contrast."""
    noise = np.random.default_rng(seed).normal(0.0, amount, pixels.shape)
    values = 0.5 + (pixels / 255.0 - 0.5) * (1.0 - 0.5 * amount) + noise
    return (255.0 * values.clip(0.0, 1.0)).round().astype(np.uint8)


def encode(pixels: np.ndarray) -> EncodedPicture:
    """Return the picture as the store keeps it."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    height, width = pixels.shape[:2]
    return EncodedPicture(
        hashlib.sha256(pixels.tobytes()).hexdigest(), buffer.getvalue(), buffer.getvalue(), width, height
    )


def amount_of(parameters: Mapping[str, Any]) -> float:
    """Return how much a trial spoils its pictures: least near weight 1 with Student-t experts of 8 pixels."""
    weight = float(parameters.get("total_variation.weight") or 1e-4)
    distance = abs(math.log10(weight)) / 4.0
    expert = 0.0 if parameters.get("priors.image.expert") == "student_t" else 0.04
    patch = {8: 0.0, 5: 0.02, 12: 0.03}.get(parameters.get("priors.image.patch_size", 0), 0.05)
    return 0.05 + 0.3 * distance**2 + expert + patch


def record(
    number: int,
    parameters: Mapping[str, Any],
    *,
    images: Sequence[str] = IMAGES,
    keep: bool = True,
    size: int = SIZE,
    extra: Mapping[str, float] | None = None,
) -> TrialRecord:
    """Return a finished trial whose metrics are measured on the pictures it brings."""
    amount = amount_of(parameters)
    per_image: dict[str, dict[str, float]] = {}
    pictures: list[PictureRecord] = []
    curves: list[CurveRecord] = []
    for index, image in enumerate(images):
        original = photograph(image, size)
        for step in (100, 300):
            spoilt = worse(original, amount * (2.0 if step == 100 else 1.0), 1000 * number + index)
            if keep:
                pictures.append(PictureRecord(image, step, step == 300, encode(spoilt)))
        error = float((((spoilt - original.astype(float)) / 255.0) ** 2).mean())
        per_image[image] = {"image_mse": error, "psnr": -10.0 * math.log10(error), **(extra or {})}
        for name, floor in (("total", error), ("feature", 0.6 * error), ("total_variation", 0.2 * error)):
            curves.append(CurveRecord(image, name, STEPS, tuple(floor + math.exp(-step / 60.0) for step in STEPS)))
    names = per_image[images[0]]
    metrics = {name: float(np.mean([values[name] for values in per_image.values()])) for name in names}
    return TrialRecord(
        number=number,
        token=1,
        metrics=metrics,
        image_metrics=per_image,
        raw_parameters={"total_variation.weight": 0.5 * float(parameters.get("total_variation.weight") or 0.0)},
        curves=tuple(curves),
        pictures=tuple(pictures),
        queue_s=0.4,
        compute_s=1.5 + 0.1 * number,
        iterations=300,
        device="cpu",
        worker=f"worker-{number % 2}",
        pack=f"pack-{number // 8}",
    )


class Filler:
    """Writes one sweep, trial by trial."""

    def __init__(
        self,
        url: str,
        name: str = "demo",
        *,
        planned: int = 16,
        owner: str = "ada",
        images: Sequence[str] = IMAGES,
        spec_yaml: str = SPEC_YAML,
        metric_names: Sequence[str] = ("image_mse",),
        metric_goals: Sequence[str] = ("minimize",),
        size: int = SIZE,
    ) -> None:
        self.writer: Writer = open_writer(url)
        self.images, self.metric_names, self.size = images, metric_names, size
        self.sweep_id = self.writer.create_sweep(
            NewSweep(
                name=name,
                spec_yaml=spec_yaml,
                spec={"name": name, "parameters": PARAMETERS},
                metric_names=metric_names,
                metric_goals=metric_goals,
                seed=0,
                trials_planned=planned,
                owner=owner,
                versions={"torch": "2.15", "optuna": "5.0"},
                images=[
                    *((image, "search", encode(photograph(image, size))) for image in images),
                    ("sample:chelsea", "validation", encode(photograph("sample:chelsea", size))),
                ],
            )
        )
        self.lease = self.writer.acquire_lease(self.sweep_id, "tests", 600.0)

    def ask(self, number: int, parameters: Mapping[str, Any], baseline: str | None = None) -> None:
        """Insert a running trial."""
        new = NewTrial(number, 1, parameters, seed=100 + number, baseline=baseline)
        self.writer.insert_trials(self.sweep_id, self.lease, [new])

    def complete(
        self, number: int, parameters: Mapping[str, Any], keep: bool = True, extra: Mapping[str, float] | None = None
    ) -> None:
        """Finish a trial with its results."""
        made = record(number, parameters, images=self.images, keep=keep, size=self.size, extra=extra)
        values = [made.metrics[name] for name in self.metric_names]
        objective = values[0] if len(values) == 1 else None
        self.writer.finish_trials(
            self.sweep_id, self.lease, [FinishedTrial(made, TrialState.COMPLETE, objective, values)]
        )

    def fail(self, number: int, reason: str) -> None:
        """Finish a trial without a result."""
        failed = FinishedTrial(TrialRecord(number, 1, failure=reason, worker="worker-0"), TrialState.FAILED)
        self.writer.finish_trials(self.sweep_id, self.lease, [failed])

    def close(self, status: SweepStatus | None = None, verdict: Mapping[str, Any] | None = None) -> None:
        """Set the sweep's status and close the store."""
        if status is not None:
            self.writer.set_sweep_status(self.sweep_id, self.lease, status, verdict=verdict, startup_s=3.5)
        self.writer.close()


def suggestions(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Return random points of the demo's space."""
    generator = np.random.default_rng(seed)
    return [
        {
            "total_variation.weight": float(10.0 ** generator.uniform(-3.0, 2.0)),
            "priors.image.expert": str(generator.choice(["logistic", "student_t"])),
            "priors.image.patch_size": int(generator.choice([5, 8, 12])),
        }
        for _ in range(count)
    ]


def fill_demo(url: str, name: str = "demo", *, running: bool = False, planned: int = 16, size: int = SIZE) -> None:
    """Write a sweep of two baselines, searched trials, one failed (3), one without pictures (4)."""
    filler = Filler(url, name, planned=planned, size=size)
    points: list[tuple[dict[str, Any], str | None]] = [({}, "none"), ({"total_variation.weight": 20.0}, "mv2016")]
    points += [(point, None) for point in suggestions(planned - 2)]
    last = planned - (3 if running else 0)
    for number, (parameters, baseline) in enumerate(points[:last]):
        filler.ask(number, parameters, baseline)
        if running and number >= last - 2:
            continue
        if number == 3:
            filler.fail(number, "the objective became NaN after 120 iterations (learning rate too high?)")
        else:
            filler.complete(number, parameters, keep=number != 4)
    filler.close(None if running else SweepStatus.COMPLETE, None if running else VERDICT)


def fill_front(url: str, name: str = "front") -> None:
    """Write a finished sweep with two metrics."""
    filler = Filler(
        url, name, metric_names=("image_mse", "smoothness"), metric_goals=("minimize", "maximize"), planned=12
    )
    for number, parameters in enumerate(suggestions(12)):
        filler.ask(number, parameters)
        filler.complete(number, parameters, extra={"smoothness": math.log10(parameters["total_variation.weight"])})
    filler.close(SweepStatus.COMPLETE)


def store_at(folder: Path) -> str:
    """Return the address of a store in a folder."""
    return f"sqlite:///{folder / 'store.db'}"
