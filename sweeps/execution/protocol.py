"""What the coordinator and the packs say to each other: plain data, no torch, no database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Assignment:
    """A trial handed out to a pack.

    Attributes:
        number: trial number, unique within the sweep.
        token: fencing token of this attempt; a result must bring it back.
        parameters: flat parameters as the search space names them, e.g. ``{"total_variation.weight": 0.3}``.
        seed: hash of sweep seed and number, the only source of the trial's randomness.
        baseline: name of the enqueued baseline, None for a searched trial.
        attempt: 1, and one more each time that it is handed out again.
    """

    number: int
    token: int
    parameters: Mapping[str, Any]
    seed: int
    baseline: str | None = None
    attempt: int = 1


@dataclass(frozen=True)
class EncodedPicture:
    """PNG bytes with the SHA-256 of their decoded RGB pixels and a thumbnail."""

    sha256: str
    png: bytes
    thumbnail: bytes
    width: int
    height: int


@dataclass(frozen=True)
class PictureRecord:
    """A picture of a trial: which original it reconstructs, after how many iterations, whether it is the result."""

    image: str
    step: int
    final: bool
    picture: EncodedPicture


@dataclass(frozen=True)
class CurveRecord:
    """One named loss over iterations for one original."""

    image: str
    name: str
    steps: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class TrialRecord:
    """A finished (or failed) trial as a pack hands it in.

    Attributes:
        number, token: from the assignment.
        metrics: per metric the mean over the search pictures, e.g. ``{"image_mse": 0.01, "psnr": 20.0}``.
        image_metrics: per picture, ``{"sample:coffee": {"image_mse": ...}}``.
        raw_parameters: the parameters with weights in raw units.
        failure: reason when the trial failed, else None.
        of_the_machine: it failed for want of memory, disk or a working GPU, so it is worth another try.
        queue_s: from being asked to the first iteration; compute_s: its share of the batch's time.
    """

    number: int
    token: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    image_metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    raw_parameters: Mapping[str, Any] = field(default_factory=dict)
    curves: tuple[CurveRecord, ...] = ()
    pictures: tuple[PictureRecord, ...] = ()
    failure: str | None = None
    of_the_machine: bool = False
    queue_s: float = 0.0
    compute_s: float = 0.0
    iterations: int = 0
    device: str = "cpu"
    worker: str = ""
    pack: str = ""


@dataclass(frozen=True)
class Report:
    """How far a running trial is, and its objective there (for a pruner).

    Attributes:
        step: iterations done, of the picture that is furthest behind.
        value: mean objective over the pictures.
        share: part of the trial's iterations that is done, 0 to 1, over all of its pictures.
    """

    number: int
    token: int
    step: int
    value: float
    share: float = 0.0


@dataclass(frozen=True)
class Acknowledgement:
    """The coordinator's answer to one record: committed, or refused with the reason (a stale token)."""

    number: int
    accepted: bool
    reason: str = ""


@dataclass(frozen=True)
class Exchange:
    """The answer to a pack that hands in results and asks for more.

    Attributes:
        acknowledgements: one per record, in order.
        assignments: trials to start.
        left: how many more the sweep has to hand out, to this pack or to others.
    """

    acknowledgements: tuple[Acknowledgement, ...]
    assignments: tuple[Assignment, ...]
    left: int
