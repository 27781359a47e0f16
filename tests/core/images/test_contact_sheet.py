"""Contact sheets: every cell where it belongs, pages within bounds."""

from __future__ import annotations

import numpy as np
import pytest

from restoration_core.images import Cell, contact_sheets, to_uint8
from restoration_core.images.contact_sheet import GAP, HIGHEST, LINE, WIDEST, sheet_layout


def cells(rows: int, columns: int, side: int = 32) -> list[list[Cell]]:
    values = np.random.default_rng(0).random((rows, columns, 3, side, side)).astype(np.float32)
    return [[Cell(picture, ("name", "23.4 dB")) for picture in row] for row in values]


def headings(columns: int) -> list[str]:
    return ["original", *(f"conv{number}/relu" for number in range(1, columns))]


def test_each_picture_lies_in_its_row_and_column_enlarged_pixel_by_pixel() -> None:
    rows = cells(2, 4)
    (page,) = contact_sheets("title", headings(4), rows)
    pixels, layout = np.asarray(page), sheet_layout(rows)
    assert layout.side == 96  # three pixels for one
    for row, line in enumerate(rows):
        for column, cell in enumerate(line):
            left, top = layout.corner(row, column)
            found = pixels[LINE + GAP + top :, left:][:96, :96]
            assert cell.picture is not None
            assert (found == to_uint8(cell.picture).repeat(3, axis=0).repeat(3, axis=1)).all()


def test_wide_rows_are_wrapped_into_bands_that_begin_with_the_original() -> None:
    rows = cells(2, 31)
    (page,) = contact_sheets("title", headings(31), rows)
    assert page.width <= WIDEST
    pixels, layout = np.asarray(page), sheet_layout(rows)
    height = layout.corner(2, 0)[1]
    for band in range(3):  # 30 columns in bands of 10, fourteen being the most
        for row, line in enumerate(rows):
            for place, column in enumerate([0, *range(1 + 10 * band, 11 + 10 * band)]):
                left, top = layout.corner(row, place)
                found = pixels[LINE + GAP + band * height + top :, left:][:96:3, :96:3]
                assert (found == to_uint8(line[column].picture)).all()


@pytest.mark.parametrize(
    ("rows", "columns", "side"), [(1, 1, 11), (1, 2, 500), (40, 2, 32), (2, 120, 32), (30, 20, 12)]
)
def test_pages_stay_within_bounds_and_lose_no_cell(rows: int, columns: int, side: int) -> None:
    def coloured(number: int) -> Cell:
        code = np.array([number >> 8, number & 255, 7], dtype=np.float32)
        return Cell(np.broadcast_to((code / 255)[:, None, None], (3, side, side)))

    table = [[coloured(row * columns + column) for column in range(columns)] for row in range(rows)]
    pages = contact_sheets("a title longer than the page " * 9, [""] * columns, table)
    assert all(page.width <= WIDEST and page.height <= HIGHEST for page in pages)
    shown: set[int] = set()
    for page in pages:
        red, green, blue = np.asarray(page, dtype=np.int64).transpose(2, 0, 1)
        shown |= set(np.unique((red << 8 | green)[blue == 7]).tolist())
    assert shown >= set(range(rows * columns))


def test_captions_are_written_under_their_picture_and_never_over_the_next() -> None:
    blank = np.ones((3, 96, 96), np.float32)
    rows = [[Cell(blank), Cell(blank, ("W" * 60, "second")), Cell(blank)]]
    (page,) = contact_sheets("", ["", "", ""], rows)
    layout = sheet_layout(rows)
    ink = np.asarray(page).min(axis=2) < 128
    left, top = layout.corner(0, 1)
    below = LINE + GAP + top + layout.side
    assert ink[below : below + 2 * LINE, left : left + layout.side].any()
    columns = np.flatnonzero(ink.any(axis=0))
    assert left <= columns.min()
    assert columns.max() < layout.corner(0, 2)[0]


def test_a_cell_without_a_picture_is_grey_and_ragged_rows_are_refused() -> None:
    (page,) = contact_sheets("", [""], [[Cell(None)]])
    assert (np.asarray(page) == 211).all(axis=2).sum() == 96**2
    with pytest.raises(ValueError, match=r"rows must have 2 cells, one a column, but got \[1\]"):
        contact_sheets("", ["original", "conv1"], [[Cell(None)]])
