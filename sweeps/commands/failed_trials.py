"""The failed trials of a sweep in a line: how many, why, and how to run them again."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import click


@dataclass(frozen=True)
class FailedTrials:
    """The failed trials of a sweep.

    Attributes:
        trials: how many the sweep has in all.
        reasons: how often each reason was given.
        wrong: how many failed through something that went wrong; the others had numbers that are not finite.
    """

    trials: int
    reasons: Counter[str]
    wrong: int

    def tell(self, retry: str) -> None:
        """Say it in one line, and where something went wrong the command that runs these trials again."""
        if not self.reasons:
            return
        failed = sum(self.reasons.values())
        (reason, count), *others = self.reasons.most_common()
        why = f"most of them ({count}): {reason}" if others else reason
        again = f"; to run them again: {retry}" if self.wrong else ""
        click.echo(f"{failed} of {self.trials} trials failed: {why}{again}", err=True)


def failed_trials(store: str, sweep: str) -> FailedTrials:
    """Return the failed trials of a sweep."""
    from sweeps.execution.failures import is_result
    from sweeps.store import open_reader

    reader = open_reader(store)
    try:
        rows = reader.trial_rows(sweep)
    finally:
        reader.close()
    reasons = [row["failure"] or "for no known reason" for row in rows if row["state"] == "failed"]
    return FailedTrials(len(rows), Counter(reasons), sum(not is_result(reason) for reason in reasons))
