"""Names of files from any text: bounded, one component, different where it matters."""

from __future__ import annotations

import os
from pathlib import Path

from restoration_core.images import distinct_parts, file_part, free_part, longest_name, same_file


def test_a_short_plain_name_stays_as_it_is() -> None:
    assert file_part("photo 1 (copy)", 140) == "photo 1 (copy)"
    assert file_part("conv1/relu", 80) == "conv1_relu"


def test_a_long_name_is_cut_between_characters_and_two_with_the_same_start_differ() -> None:
    first, second = file_part("北" * 78 + "a", 140), file_part("北" * 78 + "b", 140)
    assert first != second
    assert first.startswith("北" * 40)
    assert max(len(first.encode()), len(second.encode())) <= 140


def test_names_that_one_file_system_takes_for_the_same_are_numbered() -> None:
    taken: set[str] = set()
    found = []
    for text in ("Photo", "photo", "e\u0301", "\u00e9", "x" * 300, "x" * 300, "x" * 300):
        found.append(free_part(text, 60, taken))
        taken.add(same_file(found[-1]))
    assert found[:4] == ["Photo", "photo-2", "e\u0301", "\u00e9-2"]
    assert len({same_file(name) for name in found}) == len(found)
    assert max(len(name.encode()) for name in found) <= 60


def test_layers_that_would_share_a_part_get_a_hash() -> None:
    parts = distinct_parts(["conv1/relu", "a/b", "a_b", "a-b", "layer." * 60 + "0", "layer." * 60 + "1"], 80)
    assert parts["conv1/relu"] == "conv1_relu"
    assert len(set(parts.values())) == 6
    assert not any("-" in part for part in parts.values())
    assert max(len(part.encode()) for part in parts.values()) <= 80


def test_the_longest_name_is_that_of_the_nearest_folder_there_is(tmp_path: Path) -> None:
    assert longest_name(tmp_path / "not" / "made" / "yet") == os.pathconf(tmp_path, "PC_NAME_MAX")
