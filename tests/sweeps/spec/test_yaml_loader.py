"""YAML from outside gives plain data, and nothing else that YAML can do."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from restoration_core.errors import InputError, InputErrors
from sweeps.spec.yaml_loader import MAX_BYTES, load_yaml, parse_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E5", 1e5),
        ("-.5", -0.5),
        ("12", 12),
        ("0x10", 16),
        ("true", True),
        ("null", None),
        ("~", None),
        ("none", "none"),
        ("no", "no"),
        ("on", "on"),
        ("'1'", "1"),
        ("2026-01-01", "2026-01-01"),
        ("1:30", "1:30"),
        ("conv3/relu", "conv3/relu"),
        ("!!str 12", "12"),
        (".inf", math.inf),
    ],
)
def test_scalars_follow_the_core_schema(text: str, value: object) -> None:
    found = parse_yaml(f"key: {text}").data["key"]
    assert found == value
    assert type(found) is type(value)


def test_a_yaml_1_1_directive_changes_no_value() -> None:
    assert parse_yaml("%YAML 1.1\n---\na: 1e-3\nb: yes\n").data == {"a": 0.001, "b": "yes"}


def test_nested_data_comes_back_whole_with_the_line_of_each_part() -> None:
    document = parse_yaml("a: {b: [1,\n  2]}\nc:\n  - d: x\n", "spec.yaml")
    assert document.data == {"a": {"b": [1, 2]}, "c": [{"d": "x"}]}
    assert document.where(("a", "b", 1)) == "spec.yaml:2"
    assert document.where(("c", 0, "d")) == "spec.yaml:4"
    assert document.where(("c", "not there")) == "spec.yaml:3"
    assert document.where(()) == "spec.yaml:1"


def test_duplicate_keys_are_faults_at_every_depth_and_the_first_value_stays() -> None:
    document = parse_yaml("a: 1\nb: {c: 2, c: 3}\na: {x: 4}\n", "s.yaml")
    assert document.data == {"a": 1, "b": {"c": 2}}
    assert document.faults == (
        "s.yaml:2: duplicate key 'c', first given on line 2",
        "s.yaml:3: duplicate key 'a', first given on line 1",
    )


def test_alias_bomb_is_refused_before_it_can_grow() -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))
    with pytest.raises(InputErrors, match=r"<text>:2: alias \*a0; valid: write the value out"):
        parse_yaml(bomb)


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system [ls]", "!foo 1", "!!binary aGk=", "!!set {a}"])
def test_tags_are_refused(tag: str) -> None:
    with pytest.raises(InputErrors, match=r"<text>:1: tag .*valid: plain values"):
        parse_yaml(f"a: {tag}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "<text>:1: not YAML"),
        ("a: 1\n b: 2", "<text>:2: not YAML"),
        ("a:\n\t- b", "<text>:2: not YAML"),
        ("a: \0", "not YAML"),
        ("a: 1\n---\nb: 2", "<text>:3: a second document"),
        ("a: " + "[" * 5000, "nested deeper than"),
        ("? [1]\n: 2", "a key that is not text"),
        ("a: " + "9" * 500, "a number of 500 digits"),
        ("a: " + "9" * 5000, "a text of 5000 characters; valid: at most 1000"),
        ("a" * 1001 + ": 1", "a text of 1001 characters; valid: at most 1000"),
        ('a: "\\uD800.jpg"', "<text>:1: half a character"),
        ('"\\uDCE9": 1', "<text>:1: half a character"),
        ("? " * 5000, "nested deeper than"),
        ("- " * 5000, "nested deeper than"),
        ("a: " + "{a: " * 5000, "nested deeper than"),
    ],
)
def test_what_is_not_a_plain_document_is_one_line(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse_yaml(text)
    assert "\n" not in str(caught.value)


def test_all_refused_places_are_told_at_once() -> None:
    with pytest.raises(InputErrors) as caught:
        parse_yaml("a: &x 1\nb: *x\nc: !foo 2\na: 3\n")
    assert [line.split(":")[1] for line in caught.value.lines] == ["2", "3", "4"]


def test_files_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*missing.yaml: No such file"):
        load_yaml(tmp_path / "missing.yaml")
    with pytest.raises(InputError, match=r"cannot read .*directory"):
        load_yaml(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9\n")
    with pytest.raises(InputError, match="byte 3 is not UTF-8"):
        load_yaml(tmp_path / "latin.yaml")
    (tmp_path / "large.yaml").write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(InputError, match="more than 256 KiB"):
        load_yaml(tmp_path / "large.yaml")


def test_what_is_no_file_is_refused_without_being_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    os.symlink("circle.yaml", tmp_path / "circle.yaml")
    for path, message in {
        tmp_path / "pipe.yaml": r"pipe\.yaml: is a named pipe, not a YAML file",
        tmp_path / "circle.yaml": r"cannot read .*circle\.yaml: Too many levels of symbolic links",
        Path("/dev/zero"): "/dev/zero: is a device, not a YAML file",
        tmp_path / ("n" * 10_000): r"cannot read .*n\.\.\.n+: File name too long",
        tmp_path / "caf\udce9\n.yaml": r"cannot read .*caf\\xe9\\x0a\.yaml: No such file",
    }.items():
        with pytest.raises(InputError, match=message) as caught:
            load_yaml(path)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 300


def test_a_file_of_a_gigabyte_is_refused_by_its_beginning(tmp_path: Path) -> None:
    with open(tmp_path / "large.yaml", "wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(InputError, match="more than 256 KiB"):
        load_yaml(tmp_path / "large.yaml")


def test_other_encodings_are_named(tmp_path: Path) -> None:
    (tmp_path / "wide.yaml").write_text("name: x\n", encoding="utf-16")
    with pytest.raises(InputError, match=r"wide\.yaml: is UTF-16; valid: a YAML file in UTF-8"):
        load_yaml(tmp_path / "wide.yaml")
    (tmp_path / "noise.yaml").write_bytes(bytes(range(256)) * 40)
    with pytest.raises(InputError, match=r"is not UTF-8|not YAML"):
        load_yaml(tmp_path / "noise.yaml")


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    (tmp_path / "bom.yaml").write_bytes(b"\xef\xbb\xbfname: x\n")
    assert load_yaml(tmp_path / "bom.yaml").data == {"name": "x"}
