"""The best trials of a sweep as MLflow's own search ranks them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pandas as pd

from restoration_core.errors import InputError, unknown
from sweeps.search.pareto import ranked
from sweeps.shown_address import show_url
from sweeps.store.models import TrialState
from sweeps.tracking.address import parse_mlflow_uri
from sweeps.tracking.client import (
    find_experiment,
    one_line,
    open_client,
    quiet_mlflow,
    server_fault,
)
from sweeps.tracking.delivery import PARENT, ROLE
from sweeps.tracking.names import metric_key

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_PAGE = 1000
_STORE_INSTEAD = "`restoration sweep best` asks the store instead"


def best_from_mlflow(mlflow_uri: str, name: str, k: int = 10) -> pd.DataFrame:
    """Return the ``k`` best complete trials of a sweep, asked of MLflow alone; the ranking is the store's.

    Ties go by number; for several metrics it is the Pareto front, sorted by the first. Of sweeps of one name the
    latest is meant.

    Args:
        mlflow_uri: where the sweep was tracked.
        name: the sweep's name.
        k: at most this many rows.

    Returns:
        The store's columns as far as MLflow has them: number, state, baseline, objective (NaN with several metrics),
        ``params.*`` and ``raw.*`` (MLflow keeps text: what reads as a number or a truth value becomes one),
        ``metrics.*`` (means; of those at held-out layers only the sweep's own), and mlflow_run_id.

    Raises:
        InputError: a bad address, an MLflow that does not answer, or one that knows no such sweep.
    """
    address = parse_mlflow_uri(mlflow_uri)
    if address.database is not None and not address.database.exists():
        raise InputError(f"no MLflow database at {address.database}; `restoration sweep sync` fills one")
    if (fault := server_fault(address)) is not None:
        raise InputError(f"{fault}; {_STORE_INSTEAD}")
    with quiet_mlflow():
        try:
            client = open_client(address)
            experiment = find_experiment(client)
            parents = _parents(client, experiment) if experiment is not None else []
            parent = next((run for run in parents if run.data.tags.get("sweep") == name), None)
            if parent is None or experiment is None:
                known = dict.fromkeys(str(run.data.tags.get("sweep")) for run in parents)
                where = f"in MLflow at {show_url(address.uri)}"
                raise InputError(f"{unknown('sweep', name, known)} {where}; `restoration sweep sync` brings it there")
            if "metric" not in parent.data.tags:
                raise InputError(f"sweep {name!r} is only half written there; `restoration sweep sync {name}` ends it")
            metrics = [metric.strip() for metric in parent.data.tags["metric"].split(",")]
            goals = [goal.strip() for goal in parent.data.tags["goal"].split(",")]
            limit = k if len(metrics) == 1 else None
            runs = _ranked(client, experiment, parent.info.run_id, metrics[0], goals[0], limit)
        except InputError:
            raise
        except Exception as error:
            why = f"MLflow at {show_url(address.uri)} does not answer: {one_line(error)}"
            raise InputError(f"{why}; {_STORE_INSTEAD}") from error
    return _frame(_in_order(runs, metrics, goals)[:k], metrics)


def _parents(client: MlflowClient, experiment: str) -> list[Run]:
    return _pages(client, experiment, f"tags.\"{ROLE}\" = 'sweep'", ["attributes.start_time DESC"], None)


def _ranked(
    client: MlflowClient, experiment: str, parent_id: str, metric: str, goal: str, limit: int | None
) -> list[Run]:
    direction = "DESC" if goal == "maximize" else "ASC"
    return _pages(
        client,
        experiment,
        f"tags.\"{PARENT}\" = '{parent_id}' and tags.state = '{TrialState.COMPLETE.value}'",
        # Run names end in the padded number.
        [f'metrics."{metric_key(metric)}" {direction}', "attributes.run_name ASC"],
        limit,
    )


def _pages(client: MlflowClient, experiment: str, filter_string: str, order: list[str], limit: int | None) -> list[Run]:
    runs: list[Run] = []
    token: str | None = None
    while limit is None or len(runs) < limit:
        size = _PAGE if limit is None else min(_PAGE, limit - len(runs))
        page: Any = client.search_runs([experiment], filter_string, max_results=size, order_by=order, page_token=token)
        runs += page
        token = page.token
        if not token:
            break
    return runs


def _in_order(runs: list[Run], metrics: list[str], goals: list[str]) -> list[Run]:
    by_number = {int(run.data.tags["trial"]): run for run in runs}
    points = [
        (number, [run.data.metrics.get(metric_key(metric)) for metric in metrics]) for number, run in by_number.items()
    ]
    return [by_number[item.number] for item in ranked(points, goals)]


def _frame(runs: list[Run], metrics: list[str]) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for run in runs:
        found = run.data.metrics
        # A key with a slash is a value of one picture, a curve, or a metric at a layer.
        means = {key: value for key, value in found.items() if "/" not in key}
        means |= {name: found[metric_key(name)] for name in metrics if metric_key(name) in found}
        rows.append(
            {
                "number": int(run.data.tags["trial"]),
                "state": run.data.tags["state"],
                "baseline": run.data.tags.get("baseline"),
                "objective": means.get(metrics[0], float("nan")) if len(metrics) == 1 else float("nan"),
                **{_column(key): _typed(value) for key, value in sorted(run.data.params.items())},
                **{f"metrics.{key}": value for key, value in sorted(means.items())},
                "mlflow_run_id": run.info.run_id,
            }
        )
    return pd.DataFrame(rows, columns=None if rows else ["number", "state", "baseline", "objective", "mlflow_run_id"])


def _column(key: str) -> str:
    return key if key.startswith("raw.") else f"params.{key}"


def _typed(text: str) -> bool | int | float | str:
    if text in ("True", "False"):
        return text == "True"
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text
