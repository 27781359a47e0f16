"""What a pack hands in: the trials it solved, measured and with their pictures, and why the others failed."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from restoration_core.reconstruction import Problem, Result
from sweeps.execution.failures import describe, is_of_the_machine
from sweeps.execution.protocol import Assignment, CurveRecord, PictureRecord, TrialRecord
from sweeps.execution.worker_context import PackContext
from sweeps.trial.metrics import Measuring, mean_over_images
from sweeps.trial.pictures import encode

ImageMetrics = dict[str, dict[str, float]]


@dataclass
class PackTrial:
    """A trial in a pack.

    Attributes:
        assignment: as it was handed out.
        raw: its raw parameters; none when they could not be computed.
        problems, results: by picture; a picture without a result is being solved.
        queue_s: seconds from being asked to being started.
    """

    assignment: Assignment
    raw: Mapping[str, Any] = field(default_factory=dict)
    problems: Mapping[str, Problem] = field(default_factory=dict)
    queue_s: float = 0.0
    results: dict[str, Result] = field(default_factory=dict)

    @property
    def number(self) -> int:
        """Its number in the sweep."""
        return self.assignment.number


def worker_name() -> str:
    """Return this process's name in the store: ``host:pid``."""
    return f"{socket.gethostname()}:{os.getpid()}"


class RecordMaker:
    """Makes the records of one pack. Whatever goes wrong here fails the trial it goes wrong for, never the pack.

    Args:
        context: of the sweep.
        pack: its name.

    Attributes:
        notices: what a user should hear of how it went.
    """

    def __init__(self, context: PackContext, pack: str) -> None:
        self._context, self._pack, self._worker = context, pack, worker_name()
        self._measuring: Measuring | None = None
        self.notices: list[str] = []

    def failed(self, trial: PackTrial, reason: str | Exception) -> TrialRecord:
        """Return the record of a trial that failed."""
        item = trial.assignment
        return TrialRecord(
            item.number,
            item.token,
            raw_parameters=trial.raw,
            failure=describe(reason) if isinstance(reason, Exception) else reason,
            of_the_machine=isinstance(reason, Exception) and is_of_the_machine(reason),
            queue_s=trial.queue_s,
            device=self._context.device,
            worker=self._worker,
            pack=self._pack,
        )

    def solved(self, trials: Sequence[PackTrial]) -> list[TrialRecord]:
        """Measure trials that have all of their results, and return a record for each."""
        try:
            measured = self._measure(trials)
        except Exception as error:
            # All were measured in one forward pass, which does not tell whose fault it was.
            if len(trials) > 1:
                self.notices.append(f"measuring a batch failed ({describe(error)}), so it was done trial by trial")
            return [self._record_alone(trial) for trial in trials]
        return [self._record(trial, measured[trial.number]) for trial in trials]

    def _record_alone(self, trial: PackTrial) -> TrialRecord:
        try:
            measured = self._measure([trial])
        except Exception as error:
            return self.failed(trial, error)
        return self._record(trial, measured[trial.number])

    def _measure(self, trials: Sequence[PackTrial]) -> dict[int, ImageMetrics]:
        if self._measuring is None:
            self._measuring = Measuring(self._context)
        rows = [(trial, image) for trial in trials for image in trial.problems]
        measured = self._measuring.measure([(image, trial.results[image].image) for trial, image in rows])
        by_trial: dict[int, ImageMetrics] = {}
        for (trial, image), metrics in zip(rows, measured, strict=True):
            by_trial.setdefault(trial.number, {})[image] = metrics
        return by_trial

    def _record(self, trial: PackTrial, image_metrics: ImageMetrics) -> TrialRecord:
        item, results = trial.assignment, trial.results
        try:
            return TrialRecord(
                item.number,
                item.token,
                metrics=mean_over_images(image_metrics),
                image_metrics=image_metrics,
                raw_parameters=trial.raw,
                curves=tuple(
                    CurveRecord(image, name, result.curve_steps, values)
                    for image, result in results.items()
                    for name, values in result.curves.items()
                ),
                pictures=self._pictures(trial),
                queue_s=trial.queue_s,
                compute_s=sum(result.compute_s for result in results.values()),
                iterations=max(result.iterations for result in results.values()),
                device=self._context.device,
                worker=self._worker,
                pack=self._pack,
            )
        except Exception as error:
            return self.failed(trial, error)

    def _pictures(self, trial: PackTrial) -> tuple[PictureRecord, ...]:
        if self._context.spec.save.images == "none":
            return ()
        found = []
        for image in trial.problems:
            result = trial.results[image]
            steps = [(step, False, picture) for step, picture in sorted(result.snapshots.items())]
            kept = [item for item in steps if item[0] < result.iterations]
            found += [
                PictureRecord(image, step, final, encode(picture))
                for step, final, picture in [*kept, (result.iterations, True, result.image)]
            ]
        return tuple(found)
