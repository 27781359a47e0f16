"""Statements about whole sweeps: creating, ending and deleting one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, exists, insert, select, update
from sqlalchemy.exc import IntegrityError

from restoration_core.errors import InputError
from sweeps.store.leases import LeaseHeld, is_held
from sweeps.store.models import (
    Curve,
    ImageMetric,
    OutboxEntry,
    OutboxKind,
    Picture,
    Sweep,
    SweepImage,
    SweepStatus,
    Trial,
    TrialPicture,
    utcnow,
)
from sweeps.store.reading import sweeps
from sweeps.store.records import NewSweep
from sweeps.store.writing.finishing import insert_pictures


class NameTaken(InputError):
    """A sweep of this name is in the store already.

    Attributes:
        name: of both.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"sweep {name!r} exists already; continue it with `restoration sweep resume {name}`, give this one another "
            f"name (--name, --again), or remove the old one with `restoration sweep delete {name}`"
        )


def create(connection: Connection, new: NewSweep) -> int:
    """Insert the sweep with its pictures and tell MLflow; return its id.

    Raises:
        NameTaken: there is one of this name.
    """
    if connection.execute(select(exists().where(Sweep.name == new.name))).scalar():
        raise NameTaken(new.name)
    statement = (
        insert(Sweep)
        .values(
            name=new.name,
            status=SweepStatus.RUNNING.value,
            spec_yaml=new.spec_yaml,
            spec=dict(new.spec),
            metric_names=list(new.metric_names),
            metric_goals=list(new.metric_goals),
            seed=new.seed,
            trials_planned=new.trials_planned,
            owner=new.owner,
            versions=dict(new.versions),
            mlflow_uri=new.mlflow_uri,
        )
        .returning(Sweep.id)
    )
    try:
        sweep_id: int = connection.execute(statement).scalar_one()
    except IntegrityError as error:  # somebody else's transaction, which began before and has committed since
        raise NameTaken(new.name) from error
    insert_pictures(connection, (picture for _, _, picture in new.images))
    if new.images:
        connection.execute(
            insert(SweepImage),
            [
                {"sweep_id": sweep_id, "image": image, "split": split, "sha256": picture.sha256}
                for image, split, picture in new.images
            ],
        )
    tell(connection, sweep_id, OutboxKind.SWEEP)
    return sweep_id


def set_status(
    connection: Connection,
    sweep_id: int,
    status: SweepStatus,
    verdict: Mapping[str, Any] | None,
    startup_s: float | None,
) -> None:
    """Set what is given and tell MLflow of a restart or an end."""
    before = connection.execute(select(Sweep.status).where(Sweep.id == sweep_id)).scalar_one()
    running = status == SweepStatus.RUNNING
    values: dict[str, Any] = {"status": status.value, "finished_at": None if running else utcnow()}
    if verdict is not None:
        values["verdict"] = dict(verdict)
    if startup_s is not None:
        values["startup_s"] = startup_s
    connection.execute(update(Sweep).where(Sweep.id == sweep_id).values(**values))
    if not running:
        tell(connection, sweep_id, OutboxKind.SWEEP_END)
    elif before != SweepStatus.RUNNING:
        tell(connection, sweep_id, OutboxKind.SWEEP)


def tell(connection: Connection, sweep_id: int, kind: OutboxKind) -> None:
    """Enter something about a sweep as a whole into the outbox."""
    connection.execute(insert(OutboxEntry), [{"sweep_id": sweep_id, "kind": kind.value}])


def remove(connection: Connection, name: str, force: bool) -> dict[str, int]:
    """Delete a sweep with all that belongs to it alone; return how many rows of each kind went.

    Raises:
        InputError: no such sweep.
        LeaseHeld: it is being run, and ``force`` is not set.
    """
    sweep = sweeps.find(connection, name)
    if is_held(sweep.lease_holder, sweep.lease_expires_at) and not force:
        raise LeaseHeld(name, sweep.lease_holder, sweep.lease_expires_at)
    trials = select(Trial.id).where(Trial.sweep_id == sweep.id)
    mine = (
        select(TrialPicture.sha256)
        .where(TrialPicture.trial_id.in_(trials))
        .union(select(SweepImage.sha256).where(SweepImage.sweep_id == sweep.id))
    )
    candidates = list(connection.execute(mine).scalars())
    counts = {"sweeps": 1}
    # Children first: counted exactly, and no reliance on cascades.
    of_trials: tuple[Any, ...] = (Curve, ImageMetric, TrialPicture)
    for model in of_trials:
        counts[model.__tablename__] = connection.execute(delete(model).where(model.trial_id.in_(trials))).rowcount
    of_sweep: tuple[Any, ...] = (OutboxEntry, SweepImage, Trial)
    for model in of_sweep:
        counts[model.__tablename__] = connection.execute(delete(model).where(model.sweep_id == sweep.id)).rowcount
    connection.execute(delete(Sweep).where(Sweep.id == sweep.id))
    counts["pictures"] = _remove_unreferenced(connection, candidates)
    return counts


def _remove_unreferenced(connection: Connection, candidates: list[str]) -> int:
    removed = 0
    for start in range(0, len(candidates), 500):  # below every database's limit of bound values
        removed += connection.execute(
            delete(Picture).where(
                Picture.sha256.in_(candidates[start : start + 500]),
                ~exists().where(TrialPicture.sha256 == Picture.sha256),
                ~exists().where(SweepImage.sha256 == Picture.sha256),
            )
        ).rowcount
    return removed
