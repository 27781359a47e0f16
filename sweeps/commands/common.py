"""What the sweep commands share: the two addresses, JSON. Imports nothing heavy."""

from __future__ import annotations

import functools
import json
import math
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from restoration_core.errors import InputError
from sweeps.shown_address import show_url

if TYPE_CHECKING:
    import pandas as pd

STORE_VARIABLE = "RESTORATION_STORE"
DEFAULT_STORE = "sqlite:///restoration.db"
DEFAULT_MLFLOW = "sqlite:///mlflow.db"
MLFLOW_OFF = "off"
MOST_TRIALS = 1_000_000
"""No sweep has more; larger numbers are typing errors that no database need see."""

_P = ParamSpec("_P")
_R = TypeVar("_R")


@dataclass(frozen=True)
class Addresses:
    """Where results are kept: the store's SQLAlchemy URL, and MLflow's tracking URI (None: not tracked).

    Both may hold passwords: what is printed is `shown_store`, `shown_mlflow` and `options`. ``mlflow_given`` says
    whether the user named MLflow's address for this command, or it is the default.
    """

    store: str
    mlflow: str | None
    mlflow_given: bool = False

    @property
    def shown_store(self) -> str:
        """The store's address without its password."""
        return show_url(self.store)

    @property
    def shown_mlflow(self) -> str:
        """MLflow's address without its password, or ``off``."""
        return show_url(self.mlflow or MLFLOW_OFF)

    def options(self) -> str:
        """Return the options that name these addresses again, without passwords; empty for the defaults."""
        parts = [] if self.store == _default_store() else [f"--store {_quoted(self.shown_store)}"]
        if (self.mlflow or MLFLOW_OFF) != _default_mlflow():
            parts.append(f"--mlflow {_quoted(self.shown_mlflow)}")
        return "".join(f" {part}" for part in parts)

    def tracked(self) -> str:
        """Return MLflow's address.

        Raises:
            InputError: tracking is off.
        """
        if self.mlflow is None:
            raise InputError("this needs MLflow, but --mlflow is off; valid: a tracking URI")
        return self.mlflow


def address_options(command: Callable[_P, _R]) -> Callable[..., _R]:
    """Add ``--store`` and ``--mlflow``, handed over as ``addresses``; accepted by the group and by each command."""

    @click.option("--store", metavar="URL", help=f"Database of results (RESTORATION_STORE; {DEFAULT_STORE}).")
    @click.option("--mlflow", metavar="URI", help=f"Tracking address, or off (RESTORATION_MLFLOW; {DEFAULT_MLFLOW}).")
    @functools.wraps(command)
    def with_addresses(*args: Any, store: str | None, mlflow: str | None, **kwargs: Any) -> _R:
        outer = click.get_current_context().find_object(Addresses)
        chosen = store or (outer.store if outer else _default_store())
        tracking = mlflow or ((outer.mlflow or MLFLOW_OFF) if outer else _default_mlflow())
        given = mlflow is not None or (outer is not None and outer.mlflow_given)
        addresses = Addresses(chosen, None if tracking == MLFLOW_OFF else tracking, given)
        return command(*args, addresses=addresses, **kwargs)  # type: ignore[arg-type]

    return with_addresses


def json_option(command: Callable[_P, _R]) -> Callable[_P, _R]:
    """Add ``--json``, handed over as ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="JSON on standard output, for machines.")(command)


def print_json(value: Any) -> None:
    """Print JSON; what is not finite becomes null."""
    plain = _jsonable(value)
    text = json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(plain, indent=2, allow_nan=False)
    click.echo(text)


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a frame's rows as plain data, missing values as None."""
    return [{str(key): _jsonable(value) for key, value in row.items()} for row in frame.to_dict(orient="records")]


def _default_store() -> str:
    return os.environ.get(STORE_VARIABLE) or DEFAULT_STORE


def _default_mlflow() -> str:
    return os.environ.get("RESTORATION_MLFLOW") or DEFAULT_MLFLOW


def _quoted(text: str) -> str:
    import shlex

    return shlex.quote(text)


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    if hasattr(value, "isoformat"):
        text = value.isoformat()
        return None if text == "NaT" else text
    if hasattr(value, "item"):
        value = value.item()  # a numpy scalar
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, bool | int | str) else _text(value)


def _text(value: Any) -> str | None:
    text = str(value)
    return None if text in {"<NA>", "NaT", "nan"} else text
