"""The cells of `calibration_rule.py` as a file of JSON lines, their best weights, and the table of them.

python benchmarks/calibration_table.py CELLS.jsonl
"""

from __future__ import annotations

import json
import math
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

LEVELS = tuple(0.01 * 2 ** (step / 2) for step in range(12))
GOAL_DECADES, GOAL_SHARE = 0.35, 0.5
METRICS = ("psnr", "ssim")


def read(path: Path) -> list[dict[str, Any]]:
    """Return the records of the file, cells and layers; a line that was cut off is ignored."""
    records = []
    for line in path.read_text().splitlines() if path.is_file() else []:
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            print("a line that was cut off is passed over", file=sys.stderr)
    return records


def write(path: Path, record: dict[str, Any]) -> None:
    """Append a record; a line that was cut off before it is ended first."""
    cut_off = path.is_file() and path.read_bytes()[-1:] not in (b"", b"\n")
    with path.open("a") as file:
        file.write("\n" * cut_off + json.dumps(record) + "\n")


def layer_key(record: dict[str, Any]) -> tuple[str, str, str]:
    """Return the record of a layer, which its cells share."""
    return record["weights_id"], record["layer"], json.dumps(record["settings"])


def at(curve: Sequence[float], level: float) -> float:
    """Return a curve over :data:`LEVELS` at ``level``, linear in logarithms, constant beyond the ends."""
    place = min(max((math.log2(level / LEVELS[0])) * 2, 0.0), len(LEVELS) - 1.0)
    low = min(int(place), len(LEVELS) - 2)
    part = place - low
    return math.exp((1 - part) * math.log(curve[low]) + part * math.log(curve[low + 1]))


def top(points: dict[float, float]) -> tuple[float, float]:
    """Return where the parabola through the best point and its two neighbours is highest, and its value there."""
    places = sorted(points)
    best = max(places, key=lambda place: points[place])
    index = places.index(best)
    if index in (0, len(places) - 1):
        return best, points[best]
    (x0, x1, x2), (y0, y1, y2) = places[index - 1 : index + 2], [points[p] for p in places[index - 1 : index + 2]]
    left, right = (y1 - y0) / (x1 - x0), (y2 - y1) / (x2 - x1)
    bend = (right - left) / (x2 - x0)
    if bend >= 0:
        return best, y1
    place = (x0 + x1) / 2 - left / (2 * bend)
    return place, y1 - bend * (x1 - place) ** 2


def jackknife(cell: dict[str, Any], metric: str) -> float:
    """Return the standard error of the best weight over the choice of photographs."""
    count = len(cell[metric][0])
    if count < 2:
        return math.nan
    left_out = [
        top(
            {
                place: statistics.fmean(values[:photo] + values[photo + 1 :])
                for place, values in zip(cell["log10_weights"], cell[metric], strict=True)
            }
        )[0]
        for photo in range(count)
    ]
    middle = statistics.fmean(left_out)
    return math.sqrt((count - 1) / count * sum((place - middle) ** 2 for place in left_out))


def curvatures(cell: dict[str, Any], level: float) -> float:
    """Return the ratio of the curvatures of features and prior along white noise of this level."""
    return at(cell["features"]["white"], level) / at(cell["own"]["white"], level)


# r is the error of reconstructions from features alone, s the local error; `balance` is the rule of `prior calibrate`.
RULES: dict[str, Callable[[dict[str, Any], float, float], float]] = {
    "balance": lambda cell, error, level: curvatures(cell, level) * (error / level) ** 2,
    "curvature s": lambda cell, error, level: curvatures(cell, level),
    "curvature r": lambda cell, error, level: curvatures(cell, error),
}


def print_table(records: Sequence[dict[str, Any]]) -> bool:
    """Print best weights in raw and calibrated units for each metric; return whether PSNR reaches the goal."""
    # Of several cells with the same name the last one counts: the name may mean another prior since.
    cells = list({(*layer_key(record), record["prior"]): record for record in records if "prior" in record}.values())
    local = {layer_key(record): record["local"] for record in records if "local" in record}
    passed = False
    for metric in METRICS:
        print(f"\nlog10 of the best weight by mean {metric}, +- its standard error over the photographs; in units of")
        print(f"{'network':15}{'layer':13}{'prior':19}{'r':>6}{'s':>7}{'gain':>8}{'raw':>8}{'+-':>6}", end="")
        print("".join(f"{rule:>12}" for rule in RULES))
        found: dict[str, list[float]] = {"raw": [], **{rule: [] for rule in RULES}}
        for cell in cells:
            points = dict(zip(cell["log10_weights"], map(statistics.fmean, cell[metric]), strict=True))
            place, value = top(points)
            error, level = cell["level"], local.get(layer_key(cell), math.nan)
            found["raw"].append(place)
            for rule, unit in RULES.items():
                found[rule].append(place - math.log10(unit(cell, error, level)))
            gain = value - statistics.fmean(cell["without"][metric])
            print(
                f"{cell['network']:15}{cell['layer']:13}{cell['prior']:19}{error:6.3f}{level:7.3f}{gain:8.3f}{place:8.2f}"
                f"{jackknife(cell, metric):6.2f}" + "".join(f"{found[rule][-1]:12.2f}" for rule in RULES)
            )
        for network in (None, *dict.fromkeys(cell["network"] for cell in cells)):
            chosen = [i for i, cell in enumerate(cells) if network in (None, cell["network"])]
            if len(chosen) < 2:
                continue
            spread = {rule: statistics.stdev([values[i] for i in chosen]) for rule, values in found.items()}
            reached = spread["balance"] <= min(GOAL_DECADES, GOAL_SHARE * spread["raw"])
            print(
                f"{network or 'all'}, {len(chosen)} cells, standard deviation in decades: "
                + ", ".join(f"{rule} {value:.2f}" for rule, value in spread.items())
                + f"; mean in units of balance {statistics.fmean(found['balance'][i] for i in chosen):.2f};"
                f" goal <= {GOAL_DECADES} and <= half of raw: {'reached' if reached else 'MISSED'}"
            )
            passed |= network is None and metric == METRICS[0] and reached
    return passed


if __name__ == "__main__":
    sys.exit(0 if print_table(read(Path(sys.argv[1]))) else 1)
