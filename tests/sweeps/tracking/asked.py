"""What MLflow answers, asked through its own client without any of our code."""

from __future__ import annotations

from typing import Any

from sweeps.tracking import EXPERIMENT
from sweeps.tracking.client import quiet_mlflow


def client(uri: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def runs(uri: str, filter_string: str = "", order_by: list[str] | None = None, deleted_too: bool = False) -> list[Any]:
    from mlflow.entities import ViewType

    with quiet_mlflow():
        asked = client(uri)
        experiment = asked.get_experiment_by_name(EXPERIMENT)
        view = ViewType.ALL if deleted_too else ViewType.ACTIVE_ONLY
        experiments = [experiment.experiment_id]
        return list(asked.search_runs(experiments, filter_string, view, max_results=1000, order_by=order_by))


def trials(uri: str) -> dict[int, Any]:
    """Return the trial runs by number; fails when a number is there twice."""
    found = runs(uri, "tags.\"restoration.role\" = 'trial'")
    by_number = {int(run.data.tags["trial"]): run for run in found}
    assert len(by_number) == len(found), sorted(run.data.tags["trial"] for run in found)
    return by_number


def state(uri: str) -> list[Any]:
    """Return all that can be seen of all runs, to compare before and after."""
    asked = client(uri)
    return sorted(
        [
            run.info.run_id,
            run.info.status,
            run.info.end_time,
            sorted(run.data.tags.items()),
            sorted(run.data.params.items()),
            [
                (key, [(point.step, point.value) for point in asked.get_metric_history(run.info.run_id, key)])
                for key in sorted(run.data.metrics)
            ],
        ]
        for run in runs(uri)
    )
