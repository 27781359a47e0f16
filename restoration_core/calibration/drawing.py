"""A picture of a calibration: spreads of the prior's values, and its curvature beside that of the features."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from restoration_core.calibration.calibration import KINDS, QUANTILES, Calibration, Spread
from restoration_core.errors import InputError

WIDTH, HEIGHT = 1260, 400
_SCALE = 2  # drawn at twice the size and shrunk, because Pillow draws lines with hard edges
_PAPER, _INK, _FAINT, _GRID = "#ffffff", "#24292f", "#6e7781", "#d8dee4"
_COLOURS = {"natural": "#1a7f37", "noisy": "#bc4c00", "noise": "#6639ba", "features": "#24292f", "prior": "#0969da"}

Box = tuple[float, float, float, float]


def draw_calibration(calibration: Calibration) -> Image.Image:
    """Return a picture of three panels: spreads of energy and of gradient norm, and the curvatures.

    A spread shows the quantiles 5 % to 95 % (line), 25 % to 75 % (box) and the median (tick). The prior's curvature is
    scaled so that it equals the features' at the calibration's noise level (dashed line). Values that are not positive
    are left out.

    Args:
        calibration: with or without energies.

    Returns:
        RGB, :data:`WIDTH` x :data:`HEIGHT` pixels.
    """
    image = Image.new("RGB", (WIDTH * _SCALE, HEIGHT * _SCALE), _PAPER)
    pen = _Pen(ImageDraw.Draw(image))
    recipe = calibration.recipe
    where = "the picture" if recipe.prior_layer is None else recipe.prior_layer
    pen.text((24, 20), f"{calibration.prior_name} on {where}", size=18)
    about = f"matched at {recipe.match_layer} (weights {recipe.weights_id}), {recipe.size} px"
    pen.text((24, 46), f"{about}, errors r = {calibration.error:.3g}, s = {calibration.level:.3g}", colour=_FAINT)
    _draw_spreads(pen, (96, 104, 388, 330), "energy", calibration.energies, "this prior has no energy")
    _draw_spreads(pen, (492, 104, 784, 330), "norm of the gradient by the picture", calibration.gradient_norms, "")
    _draw_curves(pen, (888, 104, 1226, 330), calibration)
    return image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)


@dataclass(frozen=True)
class _Pen:
    """Draws on the enlarged sheet in coordinates of the final picture."""

    draw: ImageDraw.ImageDraw

    def line(self, points: Sequence[tuple[float, float]], colour: str, width: float = 1.0) -> None:
        scaled = [(x * _SCALE, y * _SCALE) for x, y in points]
        self.draw.line(scaled, fill=colour, width=max(1, round(width * _SCALE)), joint="curve")

    def box(self, box: Box, colour: str) -> None:
        left, top, right, bottom = (value * _SCALE for value in box)
        self.draw.rectangle((left, top, max(right, left + 1), bottom), fill=colour)

    def dot(self, at: tuple[float, float], colour: str, radius: float = 2.5) -> None:
        x, y, r = at[0] * _SCALE, at[1] * _SCALE, radius * _SCALE
        self.draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)

    def text(
        self, at: tuple[float, float], text: str, *, size: int = 13, colour: str = _INK, anchor: str = "lm"
    ) -> None:
        self.draw.text((at[0] * _SCALE, at[1] * _SCALE), text, fill=colour, font=_font(size), anchor=anchor)


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size * _SCALE)  # cached, because Pillow decodes the font at each call


@dataclass(frozen=True)
class _Axis:
    """Maps values to pixels, linear or logarithmic."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool

    @classmethod
    def over(cls, values: Sequence[float], start: float, end: float, logarithmic: bool) -> _Axis:
        """Return an axis over all values with a margin at both ends."""
        turned = [math.log10(value) if logarithmic else value for value in values]
        low, high = min(turned), max(turned)
        margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
        return cls(low - margin, high + margin, start, end, logarithmic)

    def at(self, value: float) -> float:
        turned = math.log10(value) if self.logarithmic else value
        return self.start + (turned - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Return three to seven round values on the axis."""
        if self.logarithmic and self.high - self.low > 0.9:
            every = max(1, math.ceil((self.high - self.low) / 6))
            decades = range(math.ceil(self.low), math.floor(self.high) + 1, every)
            factors = (1,) if self.high - self.low > 2 else (1, 2, 5)
            places = [f * 10.0**d for d in range(math.floor(self.low), math.floor(self.high) + 1) for f in factors]
            wanted = [10.0**d for d in decades] if factors == (1,) else places
            return [value for value in wanted if self.low <= math.log10(value) <= self.high]
        low, high = (10**self.low, 10**self.high) if self.logarithmic else (self.low, self.high)
        rough = (high - low) / 6
        power = 10 ** math.floor(math.log10(rough))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
        return [step * place for place in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _number(value: float) -> str:
    return "0" if abs(value) < 1e-300 else f"{value:.4g}"


def _draw_spreads(pen: _Pen, box: Box, title: str, spreads: Mapping[str, Spread], missing: str) -> None:
    left, top, right, bottom = box
    pen.text((left, top - 20), title)
    if not spreads:
        pen.text(((left + right) / 2, (top + bottom) / 2), missing, colour=_FAINT, anchor="mm")
        return
    values = [value for spread in spreads.values() for value in spread.quantiles]
    finite = all(map(math.isfinite, values))
    if not finite:
        raise InputError(f"{title}: finite values are needed for a picture, but got {values}")
    wide = min(values) > 0 and max(values) > 20 * min(values)
    axis = _Axis.over(values, left, right, wide)
    for tick in axis.ticks():
        pen.line([(axis.at(tick), top), (axis.at(tick), bottom)], _GRID)
        pen.text((axis.at(tick), bottom + 14), _number(tick), size=11, colour=_FAINT, anchor="mm")
    lane = (bottom - top) / len(KINDS)
    for place, kind in enumerate(KINDS):
        middle = top + lane * (place + 0.5)
        pen.text((left - 12, middle), kind, colour=_COLOURS[kind], anchor="rm")
        ends = {share: axis.at(value) for share, value in zip(QUANTILES, spreads[kind].quantiles, strict=True)}
        pen.line([(ends[0.05], middle), (ends[0.95], middle)], _COLOURS[kind], 2)
        pen.box((ends[0.25], middle - 12, ends[0.75], middle + 12), _COLOURS[kind])
        pen.line([(ends[0.5], middle - 18), (ends[0.5], middle + 18)], _INK, 2)


def _draw_curves(pen: _Pen, box: Box, calibration: Calibration) -> None:
    left, top, right, bottom = box
    pen.text((left, top - 20), "curvature along noise")
    try:
        unit = calibration.features.at(calibration.level) / calibration.prior.at(calibration.level)
        label = f"prior x {unit:.3g}"
    except InputError:  # the curvature is not positive at this level; the curve is shown unscaled
        unit, label = 1.0, "prior"
    curves = {
        "features": (calibration.features, 1.0, "features"),
        "prior": (calibration.prior, unit, label),
    }
    points = {
        name: [(s, kappa * factor) for s, kappa in zip(curve.levels, curve.values, strict=True) if kappa > 0]
        for name, (curve, factor, _) in curves.items()
    }
    heights = [kappa for found in points.values() for _, kappa in found]
    if not heights:
        pen.text(((left + right) / 2, (top + bottom) / 2), "no positive curvature", colour=_FAINT, anchor="mm")
        return
    across = _Axis.over(calibration.recipe.levels, left, right, True)
    up = _Axis.over(heights, bottom, top, True)
    for tick in across.ticks():
        pen.line([(across.at(tick), top), (across.at(tick), bottom)], _GRID)
        pen.text((across.at(tick), bottom + 14), _number(tick), size=11, colour=_FAINT, anchor="mm")
    for tick in up.ticks():
        pen.line([(left, up.at(tick)), (right, up.at(tick))], _GRID)
        pen.text((left - 8, up.at(tick)), _number(tick), size=11, colour=_FAINT, anchor="rm")
    pen.text(((left + right) / 2, bottom + 34), "noise level s, RGB in [0, 1]", size=11, colour=_FAINT, anchor="mm")
    place = across.at(calibration.level)
    for start in range(int(top), int(bottom), 8):  # dashed
        pen.line([(place, start), (place, min(start + 4, bottom))], _FAINT)
    for row, (name, (_, _, text)) in enumerate(curves.items()):
        drawn = [(across.at(s), up.at(kappa)) for s, kappa in points[name]]
        if len(drawn) > 1:
            pen.line(drawn, _COLOURS[name], 2)
        for point in drawn:
            pen.dot(point, _COLOURS[name])
        legend = bottom - 34 + 18 * row
        pen.line([(left + 10, legend), (left + 30, legend)], _COLOURS[name], 2)
        pen.text((left + 36, legend), text, size=11, colour=_COLOURS[name])
