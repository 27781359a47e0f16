"""What MLflow is to be told, read from the store: sweeps and finished trials as plain payloads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from sweeps.search.pareto import best
from sweeps.store.engine import make_engine
from sweeps.store.models import Curve, ImageMetric, Picture, Sweep, SweepImage, Trial, TrialPicture, TrialState
from sweeps.tracking.names import image_labels

# Grows when the same trial would look different in MLflow, so that `sync` writes the runs again.
_FORMAT = 2


@dataclass(frozen=True)
class SweepPayload:
    """A sweep for its parent run.

    Attributes:
        key: identity across stores: hash of name, owner and time of creation.
        labels: per original its label in metric keys and file names.
        originals: per label the PNG bytes.
        best: per metric the best mean over the complete trials, in the sweep's order; empty while the sweep runs.
        counts: finished trials by state; empty while the sweep runs.
    """

    row: Sweep
    key: str
    labels: dict[str, str]
    originals: dict[str, bytes] = field(repr=False)
    best: dict[str, float]
    counts: dict[str, int]

    def label(self, image: str) -> str:
        """Return the label of a picture."""
        return self.labels.get(image) or image_labels([image])[image]

    @property
    def digest(self) -> str:
        """Hash of all that the parent run shows."""
        row = self.row
        shown = [row.status, row.spec_yaml, row.trials_planned, row.versions, row.verdict, str(row.finished_at)]
        return _digest(*shown, self.best, self.counts, sorted(self.originals))


@dataclass(frozen=True)
class CurvePayload:
    """One recorded loss; points that are not finite are left out."""

    image: str
    name: str
    points: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class TrialPayload:
    """A finished trial for its child run; ``pictures`` are the final ones as (picture, PNG bytes)."""

    row: Trial
    image_metrics: tuple[tuple[str, str, float], ...]
    curves: tuple[CurvePayload, ...]
    pictures: tuple[tuple[str, bytes], ...] = field(repr=False)

    @property
    def digest(self) -> str:
        """Hash of all that the run shows but the pictures, which the store may drop when a better trial comes."""
        row = self.row
        shown = [row.state, row.attempt, row.parameters, row.raw_parameters, row.metrics, row.failure]
        curves = [(curve.image, curve.name, curve.points) for curve in self.curves]
        return _digest(*shown, str(row.finished_at), self.image_metrics, curves)


def milliseconds(time: datetime) -> int:
    """Return milliseconds since 1970 of a stored time (UTC without zone)."""
    return round(time.replace(tzinfo=UTC).timestamp() * 1000)


class Source:
    """Reads payloads from a store; nothing is written."""

    def __init__(self, store_url: str) -> None:
        self._engine: Engine = make_engine(store_url, read_only=True)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def sweep_names(self) -> dict[str, int]:
        """Return the ids of all sweeps by name, oldest first."""
        with Session(self._engine) as session:
            rows = session.execute(select(Sweep.name, Sweep.id).order_by(Sweep.id))
            return {row.name: row.id for row in rows}

    def sweep(self, sweep_id: int) -> SweepPayload | None:
        """Return a sweep, None when it was deleted."""
        with Session(self._engine, expire_on_commit=False) as session:
            row = session.get(Sweep, sweep_id)
            if row is None:
                return None
            images = session.execute(
                select(SweepImage.image, Picture.png)
                .join(Picture, Picture.sha256 == SweepImage.sha256)
                .where(SweepImage.sweep_id == sweep_id)
            ).all()
            counts: dict[str, int] = {}
            complete: Sequence[dict[str, Any] | None] = ()
            if row.finished_at is not None:
                done = (Trial.sweep_id == sweep_id, Trial.state != TrialState.RUNNING.value)
                states = select(Trial.state, func.count()).where(*done).group_by(Trial.state).order_by(Trial.state)
                counts = {state: number for state, number in session.execute(states)}  # noqa: C416
                complete = session.scalars(
                    select(Trial.metrics).where(*done, Trial.state == TrialState.COMPLETE.value)
                ).all()
        identity = f"{row.name}\n{row.owner}\n{row.created_at.isoformat()}"
        labels = image_labels(image for image, _ in images)
        return SweepPayload(
            row=row,
            key=hashlib.sha256(identity.encode()).hexdigest()[:24],
            labels=labels,
            originals={labels[image]: png for image, png in images},
            best=_best_values(row.metric_names, row.metric_goals, complete),
            counts=counts,
        )

    def finished_trials(self, sweep_id: int) -> list[int]:
        """Return the ids of a sweep's finished trials in finishing order."""
        with Session(self._engine) as session:
            query = (
                select(Trial.id)
                .where(Trial.sweep_id == sweep_id, Trial.state != TrialState.RUNNING.value)
                .order_by(Trial.finish_order, Trial.number)
            )
            return list(session.scalars(query))

    def trials(self, trial_ids: Sequence[int]) -> dict[int, TrialPayload]:
        """Return finished trials by id; those deleted, or running again, are missing."""
        with Session(self._engine, expire_on_commit=False) as session:
            query = select(Trial).where(Trial.id.in_(trial_ids), Trial.state != TrialState.RUNNING.value)
            rows = {row.id: row for row in session.scalars(query)}
            metrics: dict[int, list[tuple[str, str, float]]] = {}
            order = (ImageMetric.trial_id, ImageMetric.image, ImageMetric.name)
            for item in session.scalars(select(ImageMetric).where(ImageMetric.trial_id.in_(rows)).order_by(*order)):
                if item.value is not None:
                    metrics.setdefault(item.trial_id, []).append((item.image, item.name, item.value))
            curves: dict[int, list[CurvePayload]] = {}
            by_name = (Curve.trial_id, Curve.image, Curve.name)
            for curve in session.scalars(select(Curve).where(Curve.trial_id.in_(rows)).order_by(*by_name)):
                points = zip(curve.steps, curve.values, strict=True)
                kept = tuple((int(step), float(value)) for step, value in points if value is not None)
                curves.setdefault(curve.trial_id, []).append(CurvePayload(curve.image, curve.name, kept))
            pictures: dict[int, list[tuple[str, bytes]]] = {}
            final = (
                select(TrialPicture.trial_id, TrialPicture.image, Picture.png)
                .join(Picture, Picture.sha256 == TrialPicture.sha256)
                .where(TrialPicture.trial_id.in_(rows), TrialPicture.final)
                .order_by(TrialPicture.trial_id, TrialPicture.image)
            )
            for trial_id, image, png in session.execute(final):
                pictures.setdefault(trial_id, []).append((image, png))
        return {
            key: TrialPayload(
                row=row,
                image_metrics=tuple(metrics.get(key, ())),
                curves=tuple(curves.get(key, ())),
                pictures=tuple(pictures.get(key, ())),
            )
            for key, row in rows.items()
        }


def _best_values(
    names: Sequence[str], goals: Sequence[str], metrics: Iterable[dict[str, Any] | None]
) -> dict[str, float]:
    rows = [row for row in metrics if row]
    values: dict[str, float] = {}
    for name, goal in zip(names, goals, strict=True):
        found = best(((place, (row.get(name),)) for place, row in enumerate(rows)), [goal])
        if found is not None:
            values[name] = found.values[0]
    return values


def _digest(*parts: Any) -> str:
    text = json.dumps([_FORMAT, *parts], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:24]
