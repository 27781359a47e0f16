"""Figures of an experiment: scores against feature error, differences with intervals, reconstructions side by side."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from sweeps.experiment.analysis import Difference

_COLOURS = ("#24292f", "#0969da", "#bc4c00", "#1a7f37", "#6639ba", "#cf222e", "#9a6700", "#1b7c83")
_GRID, _FAINT = "#d8dee4", "#6e7781"
_WIDTH, _HEIGHT = 760, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 190, 16, 46
_ZOOM = 3


@dataclass(frozen=True)
class Point:
    """An arm in a scatter: its name, where it is, whether it is drawn hollow (with feature-map priors)."""

    name: str
    x: float
    y: float
    hollow: bool
    colour: int


def scatter(points: Sequence[Point], x_title: str, y_title: str) -> bytes:
    """Return arms over a logarithmic x axis as SVG; points that are not finite are left out."""
    kept = [point for point in points if point.x > 0 and math.isfinite(point.x) and math.isfinite(point.y)]
    if not kept:
        return _svg([], _HEIGHT)
    low_x, high_x = _widened([math.log10(point.x) for point in kept])
    low_y, high_y = _widened([point.y for point in kept])

    def place(x: float, y: float) -> tuple[float, float]:
        across = (math.log10(x) - low_x) / (high_x - low_x)
        return _LEFT + across * (_WIDTH - _LEFT - _RIGHT), _HEIGHT - _BOTTOM - (y - low_y) / (high_y - low_y) * (
            _HEIGHT - _TOP - _BOTTOM
        )

    parts = []
    for tick in _ticks(low_y, high_y):
        _, y = place(10**low_x, tick)
        parts.append(f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}" stroke="{_GRID}"/>')
        parts.append(_text(_LEFT - 6, y + 4, f"{tick:.4g}", "end"))
    for tick in _ticks(low_x, high_x):
        x, _ = place(10**tick, low_y)
        parts.append(f'<line x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{_HEIGHT - _BOTTOM}" stroke="{_GRID}"/>')
        parts.append(_text(x, _HEIGHT - _BOTTOM + 16, f"{10**tick:.2g}", "middle"))
    for number, point in enumerate(kept):
        colour = _COLOURS[point.colour % len(_COLOURS)]
        fill = "#ffffff" if point.hollow else colour
        x, y = place(point.x, point.y)
        title = f"<title>{escape(point.name)}: {point.x:.4g}, {point.y:.4g}</title>"
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{fill}" stroke="{colour}">{title}</circle>')
        legend = _TOP + 12 + 18 * number
        parts.append(f'<circle cx="{_WIDTH - _RIGHT + 18}" cy="{legend - 4}" r="4" fill="{fill}" stroke="{colour}"/>')
        parts.append(_text(_WIDTH - _RIGHT + 28, legend, point.name))
    parts.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 10, x_title, "middle"))
    parts.append(_text(_LEFT, _TOP - 4, y_title))
    return _svg(parts, max(_HEIGHT, _TOP + 18 * len(kept) + 20))


def intervals(differences: Mapping[str, Difference], title: str) -> bytes:
    """Return differences with their 95 % intervals as SVG, one line each, around 0."""
    finite = {name: item for name, item in differences.items() if math.isfinite(item.low) and math.isfinite(item.high)}
    if not finite:
        return _svg([], 60)
    low, high = _widened([0.0, *(item.low for item in finite.values()), *(item.high for item in finite.values())])
    height, left = 60 + 22 * len(finite), 190

    def across(value: float) -> float:
        return left + (value - low) / (high - low) * (_WIDTH - left - 20)

    parts = [_text(left, 14, title)]
    for tick in _ticks(low, high):
        x, colour = across(tick), _FAINT if tick == 0 else _GRID
        parts.append(f'<line x1="{x:.1f}" y1="22" x2="{x:.1f}" y2="{height - 26}" stroke="{colour}"/>')
        parts.append(_text(x, height - 10, f"{tick:+.3g}" if tick else "0", "middle"))
    for number, (name, item) in enumerate(finite.items()):
        y = 36 + 22 * number
        colour = _COLOURS[3] if item.low > 0 else _COLOURS[5] if item.high < 0 else _FAINT
        parts.append(_text(left - 8, y + 4, name, "end"))
        parts.append(
            f'<line x1="{across(item.low):.1f}" y1="{y}" x2="{across(item.high):.1f}" y2="{y}" '
            f'stroke="{colour}" stroke-width="3"/>'
        )
        parts.append(f'<circle cx="{across(item.value):.1f}" cy="{y}" r="4" fill="{colour}"/>')
    return _svg(parts, height)


def contact_sheet(rows: Mapping[str, Sequence[Path]]) -> bytes:
    """Return pictures as a PNG, a row for each name; files that are not there stay white."""
    pictures = {name: [Image.open(path) if path.is_file() else None for path in paths] for name, paths in rows.items()}
    size = max((item.width for found in pictures.values() for item in found if item is not None), default=1) * _ZOOM
    columns = max((len(found) for found in pictures.values()), default=0)
    left, gap = 150, 6
    sheet = Image.new("RGB", (left + columns * (size + gap), max(1, len(pictures)) * (size + gap)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=13)
    for row, (name, found) in enumerate(pictures.items()):
        top = row * (size + gap)
        pen.text((6, top + size // 2 - 8), name, fill=_COLOURS[0], font=font)
        for column, item in enumerate(found):
            if item is not None:
                enlarged = item.convert("RGB").resize((size, size), Image.Resampling.NEAREST)
                sheet.paste(enlarged, (left + column * (size + gap), top))
    content = io.BytesIO()
    sheet.save(content, "PNG", optimize=True)
    return content.getvalue()


def _widened(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = 0.06 * (high - low) or max(abs(low) * 0.05, 0.05)
    return low - margin, high + margin


def _ticks(low: float, high: float) -> list[float]:
    rough = (high - low) / 5
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first = math.ceil(low / step)
    return [number * step for number in range(first, math.floor(high / step) + 1)]


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(parts: Sequence[str], height: int) -> bytes:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'font-family="system-ui, sans-serif" font-size="12" fill="{_COLOURS[0]}">'
    )
    return "".join([head, '<rect width="100%" height="100%" fill="#ffffff"/>', *parts, "</svg>"]).encode()
