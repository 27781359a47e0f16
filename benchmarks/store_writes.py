"""Milliseconds per trial to commit results to SQLite, over a floor: the same rows through bare ``sqlite3``.

Run: ``python benchmarks/store_writes.py [--trials 256] [--pack 8]``. Each trial brings two 64 x 64 pictures of noise
(PNG, some 12 kB each, incompressible: the worst case), two 24 x 24 thumbnails, three curves of 40 points and five
metrics for each of two originals.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from restoration_core.images import encode_png, thumbnail
from sweeps.execution.protocol import CurveRecord, EncodedPicture, PictureRecord, TrialRecord
from sweeps.store import FinishedTrial, NewSweep, NewTrial, TrialState, open_reader, open_writer

IMAGES = ("sample:coffee", "sample:astronaut")
METRICS = ("image_mse", "psnr", "ssim", "feature_error", "held_out_error")
STEPS = tuple(range(0, 400, 10))


def picture(seed: int) -> EncodedPicture:
    """Return a picture of noise."""
    pixels = np.random.default_rng(seed).random((3, 64, 64), dtype=np.float32)
    png = encode_png(pixels)
    return EncodedPicture(hashlib.sha256(pixels).hexdigest(), png, thumbnail(png, 24), 64, 64)


def result(number: int) -> FinishedTrial:
    """Return a finished trial of the size described above."""
    values = tuple(1.0 / (1 + step + number) for step in STEPS)
    record = TrialRecord(
        number,
        1,
        metrics=dict.fromkeys(METRICS, 0.1),
        image_metrics={image: dict.fromkeys(METRICS, 0.1) for image in IMAGES},
        curves=tuple(CurveRecord(image, name, STEPS, values) for image in IMAGES for name in ("total", "match", "tv")),
        pictures=tuple(
            PictureRecord(image, 400, True, picture(2 * number + index)) for index, image in enumerate(IMAGES)
        ),
    )
    return FinishedTrial(record, TrialState.COMPLETE, 0.1 + number, [0.1 + number])


def store_ms(folder: Path, results: list[FinishedTrial], pack: int) -> tuple[float, float]:
    """Return the median milliseconds per trial for finishing packs, and those for inserting them."""
    url = f"sqlite:///{folder}/store_{pack}.db"
    finishing, inserting = [], []
    with open_writer(url) as writer:
        sweep = writer.create_sweep(NewSweep("sweep", "", {}, ["image_mse"], ["minimize"], 0, len(results), "me"))
        lease = writer.acquire_lease(sweep, "me", 3600)
        for start in range(0, len(results), pack):
            part = results[start : start + pack]
            new = [NewTrial(item.record.number, 1, {"total_variation.weight": 0.1}) for item in part]
            inserting.append(timed(lambda new=new: writer.insert_trials(sweep, lease, new)) / len(part))
            finishing.append(timed(lambda part=part: writer.finish_trials(sweep, lease, part)) / len(part))
    reader = open_reader(url)
    assert reader.sweeps()["complete"].tolist() == [len(results)]
    return statistics.median(finishing), statistics.median(inserting)


def bare_ms(folder: Path, results: list[FinishedTrial], pack: int) -> float:
    """Return the median milliseconds per trial for the same rows through ``sqlite3`` with no checks and no indexes."""
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("CREATE TABLE trials (number, metrics, objective)")
    connection.execute("CREATE TABLE metrics (number, image, name, value)")
    connection.execute("CREATE TABLE curves (number, image, name, steps, curve)")
    connection.execute("CREATE TABLE pictures (sha256, png, thumbnail)")

    def write(part: list[FinishedTrial]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        for item in part:
            record = item.record
            connection.execute(
                "INSERT INTO trials VALUES (?, ?, ?)", (record.number, json.dumps(record.metrics), item.objective)
            )
            connection.executemany(
                "INSERT INTO metrics VALUES (?, ?, ?, ?)",
                [
                    (record.number, image, *pair)
                    for image, found in record.image_metrics.items()
                    for pair in found.items()
                ],
            )
            connection.executemany(
                "INSERT INTO curves VALUES (?, ?, ?, ?, ?)",
                [(record.number, c.image, c.name, json.dumps(c.steps), json.dumps(c.values)) for c in record.curves],
            )
            connection.executemany(
                "INSERT INTO pictures VALUES (?, ?, ?)",
                [(p.picture.sha256, p.picture.png, p.picture.thumbnail) for p in record.pictures],
            )
        connection.execute("COMMIT")

    parts = [results[start : start + pack] for start in range(0, len(results), pack)]
    return statistics.median(timed(lambda part=part: write(part)) / len(part) for part in parts)


def timed(work: Callable[[], object]) -> float:
    """Return the milliseconds ``work`` takes."""
    start = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - start)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=256)
    parser.add_argument("--pack", type=int, default=8)
    options = parser.parse_args()
    results = [result(number) for number in range(options.trials)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bare = bare_ms(folder, results, options.pack)
        print(f"bare sqlite3, packs of {options.pack}: {bare:.2f} ms per trial (the floor)")
        for pack in (options.pack, 1):
            finish, insert = store_ms(folder, results, pack)
            print(
                f"store, packs of {pack}: finish {finish:.2f} ms per trial ({finish / bare:.1f} x the floor), "
                f"insert {insert:.2f} ms per trial"
            )


if __name__ == "__main__":
    main()
