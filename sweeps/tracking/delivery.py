"""Writing one sweep or one trial to MLflow so that doing it again changes nothing.

One experiment holds everything, so that one search sees all sweeps and the pages nest trials under their sweep: a
parent run per sweep, a child run per trial (``mlflow.parentRunId``; MLflow nests within one experiment only). Tags
``restoration.key`` (which sweep or trial) and ``restoration.digest`` (of what was written) make a run recognisable: it
is looked up before it is made.

A trial's run carries its digest from the start and gets its final status last: running means partly written, and
writing it again completes it (MLflow drops equal parameters and metric points). One whose digest differs, because
the trial was run again, is moved to MLflow's trash and written anew, as parameters cannot be changed and metric points
not be taken back.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeps.store.models import SweepStatus, TrialState
from sweeps.tracking.address import Address
from sweeps.tracking.client import ensure_experiment, one_line, server_fault
from sweeps.tracking.names import metric_key
from sweeps.tracking.source import SweepPayload, TrialPayload, milliseconds

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

KEY, DIGEST, ROLE = "restoration.key", "restoration.digest", "restoration.role"
PARENT = "mlflow.parentRunId"
_TAG_LENGTH = 5000
_PAGE = 500
_TRIAL_STATUS = {TrialState.COMPLETE: "FINISHED", TrialState.PRUNED: "KILLED", TrialState.FAILED: "FAILED"}
_SWEEP_STATUS = {SweepStatus.COMPLETE: "FINISHED", SweepStatus.INTERRUPTED: "KILLED", SweepStatus.FAILED: "FAILED"}
_RUNNING = "RUNNING"
_MISSING = object()


class Deliverer:
    """Writes payloads to one MLflow. Remembers the parents' run ids; `forget` them after any error."""

    def __init__(self, client: MlflowClient, address: Address) -> None:
        self._client = client
        self._address = address
        self._experiment: str | None = None
        self._parents: dict[str, str] = {}

    @property
    def destination(self) -> str:
        """The address of this MLflow as the store keeps it with a sweep."""
        return self._address.destination

    def forget(self) -> None:
        """Trust nothing that was learnt: MLflow may have been emptied or replaced meanwhile."""
        self._experiment = None
        self._parents.clear()

    def outage(self) -> str | None:
        """Return why MLflow cannot be reached, None when it can: to tell an outage from one run that it refuses."""
        if (reason := server_fault(self._address)) is not None:
            return reason
        try:
            self._client.search_experiments(max_results=1)
        except Exception as error:
            return one_line(error)
        return None

    def parent(self, sweep: SweepPayload) -> str:
        """Return the run id of a sweep's parent run; written when there is none."""
        if sweep.key not in self._parents:
            run = self._only(self._find(sweep.key))
            self._parents[sweep.key] = run.info.run_id if run is not None else self.sweep(sweep)[0]
        return self._parents[sweep.key]

    def sweep(self, sweep: SweepPayload) -> tuple[str, bool]:
        """Write a sweep's parent run as it is now: tags, best metrics, ``spec.yaml``, the originals, status.

        Returns:
            Run id, and whether it was there already, just so.
        """
        row = sweep.row
        run = self._only(self._find(sweep.key))
        status = _SWEEP_STATUS.get(SweepStatus(row.status), _RUNNING)
        if run is not None and run.data.tags.get(DIGEST) == sweep.digest and run.info.status == status:
            self._parents[sweep.key] = run.info.run_id
            return run.info.run_id, True
        if run is None:
            run = self._client.create_run(
                self._experiment_id(),
                start_time=milliseconds(row.created_at),
                run_name=row.name,
                tags={KEY: sweep.key, ROLE: "sweep", "sweep": row.name, "mlflow.user": row.owner},
            )
        run_id: str = run.info.run_id
        files = {f"originals/{label}.png": png for label, png in sweep.originals.items()}
        if row.verdict is not None:
            # Whole: as a tag it may be cut.
            files["verdict.json"] = json.dumps(row.verdict, indent=2).encode()
        self._write_files(run_id, {"spec.yaml": row.spec_yaml.encode(), **files})
        end = milliseconds(row.finished_at) if row.finished_at is not None else None
        metrics = [(f"best/{name}", value, 0) for name, value in sweep.best.items()]
        metrics += [(f"trials/{state}", float(count), 0) for state, count in sweep.counts.items()]
        self._log(run_id, metrics, time=end or milliseconds(row.created_at), tags=_sweep_tags(sweep))
        if status == _RUNNING:
            self._client.update_run(run_id, status=_RUNNING)
        else:
            self._client.set_terminated(run_id, status=status, end_time=end)
        # Last: a run that was cut off before this is written again.
        self._client.set_tag(run_id, DIGEST, sweep.digest)
        self._parents[sweep.key] = run_id
        return run_id, False

    def trial(self, sweep: SweepPayload, trial: TrialPayload) -> tuple[str, bool]:
        """Write a trial's run, complete it, or find it there already.

        Returns:
            Run id, and whether it was there already, just so.
        """
        return self.trial_into(sweep, trial, self._find(trial_key(sweep, trial)))

    def trial_into(self, sweep: SweepPayload, trial: TrialPayload, found: Iterable[Run]) -> tuple[str, bool]:
        """Write a trial like `trial`, given the runs that carry its key."""
        row = trial.row
        parent, digest = self.parent(sweep), trial.digest
        current = [run for run in found if run.data.tags.get(DIGEST) == digest]
        run = self._only(current)
        for stale in found:
            if stale.data.tags.get(DIGEST) != digest:
                self._client.delete_run(stale.info.run_id)
        if run is not None:
            if run.data.tags.get(PARENT) != parent:
                self._client.set_tag(run.info.run_id, PARENT, parent)
            if run.info.status != _RUNNING:
                return run.info.run_id, True
        else:
            run = self._client.create_run(
                self._experiment_id(),
                start_time=milliseconds(row.started_at or row.asked_at),
                # Padded, so that ordering by name is ordering by number.
                run_name=f"{sweep.row.name}/{row.number:06d}",
                tags={**_trial_tags(sweep, trial), KEY: trial_key(sweep, trial), DIGEST: digest, PARENT: parent},
            )
        run_id: str = run.info.run_id
        if trial.pictures:
            self._write_files(run_id, {f"pictures/{sweep.label(image)}.png": png for image, png in trial.pictures})
        end = milliseconds(row.finished_at or row.asked_at)
        self._log(run_id, metrics=_metrics(sweep, trial), params=_params(trial), time=end)
        self._client.set_terminated(run_id, status=_TRIAL_STATUS[TrialState(row.state)], end_time=end)
        return run_id, False

    def runs_by_key(self, sweep: SweepPayload) -> dict[str, list[Run]]:
        """Return all trial runs of a sweep by their key, in a few requests."""
        found: dict[str, list[Run]] = {}
        token: str | None = None
        while True:
            page = self._client.search_runs(
                [self._experiment_id()],
                f"tags.\"{KEY}\" LIKE '{sweep.key}/%'",
                max_results=_PAGE,
                page_token=token,
            )
            for run in page:
                found.setdefault(run.data.tags[KEY], []).append(run)
            token = page.token
            if not token:
                return found

    def _find(self, key: str) -> list[Run]:
        found: list[Run] = self._client.search_runs([self._experiment_id()], f"tags.\"{KEY}\" = '{key}'")
        return found

    def _only(self, runs: Iterable[Run]) -> Run | None:
        """Return the run to keep of those that are the same thing; the others go to the trash.

        There is more than one when a request to make it timed out here and was carried out there, or when two
        processes wrote at once. Every process keeps the same one: finished before running, then by id.
        """
        ranked = sorted(runs, key=lambda run: (run.info.status == _RUNNING, run.info.run_id))
        for surplus in ranked[1:]:
            self._client.delete_run(surplus.info.run_id)
        return ranked[0] if ranked else None

    def _experiment_id(self) -> str:
        if self._experiment is None:
            self._experiment = ensure_experiment(self._client, self._address)
        return self._experiment

    def _log(
        self,
        run_id: str,
        metrics: Iterable[tuple[str, float, int]],
        time: int,
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        from mlflow.entities import Metric, Param, RunTag

        # The client cuts this into requests of at most 1000 values and 100 parameters. The time is the trial's own,
        # so that the same point written twice is one point.
        self._client.log_batch(
            run_id,
            metrics=[Metric(metric_key(key), value, time, step) for key, value, step in metrics],
            params=[Param(metric_key(key), value) for key, value in (params or {}).items()],
            tags=[RunTag(key, value) for key, value in (tags or {}).items()],
        )

    def _write_files(self, run_id: str, files: Mapping[str, bytes]) -> None:
        with tempfile.TemporaryDirectory(prefix="restoration-") as folder:
            for name, content in files.items():
                path = Path(folder, name)
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(content)
                # One by one, so that the client's time limit is a single file's.
                within = Path(name).parent.as_posix()
                self._client.log_artifact(run_id, str(path), None if within == "." else within)


def trial_key(sweep: SweepPayload, trial: TrialPayload) -> str:
    """Return what identifies a trial in MLflow."""
    return f"{sweep.key}/{trial.row.number}"


def _sweep_tags(sweep: SweepPayload) -> dict[str, str]:
    row = sweep.row
    tags: dict[str, Any] = {
        "owner": row.owner,
        "seed": row.seed,
        "state": row.status,
        "metric": ", ".join(row.metric_names),
        "goal": ", ".join(row.metric_goals),
        "trials_planned": row.trials_planned,
        **_setting_tags(row.spec),
        **{f"version.{name}": version for name, version in row.versions.items()},
        "verdict": row.verdict,
    }
    return {metric_key(name): _text(value)[:_TAG_LENGTH] for name, value in tags.items() if value is not None}


def _trial_tags(sweep: SweepPayload, trial: TrialPayload) -> dict[str, str]:
    row = trial.row
    tags: dict[str, Any] = {
        ROLE: "trial",
        "sweep": sweep.row.name,
        "trial": row.number,
        "state": row.state,
        "baseline": row.baseline,
        "seed": row.seed,
        "attempt": row.attempt,
        "failure": row.failure,
        "owner": sweep.row.owner,
        "mlflow.user": sweep.row.owner,
        "device": row.device,
        "worker": row.worker,
        "pack": row.pack,
        **_setting_tags(sweep.row.spec),
    }
    return {name: _text(value)[:_TAG_LENGTH] for name, value in tags.items() if value not in (None, "")}


def _setting_tags(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return what tells sweeps apart in a search over all of them: the network and the matched layers."""
    network, match = spec.get("network", {}), spec.get("match", {})
    return {"network": network.get("name"), "layer": ", ".join(match.get("layers", ())) or None}


def _params(trial: TrialPayload) -> dict[str, str]:
    """Return the parameters under their flat names; raw weights, where they differ, as ``raw.NAME``."""
    row = trial.row
    params = {name: _text(value) for name, value in row.parameters.items()}
    for name, value in row.raw_parameters.items():
        if row.parameters.get(name, _MISSING) != value:
            params[f"raw.{name}"] = _text(value)
    return params


def _metrics(sweep: SweepPayload, trial: TrialPayload) -> list[tuple[str, float, int]]:
    """Return means, ``NAME/PICTURE`` values and ``curves/NAME/PICTURE`` points as (key, value, step)."""
    row = trial.row
    last = row.iterations or 0
    means: dict[str, Any] = {**(row.metrics or {}), "time/queue_s": row.queue_s, "time/compute_s": row.compute_s}
    # The search's own values, whatever else is recorded: MLflow must rank as the store does.
    means |= dict(zip(sweep.row.metric_names, row.objectives or (), strict=False))
    points = [(name, float(value), last) for name, value in means.items() if value is not None]
    points += [(f"{name}/{sweep.label(image)}", value, last) for image, name, value in trial.image_metrics]
    for curve in trial.curves:
        key = f"curves/{curve.name}/{sweep.label(curve.image)}"
        points += [(key, value, step) for step, value in curve.points]
    return points


def _text(value: Any) -> str:
    """Return a value as MLflow shows it: 8 as ``8``, 0.1 as ``0.1``, anything nested as JSON."""
    if isinstance(value, dict | list):
        return json.dumps(value)
    return str(value)
