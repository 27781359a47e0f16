"""An overall time limit for what waits for a server: MLflow's own limit starts anew with every byte that comes."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, TypeVar

_R = TypeVar("_R")

_REQUEST_TIMEOUT_S = "10"  # between two bytes, where the user has not set another
_SLOWEST = 3.0  # an answer may take this many times as long in all


class TooSlow(TimeoutError):
    """A server began to answer, or took what it was sent, but did not come to an end."""


def request_limit_s() -> float:
    """Return how many seconds one call of MLflow's client may take."""
    try:
        timeout_s = float(os.environ.get("MLFLOW_HTTP_REQUEST_TIMEOUT", _REQUEST_TIMEOUT_S))
    except ValueError:
        timeout_s = float(_REQUEST_TIMEOUT_S)
    return _SLOWEST * timeout_s


def within(limit_s: float, what: str, call: Callable[[], _R]) -> _R:
    """Return what ``call`` returns, or raise what it raises, within ``limit_s`` seconds.

    A call that takes longer is left to itself: its thread ends with it, at the latest with the process.

    Raises:
        TooSlow: ``what`` took too long, in one line.
    """
    results: list[_R] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(call())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(limit_s)
    if errors:
        raise errors[0]
    if not results:
        raise TooSlow(f"{what} did not come to the end of its answer within {limit_s:g} s")
    return results[0]


class LimitedClient:
    """MLflow's client with a time limit on every call of a method."""

    def __init__(self, client: Any, what: str) -> None:
        self._client = client
        self._what = what

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._client, name)
        if not callable(attribute):
            return attribute

        def limited(*args: Any, **kwargs: Any) -> Any:
            return within(request_limit_s(), self._what, lambda: attribute(*args, **kwargs))

        return limited
