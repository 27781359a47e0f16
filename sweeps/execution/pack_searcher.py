"""The Ray Tune searcher that opens packs: what Tune calls a suggestion is a batch of trials and a quota."""

from __future__ import annotations

import time
from typing import Any, Protocol

from ray.tune.search import Searcher

from sweeps.execution.protocol import Assignment


class PackSource(Protocol):
    """The part of the coordinator that opens packs and takes back lost ones."""

    def ask(self, k: int, worker: str) -> list[Assignment]: ...

    def lost(self, worker: str | None = None) -> int: ...


class PackSearcher(Searcher):  # type: ignore[misc]
    """Opens a pack while the coordinator has trials to hand out, and reports packs that died.

    Args:
        coordinator: where trials come from.
        width: trials in a pack's batch.
        quota: trials a pack takes in all.

    Attributes:
        lost_packs: how many packs died so far.
    """

    def __init__(self, coordinator: PackSource, width: int, quota: int) -> None:
        super().__init__()
        self._coordinator = coordinator
        self._width, self._quota = width, quota
        self._living: set[str] = set()
        self.lost_packs = 0

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Return a pack's order; None while others may still lose trials; FINISHED when nothing is left."""
        first = self._ask(trial_id)
        if not first and not self._living and self._coordinator.lost():
            # Trials that no living pack has: answers that were lost on their way while the coordinator restarted.
            first = self._ask(trial_id)
        if first:
            self._living.add(trial_id)
            return {
                "pack": trial_id,
                "width": self._width,
                "quota": self._quota,
                "asked_at": time.time(),
                "first": tuple(first),
            }
        # Tune sleeps for a second on None when nothing runs; but then everything is done.
        return None if self._living else Searcher.FINISHED

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Take back what the pack still held; nothing, when it ended in good order."""
        self._living.discard(trial_id)
        self.lost_packs += bool(error)
        self._coordinator.lost(trial_id)

    def _ask(self, trial_id: str) -> list[Assignment]:
        return self._coordinator.ask(min(self._width, self._quota), trial_id)

    def __deepcopy__(self, memo: dict[int, Any]) -> PackSearcher:
        # Tune copies the searcher it is given; this one stands for a coordinator, of which there is one.
        return self

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the store holds the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the store holds the state."""

    def get_state(self) -> dict[str, Any]:
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        pass
