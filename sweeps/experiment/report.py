"""The report of an experiment: what it cost, the verdict, every arm at every depth, and the photographs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sweeps.experiment.analysis import (
    SAME_BASIN,
    CellResult,
    at_depth,
    chosen,
    compare,
    judge_depth,
    load_results,
    map_differences,
)
from sweeps.experiment.cells import Cell, cells
from sweeps.experiment.figures import Point, contact_sheet, intervals, scatter
from sweeps.experiment.folder import MEAN, TRUTH, Folder
from sweeps.experiment.models import WITH_MAPS, ExperimentSpec
from sweeps.experiment.photographs import SEARCH, TEST, TRAIN, overlap
from sweeps.experiment.plan import counts, in_words
from sweeps.experiment.report_blocks import Block, Figure, Heading, Items, Table, Text, write
from sweeps.experiment.sentences import depth_sentences, goal_sentences, map_sentence, signed

_COLUMNS = (
    "arm", "search", "PSNR", "SSIM", "feature error", "SSIM against best hand-crafted", "PSNR against it",
    "PSNR, truth", "SSIM, truth", "PSNR, mean", "SSIM, mean", "gap", f"gap <= {SAME_BASIN}",
)  # fmt: skip
_LEGEND = (
    "search: the metric of the winning trial, on the photographs searched on. All else is on the test photographs: "
    "PSNR (dB), SSIM and squared normalised feature error of single random starts, means over photographs; differences "
    "to the hand-crafted arm chosen by its search are paired by photograph, with 95 % bootstrap intervals over them; "
    "truth: the run started at the photograph; mean: the mean picture of the random starts; gap: median over "
    "photographs of the objective from a random start over that from the truth, and the share of runs below the bound. "
    "A denoiser has no energy, so it is not part of its arm's objective and gap."
)


def report(folder: Folder) -> tuple[Path, Path, list[str]]:
    """Write ``report.md`` and ``report.html`` about what is done so far.

    Returns:
        The two files, and the verdict's sentences.

    Raises:
        InputError: no experiment in the folder.
    """
    spec = folder.spec()
    results = load_results(spec, folder)
    verdict = goal_sentences(spec, [judge_depth(spec, results, depth) for depth in spec.depths])
    blocks: list[Block] = [
        Heading(f"Experiment {spec.name}", 1),
        *_cost(spec, folder, results),
        Heading("Verdict"),
        Items(verdict),
    ]
    for depth in spec.depths:
        blocks += _depth(spec, folder, results, depth)
    blocks += _maps(spec, results)
    blocks += _settings(spec, results)
    blocks += _photographs(folder)
    text, whole = write(blocks, folder.root, f"Experiment {spec.name}")
    return text, whole, verdict


def _cost(spec: ExperimentSpec, folder: Folder, results: Mapping[Cell, CellResult]) -> list[Block]:
    plan: dict[str, Any] = folder.plan() or counts(spec)
    spent = sum(result.winner.compute_s + result.compute_s for result in results.values()) / 3600
    done = f"{len(results)} of {len(cells(spec))} cells are done; their processes worked {spent:.2f} hours on them."
    equal = sorted({result.winner.trials for result in results.values()})
    trials = f"Completed trials of a cell: {', '.join(map(str, equal)) or 'none'} of {spec.trials} each."
    finite = min((result.finite for result in results.values()), default=1.0)
    return [
        Heading("What was computed"),
        Items([*in_words(spec, plan), done, trials, f"Finite runs: at least {finite:.1%}."]),
    ]


def _depth(spec: ExperimentSpec, folder: Folder, results: Mapping[Cell, CellResult], depth: str) -> list[Block]:
    here = at_depth(results, depth)
    blocks: list[Block] = [Heading(f"{depth.capitalize()}: {spec.depths[depth]}")]
    blocks.append(Items(depth_sentences(spec, results, depth)))
    if not here:
        return blocks
    crafted = chosen(spec, here, learned=False)
    blocks += [Table(_COLUMNS, [_row(spec, result, crafted) for result in here]), Text(_LEGEND)]
    if crafted is not None:
        for score in ("ssim", "psnr"):
            apart = {r.cell.arm: compare(spec, r, crafted, score) for r in here if r is not crafted}
            title = f"{score.upper()} minus that of {crafted.cell.arm}, 95 % intervals"
            drawn = intervals(apart, title)
            blocks.append(Figure(f"{depth}-{score}-differences.svg", drawn, f"{title}, {depth}."))
    for score in ("psnr", "ssim"):
        points = [
            Point(
                result.cell.arm,
                float(result.photographs("feature_error").mean()),
                float(result.photographs(score).mean()),
                result.cell.arm.endswith(WITH_MAPS),
                list(spec.arms).index(result.cell.arm.removesuffix(WITH_MAPS)),
            )
            for result in here
        ]
        caption = f"{score.upper()} against feature error at {spec.depths[depth]}; hollow: with feature-map priors."
        drawn = scatter(points, "squared normalised feature error", score.upper())
        blocks.append(Figure(f"{depth}-{score}-feature-error.svg", drawn, caption))
    if spec.shown:
        blocks.append(_pictures(spec, folder, here, depth))
    return blocks


def _row(spec: ExperimentSpec, result: CellResult, crafted: CellResult | None) -> list[str]:
    def mean(score: str, start: str = "") -> float:
        return float(result.photographs(score, start).mean())

    apart = ["", ""]
    if crafted is not None and result is not crafted:
        apart = [signed(compare(spec, result, crafted, score), score) for score in ("ssim", "psnr")]
    gaps = result.gaps
    return [
        result.cell.arm,
        f"{result.winner.value:.4f}",
        f"{mean('psnr'):.2f}",
        f"{mean('ssim'):.4f}",
        f"{mean('feature_error'):.2e}",
        *apart,
        f"{mean('psnr', TRUTH):.2f}",
        f"{mean('ssim', TRUTH):.4f}",
        f"{mean('psnr', MEAN):.2f}",
        f"{mean('ssim', MEAN):.4f}",
        f"{np.median(gaps.mean(axis=1)):.2f}",
        f"{np.mean(gaps <= SAME_BASIN):.0%}",
    ]


def _pictures(spec: ExperimentSpec, folder: Folder, here: list[CellResult], depth: str) -> Figure:
    shown = range(min(spec.shown, len(spec.test_images)))
    rows = {"original": [folder.original(index) for index in shown]}
    rows |= {result.cell.arm: [folder.picture(result.cell, index, "0") for index in shown] for result in here}
    return Figure(f"{depth}-pictures.png", contact_sheet(rows), f"Single random starts at {spec.depths[depth]}.")


def _maps(spec: ExperimentSpec, results: Mapping[Cell, CellResult]) -> list[Block]:
    if not spec.feature_maps:
        return []
    by_score = {score: map_differences(spec, results, score) for score in ("ssim", "psnr")}
    sentences = []
    for depth in spec.depths:
        for score, found in by_score.items():
            apart = {cell.arm: item for cell, item in found.items() if cell.depth == depth}
            if apart:
                sentences.append(map_sentence(apart, depth, score))
    rows = [
        [f"{cell.depth} {cell.arm}", signed(item, "ssim"), signed(by_score["psnr"][cell], "psnr")]
        for cell, item in by_score["ssim"].items()
    ]
    head = "Each arm with the feature-map priors minus the same arm without, both searched with as many trials."
    return [
        Heading("What feature-map priors add"),
        Text(head),
        Items(sentences),
        Table(("arm", "SSIM", "PSNR"), rows),
    ]


def _settings(spec: ExperimentSpec, results: Mapping[Cell, CellResult]) -> list[Block]:
    rows = [
        [f"{cell.depth} {cell.arm}", str(result.winner.number), _in_short(result.winner.parameters)]
        for cell, result in results.items()
    ]
    head = f"The winning trial of each cell, of {spec.trials}; trial 0 is the middle of every range."
    return [Heading("Settings that won"), Text(head), Table(("cell", "trial", "parameters"), rows)]


def _in_short(parameters: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}" for name, value in parameters.items()
    )


def _photographs(folder: Folder) -> list[Block]:
    photographs = folder.photographs()
    number = {role: sum(item.role == role for item in photographs) for role in (SEARCH, TEST, TRAIN)}
    head = (
        f"{number[SEARCH]} photographs were searched on and {number[TEST]} tested on; by the SHA-256 of their pixels "
        f"{overlap(photographs, SEARCH, TEST)} are in both."
    )
    if number[TRAIN]:
        head += (
            f" Priors were trained on {number[TRAIN]}, of which {overlap(photographs, TRAIN, TEST)} are tested on and "
            f"{overlap(photographs, TRAIN, SEARCH)} searched on."
        )
    rows = [[item.short_name, item.role, item.sha256[:16]] for item in photographs if item.role != TRAIN]
    return [Heading("Photographs"), Text(head), Table(("photograph", "for", "SHA-256 of the pixels"), rows)]
