"""All trials of a sweep, as the study is rebuilt from them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from sweeps.store.models import Trial, TrialState
from sweeps.store.records import StoredTrial

_STORED = (
    "id",
    "number",
    "state",
    "attempt",
    "token",
    "baseline",
    "parameters",
    "raw_parameters",
    "distributions",
    "sampler_attributes",
    "seed",
    "objective",
    "objectives",
    "metrics",
    "asked_at",
    "finished_at",
    "finish_order",
    "failure",
    "mlflow_run_id",
)


def load(connection: Connection, sweep_id: int) -> list[StoredTrial]:
    """Return all trials by number."""
    columns: list[Any] = [Trial.__table__.c[name] for name in _STORED]
    rows = connection.execute(select(*columns).where(Trial.sweep_id == sweep_id).order_by(Trial.number))
    return [StoredTrial(**{**row._mapping, "state": TrialState(row.state)}) for row in rows]
