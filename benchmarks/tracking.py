"""Cost of telling MLflow of a trial, against the plain way: one call per value and picture.

    python benchmarks/tracking.py [--trials 20] [--points 20] [--images 3] [--side 64]

Both write the same trials to a fresh SQLite MLflow each (the plain way at most 5 of them: it is slow); start-up
(imports, making the database) is not counted. The processor's time is told apart, as it does not depend on what else
the machine does.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from sweeps.execution.protocol import CurveRecord, EncodedPicture, PictureRecord, TrialRecord
from sweeps.store.models import TrialState
from sweeps.store.records import FinishedTrial, NewSweep, NewTrial
from sweeps.store.writer import Writer, open_writer
from sweeps.tracking.address import parse_mlflow_uri
from sweeps.tracking.client import open_client, quiet_mlflow
from sweeps.tracking.delivery import Deliverer
from sweeps.tracking.drain import Drain
from sweeps.tracking.source import Source


def main() -> None:
    """Print milliseconds per trial both ways and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=20, help="trials (default 20)")
    parser.add_argument("--points", type=int, default=20, help="points of each of two curves a picture (default 20)")
    parser.add_argument("--images", type=int, default=3, help="pictures a trial (default 3)")
    parser.add_argument("--side", type=int, default=64, help="side of a picture in pixels (default 64)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, quiet_mlflow():
        store_url = f"sqlite:///{folder}/store.db"
        with open_writer(store_url) as writer:
            _fill(writer, options.trials, options.points, options.images, options.side)
            ours = _through_the_outbox(writer, store_url, f"sqlite:///{folder}/ours.db", options.trials)
        plain = _call_by_call(store_url, f"sqlite:///{folder}/plain.db", min(options.trials, 5))
    print(f"{options.trials} trials of {options.images} pictures of {options.side} px, {options.points} points a curve")
    print(f"through the outbox  {ours.wall_ms:7.1f} ms a trial, processor {ours.processor_ms:7.1f} ms")
    print(f"call by call        {plain.wall_ms:7.1f} ms a trial, processor {plain.processor_ms:7.1f} ms")
    wall, processor = plain.wall_ms / ours.wall_ms, plain.processor_ms / ours.processor_ms
    print(f"ratio               {wall:7.1f} x           {processor:7.1f} x")


@dataclass
class Clock:
    """Milliseconds a trial since it was made."""

    trials: int
    wall_ms: float = 0.0
    processor_ms: float = 0.0

    def __post_init__(self) -> None:
        self._start_s = time.perf_counter(), time.process_time()

    def stop(self) -> Clock:
        """Set both times and return the clock."""
        self.wall_ms = 1000 * (time.perf_counter() - self._start_s[0]) / self.trials
        self.processor_ms = 1000 * (time.process_time() - self._start_s[1]) / self.trials
        return self


def _through_the_outbox(writer: Writer, store_url: str, mlflow_uri: str, trials: int) -> Clock:
    address = parse_mlflow_uri(mlflow_uri)
    source = Source(store_url)
    drain = Drain(writer, source, Deliverer(open_client(address), address))
    sweep = source.sweep(next(iter(source.sweep_names().values())))
    assert sweep is not None
    drain.deliverer.sweep(sweep)
    clock = Clock(trials)
    while not (result := drain.step()).idle:
        assert result.error is None, result.error
    clock.stop()
    source.close()
    return clock


def _call_by_call(store_url: str, mlflow_uri: str, trials: int) -> Clock:
    client = open_client(parse_mlflow_uri(mlflow_uri))
    source = Source(store_url)
    payloads = source.trials(source.finished_trials(next(iter(source.sweep_names().values())))[:trials])
    experiment = client.create_experiment("plain", artifact_location=Path(mlflow_uri[10:]).with_suffix(".d").as_uri())
    clock = Clock(trials)
    for trial in payloads.values():
        run_id = client.create_run(experiment).info.run_id
        for name, value in trial.row.parameters.items():
            client.log_param(run_id, name, value)
        for image, name, value in trial.image_metrics:
            client.log_metric(run_id, f"{name}/{image}", value)
        for name, value in (trial.row.metrics or {}).items():
            client.log_metric(run_id, name, value)
        for curve in trial.curves:
            for step, value in curve.points:
                client.log_metric(run_id, f"{curve.name}/{curve.image}", value, step=step)
        for image, png in trial.pictures:
            client.log_image(run_id, np.asarray(Image.open(io.BytesIO(png))), artifact_file=f"{image}.png")
        client.set_terminated(run_id)
    clock.stop()
    source.close()
    return clock


def _fill(writer: Writer, trials: int, points: int, images: int, side: int) -> None:
    """Write a sweep of finished trials with random values and smooth random pictures."""
    random = np.random.default_rng(0)
    names = [f"image{index}" for index in range(images)]
    sweep_id = writer.create_sweep(
        NewSweep(
            name="benchmark",
            spec_yaml="",
            spec={},
            metric_names=["image_mse"],
            metric_goals=["minimize"],
            seed=0,
            trials_planned=trials,
            owner="benchmark",
        )
    )
    lease = writer.acquire_lease(sweep_id, "benchmark", 3600.0)
    for number in range(trials):
        parameters = {"total_variation.weight": float(random.random()), "priors.image.patch_size": 8}
        writer.insert_trials(sweep_id, lease, [NewTrial(number=number, token=lease, parameters=parameters)])
        steps = tuple(range(points))
        error = float(random.random())
        record = TrialRecord(
            number=number,
            token=lease,
            metrics={"image_mse": error, "psnr": 20.0},
            image_metrics={name: {"image_mse": error, "psnr": 20.0} for name in names},
            curves=tuple(
                CurveRecord(name, loss, steps, tuple(random.random(points)))
                for name in names
                for loss in ("objective", "features")
            ),
            pictures=tuple(PictureRecord(name, points, True, _picture(random, side)) for name in names),
            iterations=points,
        )
        writer.finish_trials(sweep_id, lease, [FinishedTrial(record, TrialState.COMPLETE, error, [error])])


def _picture(random: np.random.Generator, side: int) -> EncodedPicture:
    coarse = Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    picture = coarse.resize((side, side), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return EncodedPicture(hashlib.sha256(picture.tobytes()).hexdigest(), buffer.getvalue(), b"", side, side)


if __name__ == "__main__":
    main()
