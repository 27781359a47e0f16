"""Tables: whole names and values at any width, a grid where it fits."""

from __future__ import annotations

import re
from typing import Any

import pytest

from restoration_core.commands.tables import cell, output_width, pair_lines, print_pairs, table_lines

EIGHT = [f"priors.conv{n}/relu.weight" for n in range(1, 9)]
ROWS: list[dict[str, Any]] = [
    {"trial": number, "image_mse": 0.0123 / (number + 1), "psnr": 20.5, **dict.fromkeys(EIGHT, 0.25 * number)}
    for number in range(3)
]


@pytest.mark.parametrize("width", [1, 20, 40, 80, 120, 200, None])
def test_no_width_breaks_a_name_or_a_value(width: int | None) -> None:
    words = " ".join(table_lines(ROWS, list(ROWS[0]), width, head=3)).replace(":", "").split()
    for name in EIGHT:
        assert words.count(name) == (1 if width is None else 3)
    assert {"0.0123", "0.00615", "0.25", "0.5"} <= set(words)


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_no_line_is_longer_than_the_terminal(width: int) -> None:
    assert max(map(len, table_lines(ROWS, list(ROWS[0]), width, head=3))) <= width


def test_what_fits_is_one_line_a_row_with_numbers_to_the_right() -> None:
    assert table_lines(ROWS, ["trial", "image_mse", "psnr"], 80) == [
        "trial  image_mse  psnr",
        "    0     0.0123  20.5",
        "    1    0.00615  20.5",
        "    2     0.0041  20.5",
    ]


def test_what_does_not_fit_stands_below_its_row() -> None:
    first, row, *below = table_lines(ROWS[1:2], list(ROWS[0]), 80, head=3)
    assert first == "trial  image_mse  psnr"
    assert row == "    1    0.00615  20.5"
    assert all(line.startswith("    priors.") for line in below)
    assert len(below) == 4


def test_a_long_text_in_the_last_column_goes_on_below_itself() -> None:
    lines = table_lines([{"key": "a1b2", "learned from": "eight photographs " * 6}], ["key", "learned from"], 40)
    assert max(map(len, lines)) <= 40
    assert all(line.startswith(("key ", "a1b2", "      ")) for line in lines)


def test_empty_columns_are_left_out_and_missing_cells_are_empty() -> None:
    rows = [{"a": 1, "b": None, "c": "x"}, {"a": 2}]
    assert table_lines(rows, ["a", "b", "c"], 80) == ["a  c", "1  x", "2"]


def test_wide_characters_count_as_two_columns() -> None:
    assert table_lines([{"a": "日本", "b": "x"}, {"a": "abcd", "b": "y"}], ["a", "b"], 80)[1:] == ["日本  x", "abcd  y"]


def test_pairs_share_lines_and_a_pair_too_long_for_one_stays_whole() -> None:
    assert pair_lines([("a", "1"), ("b", "2"), ("c" * 20, "3")], 12) == ["a: 1   b: 2", "c" * 20 + ":", "3"]


def test_a_cell_is_one_line_that_a_terminal_can_show() -> None:
    assert cell("a\nb") == "a b"
    assert cell("\x1b[31mred") == "\\x1b[31mred"
    assert cell("photo\udcff.jpg") == "photo\\xff.jpg"
    assert cell("café") == "café"
    assert [cell(value) for value in (None, True, 0.000123456, 12)] == ["", "yes", "0.0001235", "12"]


def test_a_pipe_has_no_width_and_columns_says_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert output_width() is None
    monkeypatch.setenv("COLUMNS", "72")
    assert output_width() == 72


def test_names_and_values_line_up_and_long_values_go_on_below(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    print_pairs({"name": "x", "metrics": "image_mse (minimize), psnr (maximize)", "empty": None}, title="Sweep x")
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["Sweep x", "name     x"]
    assert re.fullmatch(r" {9}\S.*", lines[3])
    assert max(map(len, lines)) <= 40
