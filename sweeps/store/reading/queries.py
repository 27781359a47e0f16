"""The reader's statements about one sweep and one trial: a fixed number of them, however many trials there are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
from sqlalchemy import Connection, select

from restoration_core.errors import InputError
from sweeps.store.frames import SPREAD, TRIAL_COLUMNS, table
from sweeps.store.models import Curve, ImageMetric, Picture, SweepImage, Trial, TrialPicture
from sweeps.store.reading import sweeps
from sweeps.store.views import SweepImageView, SweepView, TrialPictureView, TrialView

_TRIAL_ROW = ("id", *TRIAL_COLUMNS, *SPREAD, "objectives", "mlflow_run_id")
_LARGEST_NUMBER = 2**31 - 1  # of a trial: what the column holds on every database
_BOUND_VALUES = 500  # in one statement: below every database's limit


def sweep_view(connection: Connection, name: str) -> SweepView:
    """Return one sweep with its original pictures, search pictures first."""
    row = sweeps.find(connection, name)
    images = connection.execute(
        select(SweepImage.image, SweepImage.split, SweepImage.sha256)
        .where(SweepImage.sweep_id == row.id)
        .order_by(SweepImage.split, SweepImage.image)
    )
    fields = {field: getattr(row, field) for field in SweepView.__dataclass_fields__ if field != "images"}
    fields["metric_names"] = tuple(row.metric_names)
    fields["metric_goals"] = tuple(row.metric_goals)
    return SweepView(**fields, images=tuple(SweepImageView(*image) for image in images))


def trial_rows(connection: Connection, sweep_id: int, states: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Return the trials' rows by number, JSON columns decoded."""
    query = select(*_columns()).where(Trial.sweep_id == sweep_id).order_by(Trial.number)
    if states is not None:
        query = query.where(Trial.state.in_(states))
    return [dict(row._mapping) for row in connection.execute(query)]


def trial_view(connection: Connection, name: str, number: int) -> TrialView:
    """Return one trial with everything that is kept of it."""
    sweep = sweeps.find(connection, name)
    row = None
    if 0 <= number <= _LARGEST_NUMBER:
        row = connection.execute(
            select(*_columns()).where(Trial.sweep_id == sweep.id, Trial.number == number)
        ).one_or_none()
    if row is None:
        count = sweeps.count_trials(connection, sweep.id)
        valid = f"valid: 0 to {count - 1}" if count else "it has no trials yet"
        raise InputError(f"sweep {name!r} has no trial {number}; {valid}")
    metrics = connection.execute(
        select(ImageMetric.image, ImageMetric.name, ImageMetric.value)
        .where(ImageMetric.trial_id == row.id)
        .order_by(ImageMetric.image, ImageMetric.name)
    )
    curves = connection.execute(
        select(Curve.image, Curve.name, Curve.steps, Curve.__table__.c["values"])
        .where(Curve.trial_id == row.id)
        .order_by(Curve.image, Curve.name)
    )
    pictures = connection.execute(
        select(TrialPicture.image, TrialPicture.step, TrialPicture.final, TrialPicture.sha256)
        .where(TrialPicture.trial_id == row.id)
        .order_by(TrialPicture.image, TrialPicture.step)
    )
    fields = dict(row._mapping)
    fields["metrics"] = fields["metrics"] or {}
    fields["objectives"] = None if fields["objectives"] is None else tuple(fields["objectives"])
    return TrialView(
        **fields,
        image_metrics=table(
            [dict(item._mapping) for item in metrics], {"image": "object", "name": "object", "value": "float64"}
        ),
        curves=_long(curves.all()),
        pictures=tuple(TrialPictureView(*picture) for picture in pictures),
    )


def picture(connection: Connection, sha256: str, column: Any) -> bytes:
    """Return one of a picture's two forms."""
    found: bytes | None = connection.execute(select(column).where(Picture.sha256 == sha256)).scalar_one_or_none()
    if found is None:
        raise InputError(f"the store has no picture {sha256!r}; valid: the sha256 of a sweep's or a trial's picture")
    return found


def thumbnails(connection: Connection, sha256: Sequence[str]) -> dict[str, bytes]:
    """Return thumbnails by picture."""
    found: dict[str, bytes] = {}
    for start in range(0, len(sha256), _BOUND_VALUES):
        part = sha256[start : start + _BOUND_VALUES]
        rows = connection.execute(select(Picture.sha256, Picture.thumbnail).where(Picture.sha256.in_(part)))
        found.update((row.sha256, row.thumbnail) for row in rows)
    return found


def final_pictures(connection: Connection, name: str, numbers: Sequence[int] | None) -> pd.DataFrame:
    """Return the results of a sweep's trials, or of some of them."""
    sweep = sweeps.find(connection, name)
    query = (
        select(Trial.number, TrialPicture.image, TrialPicture.step, TrialPicture.sha256)
        .join(TrialPicture, TrialPicture.trial_id == Trial.id)
        .where(Trial.sweep_id == sweep.id, TrialPicture.final)
        .order_by(Trial.number, TrialPicture.image, TrialPicture.step)
    )
    if numbers is not None:
        query = query.where(Trial.number.in_([number for number in numbers if 0 <= number <= _LARGEST_NUMBER]))
    columns = {"number": "int64", "image": "object", "step": "int64", "sha256": "object"}
    return table([dict(row._mapping) for row in connection.execute(query)], columns)


def _columns() -> list[Any]:
    return [Trial.__table__.c[name] for name in _TRIAL_ROW]


def _long(curves: Sequence[Any]) -> pd.DataFrame:
    """Spread the stored arrays into one row a step; what was not finite comes back as NaN."""
    points = [
        {"image": image, "name": name, "step": step, "value": math.nan if value is None else value}
        for image, name, steps, values in curves
        for step, value in zip(steps, values, strict=True)
    ]
    return table(points, {"image": "object", "name": "object", "step": "int64", "value": "float64"})
