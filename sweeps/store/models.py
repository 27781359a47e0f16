"""The store's tables. The SQL store is the truth of a sweep; everything else is rebuilt from it."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, LargeBinary, MetaData, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from sweeps.store.old_names import ByParameter, StoredSpec


class TrialState(StrEnum):
    """States of a trial. A trial is inserted RUNNING when it is asked, before it is handed out."""

    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"


class OutboxKind(StrEnum):
    """What an outbox entry tells of: a sweep that started (again), a finished trial, a sweep that ended."""

    SWEEP = "sweep"
    TRIAL = "trial"
    SWEEP_END = "sweep_end"


# In place of an MLflow address: the sweep is told to no MLflow but by an explicit `sync`.
NOT_TRACKED = "off"


class SweepStatus(StrEnum):
    """States of a sweep as a whole."""

    RUNNING = "running"
    COMPLETE = "complete"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


def utcnow() -> datetime:
    """Return the current time, UTC, without zone (as it is stored)."""
    return datetime.now(UTC).replace(tzinfo=None)


_TOKEN_BITS = 48

# SQLite hands the number of a deleted last row out again unless told not to. Whoever still holds such a number
# would then write into rows that are not theirs.
_IDS_ARE_NEVER_REUSED = {"sqlite_autoincrement": True}

# None is SQL NULL, not JSON null, so that `IS NULL` finds it.
_JSON = JSON(none_as_null=True)


class Base(DeclarativeBase):
    """Constraints carry names so that later migrations can address them on every database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {dict[str, Any]: _JSON, list[Any]: _JSON}


class Sweep(Base):
    """One search: its spec, owner, versions and where MLflow keeps it.

    ``lease_holder``, ``lease_expires_at`` and ``fencing_token`` say which coordinator may write (one at a time);
    the token grows by one each time the lease changes hands. It starts at a random number, so that no token of a
    sweep that was deleted, or of a store that was here before, is valid for this one.

    ``mlflow_uri`` is where it is tracked (without a password): `NOT_TRACKED` for nowhere, None when nobody has said;
    ``tracked_by`` and ``tracked_until`` say which process is writing it there (one at a time).
    """

    __tablename__ = "sweeps"
    __table_args__ = (_IDS_ARE_NEVER_REUSED,)
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    status: Mapped[str] = mapped_column(String(20))
    spec_yaml: Mapped[str]
    spec: Mapped[dict[str, Any]] = mapped_column(StoredSpec)
    metric_names: Mapped[list[Any]]
    metric_goals: Mapped[list[Any]]
    seed: Mapped[int] = mapped_column(BigInteger)
    trials_planned: Mapped[int]
    owner: Mapped[str] = mapped_column(String(200))
    versions: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    finished_at: Mapped[datetime | None]
    startup_s: Mapped[float | None]
    mlflow_run_id: Mapped[str | None] = mapped_column(String(64))
    mlflow_uri: Mapped[str | None]
    tracked_by: Mapped[str | None] = mapped_column(String(200))
    tracked_until: Mapped[datetime | None]
    verdict: Mapped[dict[str, Any] | None]
    lease_holder: Mapped[str | None] = mapped_column(String(200))
    lease_expires_at: Mapped[datetime | None]
    fencing_token: Mapped[int] = mapped_column(BigInteger, default=lambda: secrets.randbits(_TOKEN_BITS))


class Trial(Base):
    """One configuration. ``token`` is the fencing token of its current attempt; a result with another is refused."""

    __tablename__ = "trials"
    __table_args__ = (
        UniqueConstraint("sweep_id", "number"),
        Index("ix_trials_sweep_state", "sweep_id", "state"),
        Index("ix_trials_sweep_objective", "sweep_id", "objective"),
        # Also makes a finish order that is given twice impossible.
        Index("ix_trials_sweep_finish", "sweep_id", "finish_order", unique=True),
        _IDS_ARE_NEVER_REUSED,
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    sweep_id: Mapped[int] = mapped_column(ForeignKey("sweeps.id", ondelete="CASCADE"))
    number: Mapped[int]
    state: Mapped[str] = mapped_column(String(20))
    attempt: Mapped[int] = mapped_column(default=1)
    token: Mapped[int] = mapped_column(BigInteger)
    baseline: Mapped[str | None] = mapped_column(String(100))
    parameters: Mapped[dict[str, Any]] = mapped_column(ByParameter)
    raw_parameters: Mapped[dict[str, Any]] = mapped_column(ByParameter)
    distributions: Mapped[dict[str, Any]] = mapped_column(ByParameter)
    sampler_attributes: Mapped[dict[str, Any]]
    seed: Mapped[int] = mapped_column(BigInteger)
    objective: Mapped[float | None]
    objectives: Mapped[list[Any] | None]
    metrics: Mapped[dict[str, Any] | None]
    asked_at: Mapped[datetime] = mapped_column(default=utcnow)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    finish_order: Mapped[int | None]
    queue_s: Mapped[float | None]
    compute_s: Mapped[float | None]
    iterations: Mapped[int | None]
    device: Mapped[str | None] = mapped_column(String(100))
    worker: Mapped[str | None] = mapped_column(String(200))
    pack: Mapped[str | None] = mapped_column(String(64))
    failure: Mapped[str | None]
    mlflow_run_id: Mapped[str | None] = mapped_column(String(64))


class ImageMetric(Base):
    """One metric of one picture of one trial. Means over pictures are in ``Trial.metrics``."""

    __tablename__ = "image_metrics"
    trial_id: Mapped[int] = mapped_column(ForeignKey("trials.id", ondelete="CASCADE"), primary_key=True)
    image: Mapped[str] = mapped_column(String(500), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    value: Mapped[float | None]


class Curve(Base):
    """One recorded loss over the iterations of one picture of one trial."""

    __tablename__ = "curves"
    trial_id: Mapped[int] = mapped_column(ForeignKey("trials.id", ondelete="CASCADE"), primary_key=True)
    image: Mapped[str] = mapped_column(String(500), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    steps: Mapped[list[Any]]
    values: Mapped[list[Any]]


class Picture(Base):
    """PNG bytes addressed by the SHA-256 of the decoded pixels, with a thumbnail."""

    __tablename__ = "pictures"
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    png: Mapped[bytes] = mapped_column(LargeBinary)
    thumbnail: Mapped[bytes] = mapped_column(LargeBinary)
    width: Mapped[int]
    height: Mapped[int]


class TrialPicture(Base):
    """A picture a trial made: after ``step`` iterations, ``final`` for the last."""

    __tablename__ = "trial_pictures"
    trial_id: Mapped[int] = mapped_column(ForeignKey("trials.id", ondelete="CASCADE"), primary_key=True)
    image: Mapped[str] = mapped_column(String(500), primary_key=True)
    step: Mapped[int] = mapped_column(primary_key=True)
    final: Mapped[bool]
    sha256: Mapped[str] = mapped_column(ForeignKey("pictures.sha256"), index=True)


class SweepImage(Base):
    """An original picture of a sweep; ``split`` is ``search`` or ``validation``. Stored once a sweep."""

    __tablename__ = "sweep_images"
    sweep_id: Mapped[int] = mapped_column(ForeignKey("sweeps.id", ondelete="CASCADE"), primary_key=True)
    image: Mapped[str] = mapped_column(String(500), primary_key=True)
    split: Mapped[str] = mapped_column(String(20), primary_key=True)
    sha256: Mapped[str] = mapped_column(ForeignKey("pictures.sha256"), index=True)


class StoredPrior(Base):
    """A trained prior as a blob (safetensors), addressed by the hash of what it was trained from and how."""

    __tablename__ = "priors"
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    family: Mapped[str] = mapped_column(String(50))
    description: Mapped[dict[str, Any]]
    blob: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)


class OutboxEntry(Base):
    """Something MLflow has yet to be told; written in the transaction of what it tells of."""

    __tablename__ = "outbox"
    __table_args__ = (Index("ix_outbox_pending", "delivered_at", "id"), _IDS_ARE_NEVER_REUSED)
    id: Mapped[int] = mapped_column(primary_key=True)
    sweep_id: Mapped[int] = mapped_column(ForeignKey("sweeps.id", ondelete="CASCADE"), index=True)
    trial_id: Mapped[int | None] = mapped_column(ForeignKey("trials.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(30))
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    delivered_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str | None]
