"""Contact sheets: pictures in rows and columns with captions, on pages of a bounded size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from restoration_core.images.encode import to_uint8

WIDEST, HIGHEST = 1600, 4096
"""Bounds of a page in pixels: what is wider is wrapped, what is higher goes on to another page."""

GAP, LINE, FONT = 8, 14, 11
_SMALLEST_SIDE, _LARGEST_SIDE = 96, 192
"""Pictures are shown at a whole multiple of their side, at least the first, and shrunk to the second."""


@dataclass(frozen=True)
class Cell:
    """One place of a sheet.

    Attributes:
        picture: ``(3, H, H)``, RGB in [0, 1]; None for a grey place.
        caption: lines below it.
    """

    picture: NDArray[np.floating[Any]] | None
    caption: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    """How large the cells of a sheet are.

    Attributes:
        side: of a picture as it is shown, in pixels.
        lines: of the captions.
    """

    side: int
    lines: int

    def corner(self, row: int, column: int) -> tuple[int, int]:
        """Return left and top of a picture within its band; a line of headings stands above the first row."""
        return GAP + column * (self.side + GAP), LINE + 4 + row * (self.side + self.lines * LINE + GAP)

    @property
    def most_rows(self) -> int:
        """Rows of a band that a page has room for, at least 1."""
        return max(1, (HIGHEST - _TITLE - self.corner(0, 0)[1]) // (self.corner(1, 0)[1] - self.corner(0, 0)[1]))

    @property
    def most_columns(self) -> int:
        """Columns that a page has room for, at least 2."""
        return max(2, (WIDEST - GAP) // (self.side + GAP))


@dataclass(frozen=True)
class _Band:
    """Some rows and columns of a sheet with their headings."""

    headings: list[str]
    rows: list[list[Cell]]


_TITLE = LINE + GAP


def sheet_layout(rows: Sequence[Sequence[Cell]]) -> Layout:
    """Return the layout of a sheet: one side for all cells, that of the largest picture, within bounds."""
    cells = [cell for row in rows for cell in row]
    native = max((cell.picture.shape[-1] for cell in cells if cell.picture is not None), default=_SMALLEST_SIDE)
    side = native * max(1, -(-_SMALLEST_SIDE // native))
    return Layout(min(side, _LARGEST_SIDE), max((len(cell.caption) for cell in cells), default=0))


def contact_sheets(title: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> list[Image.Image]:
    """Return the pages of a contact sheet, each at most :data:`WIDEST` wide and :data:`HIGHEST` high.

    Columns that do not fit side by side are wrapped into bands below each other, each of which begins with the first
    column (the originals).

    Args:
        title: in the first line of every page.
        columns: a heading for each column.
        rows: one cell a column in each row.

    Raises:
        ValueError: no row, or a row of another length than ``columns``.
    """
    if not rows or any(len(row) != len(columns) for row in rows):
        raise ValueError(f"rows must have {len(columns)} cells, one a column, but got {[len(row) for row in rows]}")
    layout = sheet_layout(rows)
    pages: list[list[_Band]] = []
    left = 0
    for band in _bands(columns, rows, layout):
        height = layout.corner(len(band.rows), 0)[1]
        if not pages or left < height:
            pages.append([])
            left = HIGHEST - _TITLE
        pages[-1].append(band)
        left -= height
    return [_page(title, bands, layout) for bands in pages]


def _bands(columns: Sequence[str], rows: Sequence[Sequence[Cell]], layout: Layout) -> Iterator[_Band]:
    behind = max(1, len(columns) - 1)
    wrapped = -(-behind // (layout.most_columns - 1))
    together = -(-behind // wrapped)  # bands of equal length rather than a short last one
    for first in range(0, len(rows), layout.most_rows):
        for start in range(1, behind + 1, together):
            places = [0, *range(start, min(start + together, len(columns)))]
            part = [[row[place] for place in places] for row in rows[first : first + layout.most_rows]]
            yield _Band([columns[place] for place in places], part)


def _page(title: str, bands: Sequence[_Band], layout: Layout) -> Image.Image:
    width = layout.corner(0, max(len(band.headings) for band in bands))[0]
    height = _TITLE + sum(layout.corner(len(band.rows), 0)[1] for band in bands)
    page = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(page)
    _write(pen, (GAP, 4), title, width - 2 * GAP)
    above = _TITLE
    for band in bands:
        for column, heading in enumerate(band.headings):
            _write(pen, (layout.corner(0, column)[0], above), heading, layout.side)
        for row, cells in enumerate(band.rows):
            for column, cell in enumerate(cells):
                left, top = layout.corner(row, column)
                _draw(page, pen, (left, above + top), cell, layout.side)
        above += layout.corner(len(band.rows), 0)[1]
    return page


def _draw(page: Image.Image, pen: ImageDraw.ImageDraw, corner: tuple[int, int], cell: Cell, side: int) -> None:
    left, top = corner
    if cell.picture is None:
        pen.rectangle((left, top, left + side - 1, top + side - 1), fill="lightgrey")
    else:
        page.paste(_shown(cell.picture, side), corner)
    for number, line in enumerate(cell.caption):
        _write(pen, (left, top + side + 1 + number * LINE), line, side + GAP - 2)


def _shown(picture: NDArray[np.floating[Any]], side: int) -> Image.Image:
    image = Image.fromarray(to_uint8(picture))
    if image.size == (side, side):
        return image
    whole = side % image.width == 0 and side % image.height == 0
    return image.resize((side, side), Image.Resampling.NEAREST if whole else Image.Resampling.LANCZOS)


def _write(pen: ImageDraw.ImageDraw, place: tuple[int, int], text: str, width: int) -> None:
    """Write a line, shortened to ``width`` pixels."""
    font = ImageFont.load_default(FONT)
    shown = text
    while shown and pen.textlength(shown, font=font) > width:
        text = text[:-1]
        shown = text + "..." if text else ""
    pen.text(place, shown, fill="black", font=font)
