"""What a sweep's process and the one that talks to Ray say to each other. The job itself goes as bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from restoration_core.errors import Portable
from sweeps.execution.runners.base import RunReport


@dataclass(frozen=True)
class Setup:
    """Which Ray: a cluster's address, None for a local one with a core for each thread of each actor, at least.

    ``folder`` is for files that go with the session.
    """

    address: str | None
    folder: str
    threads: int
    actors: int | Literal["auto"]


@dataclass(frozen=True)
class Started:
    """Ray's libraries are loaded."""


@dataclass(frozen=True)
class Connected:
    """Packs can run; ``gpus`` is how many the cluster has."""

    gpus: float


@dataclass(frozen=True)
class Progressed:
    """The coordinator's `progress()`."""

    state: Mapping[str, Any]


@dataclass(frozen=True)
class Finished:
    """All trials have ended."""

    report: RunReport


@dataclass(frozen=True)
class Failed:
    """It cannot go on; nothing follows."""

    error: Portable
