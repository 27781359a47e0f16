"""All sweeps at a glance: three statements, however many sweeps and trials there are."""

from __future__ import annotations

from typing import Any

import pandas as pd
from sqlalchemy import Connection, func, or_, select

from sweeps.store.frames import table
from sweeps.store.models import Sweep, Trial, TrialState

_COLUMNS = {
    "name": "object",
    "status": "object",
    "owner": "object",
    "created_at": "datetime64[us]",
    "finished_at": "datetime64[us]",
    "trials_planned": "int64",
    "complete": "int64",
    "pruned": "int64",
    "failed": "int64",
    "running": "int64",
    "metric_names": "object",
    "metric_goals": "object",
    "best_number": "Int64",
    "best_objective": "float64",
}


def sweeps_frame(connection: Connection) -> pd.DataFrame:
    """Return one row a sweep, the newest first."""
    counts: dict[int, dict[str, int]] = {}
    for sweep_id, state, count in connection.execute(
        select(Trial.sweep_id, Trial.state, func.count()).group_by(Trial.sweep_id, Trial.state)
    ):
        counts.setdefault(sweep_id, {})[state] = count
    lowest, highest = _extremes(connection)
    rows = []
    for sweep in connection.execute(select(*Sweep.__table__.c).order_by(Sweep.created_at.desc(), Sweep.id.desc())):
        best = highest if sweep.metric_goals[:1] == ["maximize"] else lowest
        number, objective = best.get(sweep.id, (None, None))
        found: dict[str, Any] = {state.value: counts.get(sweep.id, {}).get(state.value, 0) for state in TrialState}
        rows.append({**sweep._mapping, **found, "best_number": number, "best_objective": objective})
    return table(rows, _COLUMNS)


def _extremes(connection: Connection) -> tuple[dict[int, tuple[int, float]], dict[int, tuple[int, float]]]:
    """Return per sweep the complete trial with the lowest and the one with the highest objective, ties by number."""
    ranked = (
        select(
            Trial.sweep_id,
            Trial.number,
            Trial.objective,
            func.row_number()
            .over(partition_by=Trial.sweep_id, order_by=(Trial.objective, Trial.number))
            .label("from_low"),
            func.row_number()
            .over(partition_by=Trial.sweep_id, order_by=(Trial.objective.desc(), Trial.number))
            .label("from_high"),
        )
        .where(Trial.state == TrialState.COMPLETE.value, Trial.objective.is_not(None))
        .subquery()
    )
    lowest: dict[int, tuple[int, float]] = {}
    highest: dict[int, tuple[int, float]] = {}
    for row in connection.execute(select(ranked).where(or_(ranked.c.from_low == 1, ranked.c.from_high == 1))):
        if row.from_low == 1:
            lowest[row.sweep_id] = (row.number, row.objective)
        if row.from_high == 1:
            highest[row.sweep_id] = (row.number, row.objective)
    return lowest, highest
