"""What the writer takes and gives: plain data, so that its callers need no SQLAlchemy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sweeps.execution.protocol import EncodedPicture, TrialRecord
from sweeps.store.models import TrialState


@dataclass(frozen=True)
class NewSweep:
    """A sweep to create.

    Attributes:
        metric_names, metric_goals: in order; a goal is ``minimize`` or ``maximize``.
        images: the originals as (image, split, picture); split is ``search`` or ``validation``.
        mlflow_uri: where it is tracked (no password in it); `NOT_TRACKED` for nowhere, None leaves it open.
    """

    name: str
    spec_yaml: str
    spec: Mapping[str, Any]
    metric_names: Sequence[str]
    metric_goals: Sequence[str]
    seed: int
    trials_planned: int
    owner: str
    versions: Mapping[str, Any] = field(default_factory=dict)
    images: Sequence[tuple[str, str, EncodedPicture]] = ()
    mlflow_uri: str | None = None


@dataclass(frozen=True)
class NewTrial:
    """A trial as it is asked; ``distributions`` is Optuna's JSON by parameter name."""

    number: int
    token: int
    parameters: Mapping[str, Any]
    distributions: Mapping[str, Any] = field(default_factory=dict)
    sampler_attributes: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    baseline: str | None = None


@dataclass(frozen=True)
class FinishedTrial:
    """A pack's record with what the coordinator made of it.

    Attributes:
        state: COMPLETE, PRUNED or FAILED.
        objective: the only metric's value; None for several metrics, or when the trial failed.
        objectives: all metrics' values in the sweep's order; None when the trial failed.
    """

    record: TrialRecord
    state: TrialState
    objective: float | None = None
    objectives: Sequence[float] | None = None
    sampler_attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StoredTrial:
    """A trial as the store knows it, enough to rebuild the study from."""

    id: int
    number: int
    state: TrialState
    attempt: int
    token: int
    baseline: str | None
    parameters: dict[str, Any]
    raw_parameters: dict[str, Any]
    distributions: dict[str, Any]
    sampler_attributes: dict[str, Any]
    seed: int
    objective: float | None
    objectives: list[Any] | None
    metrics: dict[str, Any] | None
    asked_at: datetime
    finished_at: datetime | None
    finish_order: int | None
    failure: str | None
    mlflow_run_id: str | None


@dataclass(frozen=True)
class OutboxItem:
    """Something MLflow has yet to be told. ``kind`` is ``sweep``, ``trial`` or ``sweep_end``."""

    id: int
    kind: str
    sweep_id: int
    sweep_name: str
    trial_id: int | None
    trial_number: int | None
    created_at: datetime
    attempts: int
    error: str | None


@dataclass(frozen=True)
class PriorEntry:
    """A stored prior without its blob."""

    key: str
    family: str
    description: dict[str, Any]
    size_bytes: int
    created_at: datetime
