"""New trials: what the sampler suggests, put into the store before it is handed out."""

from __future__ import annotations

from collections.abc import Collection

from sweeps.execution.coordination.ledger import Ledger
from sweeps.execution.protocol import Assignment
from sweeps.search.study import SearchStudy, Suggestion
from sweeps.store.records import NewTrial


class Suggestions:
    """Takes trials from the sampler.

    Suggestions that a failing store did not take keep their numbers and go first the next time.

    Args:
        study: that suggests.
        ledger: where trials are written.
    """

    def __init__(self, study: SearchStudy, ledger: Ledger) -> None:
        self._study, self._ledger = study, ledger
        self._unsaved: list[Suggestion] = []

    @property
    def left(self) -> int:
        """How many trials the sweep has that are not in the store yet."""
        return self._study.planned - self._study.asked + len(self._unsaved)

    def take(self, k: int) -> list[Assignment]:
        """Return up to ``k`` new trials, which are in the store now."""
        while len(self._unsaved) < k and (suggestion := self._study.ask()) is not None:
            self._unsaved.append(suggestion)
        fresh = self._unsaved[:k]
        self._ledger.insert(
            [
                NewTrial(
                    item.number,
                    1,
                    item.parameters,
                    item.distributions,
                    item.sampler_attributes,
                    item.seed,
                    item.baseline,
                )
                for item in fresh
            ]
        )
        del self._unsaved[:k]
        return [Assignment(item.number, 1, item.parameters, item.seed, item.baseline) for item in fresh]

    def found_stored(self, numbers: Collection[int]) -> list[int]:
        """Return the suggestions that are among the store's numbers after all; they are not taken a second time."""
        found = [item.number for item in self._unsaved if item.number in numbers]
        self._unsaved = [item for item in self._unsaved if item.number not in numbers]
        return found
