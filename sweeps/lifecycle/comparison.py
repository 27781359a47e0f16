"""The winner of a sweep against a baseline: the numbers, and what they say in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restoration_core.metrics import parse_metric
from restoration_core.seeds import derive_seed
from sweeps.lifecycle.bootstrap_interval import bootstrap_interval

ENOUGH_PICTURES = 10

Scores = Mapping[str, NDArray[np.float64]]
"""Of one configuration: metric -> ``(pictures, seeds)``."""


def compare(winner: Scores, rival: Scores, pictures: Sequence[str], seed: int) -> dict[str, Any]:
    """Return per metric what the winner is ahead by; a metric that is not finite everywhere is left out."""
    found = {}
    for name in winner:
        ours, theirs = winner[name].mean(axis=1), rival[name].mean(axis=1)
        if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
            continue
        differences = ours - theirs
        low, high = bootstrap_interval(differences, derive_seed(seed, "bootstrap", name))
        found[name] = {
            "winner": float(ours.mean()),
            "baseline": float(theirs.mean()),
            "difference": float(differences.mean()),
            "interval": [low, high],
            "better_on": int((_sign(name) * differences > 0).sum()),
            "pictures": len(pictures),
            "by_picture": {
                picture: {"winner": float(a), "baseline": float(b)}
                for picture, a, b in zip(pictures, ours, theirs, strict=True)
            },
        }
    return found


def in_words(baseline: str, found: Mapping[str, Mapping[str, Any]], metrics: Sequence[str] = ("psnr",)) -> str:
    """Return the winner's comparison with a baseline as sentences, one for each of the sweep's metrics."""
    return joined([_sentence(baseline, name, found, place == 0) for place, name in enumerate(metrics)])


def _sentence(baseline: str, metric: str, found: Mapping[str, Mapping[str, Any]], first: bool) -> str:
    if metric not in found:
        where = "" if metric == "psnr" else f" in {metric}"
        return f"the winner and {baseline} cannot be compared{where}: a reconstruction was not finite"
    one, sign = found[metric], _sign(metric)
    lead = sign * one["difference"]
    # In the direction of the metric, so that more is better.
    low, high = sorted(sign * end for end in one["interval"])
    count, better = one["pictures"], one["better_on"]
    verb = "beats" if lead > 0 else "loses to" if lead < 0 else "equals"
    sentence = f"the winner {verb} {baseline} by {_amount(abs(lead), metric, sign=False)}"
    if first and metric != "psnr" and "psnr" in found:
        sentence += f" ({_amount(found['psnr']['difference'], 'psnr')})"
    if count == 1:
        return f"{sentence} (one picture, so no interval: only a hint)"
    ends = " to ".join(_number(end, metric) for end in (low, high)) + (" dB" if metric == "psnr" else "")
    sentence += f", is better on {better} of {count} pictures (95 % interval of its lead {ends}"
    if count < ENOUGH_PICTURES:
        return f"{sentence}; with so few pictures only a hint)"
    return f"{sentence}; {'which leaves out 0' if low > 0 or high < 0 else 'which holds 0: no clear difference'})"


def _sign(metric: str) -> float:
    """Return 1 where more is better, else -1."""
    return 1.0 if parse_metric(metric)[0].goal == "maximize" else -1.0


def _amount(value: float, metric: str, sign: bool = True) -> str:
    number = _number(value, metric) if sign else _number(value, metric).lstrip("+")
    return f"{number} dB" if metric == "psnr" else f"{number} in {metric}"


def _number(value: float, metric: str) -> str:
    return f"{value:+.2f}" if metric == "psnr" else f"{value:+.3g}"


def joined(sentences: Sequence[str]) -> str:
    """Return sentences as one text, between semicolons."""
    return "; ".join(sentences)
