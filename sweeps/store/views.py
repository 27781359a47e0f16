"""What the reader shows of one sweep or one trial."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd

from sweeps.store.leases import is_held


@dataclass(frozen=True)
class SweepImageView:
    """An original picture of a sweep; ``split`` is ``search`` or ``validation``."""

    image: str
    split: str
    sha256: str


@dataclass(frozen=True)
class SweepView:
    """One sweep. Times are UTC without zone."""

    id: int
    name: str
    status: str
    spec: dict[str, Any]
    spec_yaml: str
    metric_names: tuple[str, ...]
    metric_goals: tuple[str, ...]
    seed: int
    owner: str
    versions: dict[str, Any]
    verdict: dict[str, Any] | None
    created_at: datetime
    finished_at: datetime | None
    startup_s: float | None
    mlflow_run_id: str | None
    trials_planned: int
    images: tuple[SweepImageView, ...]
    mlflow_uri: str | None = None
    lease_holder: str | None = None
    lease_expires_at: datetime | None = None

    @property
    def is_held(self) -> bool:
        """Whether a coordinator runs it now."""
        return is_held(self.lease_holder, self.lease_expires_at)


@dataclass(frozen=True)
class TrialPictureView:
    """A picture a trial made: of which original, after how many iterations, whether it is the result."""

    image: str
    step: int
    final: bool
    sha256: str


@dataclass(frozen=True, eq=False)
class TrialView:
    """One trial with all that is kept of it.

    Attributes:
        image_metrics: columns image, name, value.
        curves: columns image, name, step, value; NaN where a loss was not finite.
    """

    id: int
    number: int
    state: str
    attempt: int
    baseline: str | None
    parameters: dict[str, Any]
    raw_parameters: dict[str, Any]
    seed: int
    objective: float | None
    objectives: tuple[float, ...] | None
    metrics: dict[str, float | None]
    asked_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    finish_order: int | None
    queue_s: float | None
    compute_s: float | None
    iterations: int | None
    device: str | None
    worker: str | None
    pack: str | None
    failure: str | None
    mlflow_run_id: str | None
    image_metrics: pd.DataFrame
    curves: pd.DataFrame
    pictures: tuple[TrialPictureView, ...]
