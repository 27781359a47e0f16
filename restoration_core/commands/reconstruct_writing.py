"""Files of reconstructions: pictures, difference views, the spread, animations, contact sheets, and their record."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restoration_core.commands.reconstruct_records import LONGEST_LAYER, Record, picture_hash
from restoration_core.commands.reconstruct_request import Plan
from restoration_core.commands.reconstruct_solving import Outcome
from restoration_core.images import (
    SCALE,
    SPREAD_SCALE,
    Cell,
    absolute_difference,
    animate,
    contact_sheets,
    decode_png,
    distinct_parts,
    encode_png,
    signed_difference,
    spread_view,
)
from restoration_core.paths import as_text
from restoration_core.reconstruction import Result, Status, Term

SHEET = "contact_sheet"
_SHEET_PAGE = re.compile(rf"{SHEET}(-\d+)?\.png")
FEATURE_ERROR = "feature error: ||phi - phi0||^2 / ||phi0||^2 (the papers report its root)"


def record_outcome(outcome: Outcome, plan: Plan, out: Path) -> Record:
    """Write the files of one outcome and return its record.

    Args:
        outcome: solved, or failed: then only the original is written, and the record has no metrics.
        plan: that it belongs to.
        out: folder, made when missing.
    """
    job, preset = outcome.job, outcome.job.layer.preset
    out.mkdir(parents=True, exist_ok=True)
    best = outcome.best
    row: Record = {
        "image": job.reference,
        "name": job.name,
        "layer": job.layer.layer,
        "picture": picture_hash(job.original),
        "preset": preset.name,
        "size": plan.size,
        "seed": plan.request.seed,
        "status": outcome.status,
        "iterations": max((run.iterations for run in outcome.results), default=0) if best is None else best.iterations,
        "compute_s": round(sum(run.compute_s for run in outcome.results), 3),
        "metrics": {},
        "losses": {},
        "terms": [_term(term, job.layer.calibrated) for term in preset.terms],
        "scales": {"difference": SCALE, "spread": SPREAD_SCALE},
        "settings": job.settings,
    }
    views = {"original": encode_png(job.original.numpy())}
    if best is not None:
        assert outcome.restarts is not None
        row["metrics"] = outcome.best_metrics
        row["losses"] = dict(best.losses)
        views |= _views(outcome, best, plan)
        if outcome.mean_metrics is not None:
            row["restarts"] = _runs(outcome)
            row["mean"] = {"metrics": outcome.mean_metrics, "losses": dict(outcome.restarts.mean_losses)}
            row["spread"] = math.sqrt(float(outcome.restarts.spread.square().mean()))
        if outcome.gap is not None:
            row["gap"] = {
                "ratio": _finite(outcome.gap.ratios[outcome.restarts.best]),
                "ratios": [_finite(ratio) for ratio in outcome.gap.ratios],
                "truth": {"metrics": outcome.truth_metrics, "losses": dict(outcome.gap.truth.losses)},
                **_gap_note(preset.terms),
            }
        if plan.request.animate:
            row["animation_steps"] = sorted(best.snapshots)
    row["files"] = {}
    # Layers and views have no dash of their own, so that no two pictures, layers and views share a file.
    layers = distinct_parts(plan.classifier.layers, LONGEST_LAYER)
    for view, content in views.items():
        ending = plan.request.animate if view == "animation" else "png"
        where = "" if view == "original" else f"-{layers[job.layer.layer]}"
        path = out / f"{job.name}{where}-{view}.{ending}"
        path.write_bytes(content)
        row["files"][view] = as_text(path)
    return row


def _views(outcome: Outcome, best: Result, plan: Plan) -> dict[str, bytes]:
    assert outcome.restarts is not None
    original, shown = outcome.job.original.numpy(), best.image.float().numpy()
    views = {
        "reconstruction": encode_png(shown),
        "signed_difference": encode_png(signed_difference(original, shown)),
        "absolute_difference": encode_png(absolute_difference(original, shown)),
    }
    if outcome.mean_metrics is not None:
        views["mean"] = encode_png(outcome.restarts.mean.float().numpy())
        views["spread"] = encode_png(spread_view(outcome.restarts.spread.float().numpy()))
    if plan.request.animate:
        steps = sorted(best.snapshots)
        frames = [best.snapshots[step].float().numpy() for step in steps]
        total = outcome.job.layer.preset.iterations
        views["animation"] = animate(frames, [f"step {step} of {total}" for step in steps], plan.request.animate)
    return views


def _runs(outcome: Outcome) -> list[dict[str, Any]]:
    assert outcome.restarts is not None
    metrics = iter(outcome.metrics)
    return [
        {
            "seed": seed,
            "status": run.status.value,
            "iterations": run.iterations,
            "losses": {name: _finite(value) for name, value in run.losses.items()},
            "metrics": {} if run.status is Status.NON_FINITE else next(metrics),
            "best": place == outcome.restarts.best,
        }
        for place, (seed, run) in enumerate(zip(outcome.restarts.seeds, outcome.results, strict=True))
    ]


def _term(term: Term, calibrated: Mapping[str, float]) -> dict[str, Any]:
    row = {"name": term.name, "layer": term.layer, "weight": term.weight}
    return row | ({"calibrated_weight": calibrated[term.name]} if term.name in calibrated else {})


def _gap_note(terms: Sequence[Term]) -> dict[str, str]:
    """Return what must be known beside a gap: which terms no objective counts."""
    omitted = [term.name for term in terms if term.weight > 0 and not term.prior.has_energy]
    if not omitted:
        return {}
    return {"note": f"both objectives leave out {', '.join(omitted)}: a denoiser steers the runs but has no energy"}


def _finite(value: float) -> float | None:
    """JSON has no infinity."""
    return value if math.isfinite(value) else None


def write_sheets(rows: Sequence[Record], plan: Plan, out: Path) -> list[Path]:
    """Write the contact sheet over layers from the pictures' files, and return its pages.

    A row for each picture: the original, then its reconstructions from the first layer to the deepest, with PSNR, SSIM
    and the squared normalised feature error below.

    Args:
        rows: records of this command, done now or before.
        plan: whose layers are the columns.
        out: folder.
    """
    layers = [layer.layer for layer in plan.layers]
    by_place = {(row["name"], row["layer"]): row for row in rows}
    table = []
    for name in dict.fromkeys(row["name"] for row in rows):
        known = [by_place[name, layer] for layer in layers if (name, layer) in by_place]
        original = _picture(known[0], "original", out)
        cells = [Cell(original, (name,))]
        for layer in layers:
            cells.append(_cell(by_place.get((name, layer)), out))
        table.append(cells)
    title = (
        f"{plan.classifier.name}, {plan.size} px, preset {plan.request.preset}; below each: PSNR / SSIM, feature error "
        "||phi - phi0||^2 / ||phi0||^2"
    )
    pages = contact_sheets(title, ["original", *layers], table)
    for old in out.iterdir():
        if _SHEET_PAGE.fullmatch(old.name):
            old.unlink()
    paths = []
    for number, page in enumerate(pages, 1):
        buffer = io.BytesIO()
        page.save(buffer, format="PNG", optimize=True)
        paths.append(out / (f"{SHEET}.png" if number == 1 else f"{SHEET}-{number}.png"))
        paths[-1].write_bytes(buffer.getvalue())
    return paths


def _picture(row: Record, view: str, out: Path) -> NDArray[np.float32]:
    return decode_png((out / Path(row["files"][view]).name).read_bytes())


def _cell(row: Record | None, out: Path) -> Cell:
    if row is None or not row["metrics"]:
        return Cell(None, ("failed", ""))
    metrics = row["metrics"]
    picture = _picture(row, "reconstruction", out)
    ssim = f"{metrics['ssim']:.3f}".replace("0.", ".", 1)
    return Cell(picture, (f"{metrics['psnr']:.1f} dB / {ssim}", f"error {metrics['feature_error']:.2g}"))
