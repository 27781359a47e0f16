"""Contact sheets: pictures in rows and columns with captions, on pages of a bounded size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from restoration_core.images.encode import to_uint8

MOST_PIXELS = 4096
"""Longest side of a page."""

GAP, LINE, FONT = 8, 14, 11
_SMALLEST_SIDE, _LARGEST_SIDE = 96, 192
"""Pictures are shown at a whole multiple of their side up to the first, and shrunk to the second."""


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
    """Where the cells of a page lie.

    Attributes:
        side: of a picture as it is shown, in pixels.
        lines: of the captions.
    """

    side: int
    lines: int

    @property
    def step(self) -> tuple[int, int]:
        """Distance between neighbouring cells to the right and down."""
        return self.side + GAP, self.side + self.lines * LINE + GAP

    def corner(self, row: int, column: int) -> tuple[int, int]:
        """Return left and top of a picture on its page."""
        right, down = self.step
        return GAP + column * right, GAP + 2 * LINE + row * down

    def page_size(self, rows: int, columns: int) -> tuple[int, int]:
        """Return width and height of a page of so many rows and columns."""
        return self.corner(rows, columns)

    def capacity(self) -> tuple[int, int]:
        """Return how many rows and columns a page of :data:`MOST_PIXELS` holds, at least 1 and 2."""
        left, top = self.corner(0, 0)
        right, down = self.step
        return max(1, (MOST_PIXELS - top) // down), max(2, (MOST_PIXELS - left) // right)


def sheet_layout(rows: Sequence[Sequence[Cell]]) -> Layout:
    """Return the layout of a sheet's pages: one side for all cells, that of the largest picture, within bounds."""
    cells = [cell for row in rows for cell in row]
    native = max((cell.picture.shape[-1] for cell in cells if cell.picture is not None), default=_SMALLEST_SIDE)
    side = native * max(1, -(-_SMALLEST_SIDE // native))
    return Layout(min(side, _LARGEST_SIDE), max((len(cell.caption) for cell in cells), default=0))


def contact_sheets(title: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> list[Image.Image]:
    """Return the pages of a contact sheet, each at most :data:`MOST_PIXELS` wide and high.

    What does not fit goes on to further pages, on which the first column (the originals) is repeated.

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
    high, wide = layout.capacity()
    pages = []
    for first in range(0, len(rows), high):
        for start in range(1, max(2, len(columns)), wide - 1):
            places = [0, *range(start, min(start + wide - 1, len(columns)))]
            part = [[row[place] for place in places] for row in rows[first : first + high]]
            pages.append(_page(title, [columns[place] for place in places], part, layout))
    return pages


def _page(title: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]], layout: Layout) -> Image.Image:
    page = Image.new("RGB", layout.page_size(len(rows), len(columns)), "white")
    pen = ImageDraw.Draw(page)
    _write(pen, (GAP, 3), title, page.width - 2 * GAP)
    for column, heading in enumerate(columns):
        left, top = layout.corner(0, column)
        _write(pen, (left, top - LINE - 2), heading, layout.side)
    for down, row in enumerate(rows):
        for column, cell in enumerate(row):
            left, top = layout.corner(down, column)
            if cell.picture is None:
                pen.rectangle((left, top, left + layout.side - 1, top + layout.side - 1), fill="lightgrey")
            else:
                page.paste(_shown(cell.picture, layout.side), (left, top))
            for number, line in enumerate(cell.caption):
                _write(pen, (left, top + layout.side + 1 + number * LINE), line, layout.side + GAP - 2)
    return page


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
