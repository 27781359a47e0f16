"""YAML from outside: plain data with line numbers, and nothing else that YAML can do.

Read from the parser's events, so that no constructor, tag or merge key can act. Values follow the YAML 1.2 core
schema (``1e-3`` is a number, ``no`` is text), whatever ``%YAML`` directive the file carries.
"""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, Event, MappingStartEvent, NodeEvent, ScalarEvent, SequenceStartEvent

from restoration_core.errors import InputError, InputErrors
from restoration_core.paths import check_file, shown

MAX_BYTES = 256 * 1024
MAX_DEPTH = 16
MAX_TEXT = 1000

YamlPath = tuple[str | int, ...]

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]+\Z")
_BASED = re.compile(r"0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)\Z|\.(nan|NaN|NAN)\Z")
_STRING_TAG = "tag:yaml.org,2002:str"


@dataclass(frozen=True)
class Document:
    """A YAML file that was read.

    Attributes:
        data: dictionaries with text keys, lists, str, int, float, bool, None.
        text: the file's text as it was read.
        source: what to call the file in messages.
        lines: line (from 1) of each key or item, by its path from the root.
        faults: duplicate keys, one message each; the first value of each was kept.
    """

    data: Any
    text: str
    source: str
    lines: dict[YamlPath, int] = field(repr=False)
    faults: tuple[str, ...] = ()

    def where(self, path: YamlPath) -> str:
        """Return ``file:line`` of ``path``, or of its nearest parent that the file has."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                return f"{self.source}:{self.lines[path[:length]]}"
        return f"{self.source}:1"


def load_yaml(path: str | Path) -> Document:
    """Read a YAML file as plain data.

    Args:
        path: of a UTF-8 file of at most ``MAX_BYTES`` bytes.

    Raises:
        InputError: the file cannot be read, is too large, or is not YAML.
        InputErrors: it uses aliases or tags, or its keys are not text (all places at once).
    """
    source = shown(path)
    if os.path.exists(path) and not os.path.isdir(path):
        check_file(Path(path), "YAML file", "the path of a YAML file")  # opening a named pipe would wait for ever
    try:
        with open(path, "rb") as file:
            head = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"cannot read {source}: {error.strerror or error}; valid: the path of a YAML file") from error
    if len(head) > MAX_BYTES:
        raise InputError(f"{source}: more than {MAX_BYTES // 1024} KiB; valid: a smaller YAML file")
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        utf16 = head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        what = "is UTF-16" if utf16 else f"byte {error.start} is not UTF-8"
        raise InputError(f"{source}: {what}; valid: a YAML file in UTF-8") from error
    return parse_yaml(text, source)


def parse_yaml(text: str, source: str = "<text>") -> Document:
    """Parse YAML text; see :func:`load_yaml`."""
    reader = _Reader(source)
    try:
        data = reader.document(YAML(typ="safe", pure=True).parse(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        problem = " ".join(str(error.problem or error.context or "syntax error").split())
        raise InputError(f"{source}:{line}: not YAML: {problem}") from error
    except YAMLError as error:
        raise InputError(f"{source}:1: not YAML: {' '.join(str(error).split())[:200]}") from error
    if reader.refused:
        raise InputErrors(reader.refused + reader.duplicates)
    return Document(data, text, source, reader.lines, tuple(reader.duplicates))


class _Reader:
    """Builds data from events, keeping lines and faults."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.lines: dict[YamlPath, int] = {}
        self.refused: list[str] = []
        self.duplicates: list[str] = []

    def document(self, events: Iterator[Event]) -> Any:
        nodes = (event for event in events if isinstance(event, NodeEvent) or type(event).__name__.endswith("EndEvent"))
        data: Any = None
        documents = 0
        for event in nodes:
            if not isinstance(event, NodeEvent):
                continue
            documents += 1
            if documents > 1:
                raise InputError(f"{self._at(event)}: a second document; valid: one document in a file")
            data = self._node(event, nodes, ())
        return data

    def _node(self, event: NodeEvent, events: Iterator[Event], path: YamlPath) -> Any:
        if len(path) > MAX_DEPTH:
            raise InputError(f"{self._at(event)}: nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, AliasEvent):
            self.refused.append(f"{self._at(event)}: alias *{event.anchor}; valid: write the value out")
            return None
        tag = str(getattr(event, "tag", None) or "")
        if tag and tag not in {"!", _STRING_TAG}:
            self.refused.append(f"{self._at(event)}: tag {tag[:80]!r}; valid: plain values without tags")
        if isinstance(event, ScalarEvent):
            self._check_text(event)
            plain = event.style is None or event.style == ""
            return self._scalar(event) if plain and not tag else event.value
        if isinstance(event, SequenceStartEvent):
            return self._sequence(events, path)
        assert isinstance(event, MappingStartEvent)
        return self._mapping(events, path)

    def _sequence(self, events: Iterator[Event], path: YamlPath) -> list[Any]:
        items: list[Any] = []
        for event in events:
            if not isinstance(event, NodeEvent):
                break
            here = (*path, len(items))
            self.lines[here] = event.start_mark.line + 1
            items.append(self._node(event, events, here))
        return items

    def _mapping(self, events: Iterator[Event], path: YamlPath) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for event in events:
            if not isinstance(event, NodeEvent):
                break
            if isinstance(event, ScalarEvent):
                self._check_text(event)
                key = str(event.value)
            else:
                self.refused.append(f"{self._at(event)}: a key that is not text; valid: text keys")
                self._node(event, events, (*path, "?"))
                key = "?"
            here = (*path, key)
            first = self.lines.get(here)
            value_event = next(events)
            assert isinstance(value_event, NodeEvent)
            if key in mapping:
                self.duplicates.append(f"{self._at(event)}: duplicate key {key!r}, first given on line {first}")
                self._node(value_event, events, (*path, f"{key} (again)"))
                continue
            self.lines[here] = event.start_mark.line + 1
            mapping[key] = self._node(value_event, events, here)
        return mapping

    def _scalar(self, event: ScalarEvent) -> str | int | float | bool | None:
        text: str = event.value
        if text in _NULL:
            return None
        if text in _BOOLEAN:
            return _BOOLEAN[text]
        if _INTEGER.match(text) or _BASED.match(text):
            if 30 < len(text) <= MAX_TEXT:
                self.refused.append(f"{self._at(event)}: a number of {len(text)} digits; valid: at most 30")
            if len(text) > 30:
                return None
            return int(text, 0) if _BASED.match(text) else int(text)
        if _FLOAT.match(text):
            return float(text)
        if _SPECIAL.match(text):
            return float(text.replace(".", "", 1))
        return text

    def _check_text(self, event: ScalarEvent) -> None:
        text: str = event.value
        if len(text) > MAX_TEXT:
            self.refused.append(f"{self._at(event)}: a text of {len(text)} characters; valid: at most {MAX_TEXT}")
        elif any("\ud800" <= character <= "\udfff" for character in text):
            self.refused.append(f"{self._at(event)}: half a character (\\uD800 to \\uDFFF); valid: whole characters")

    def _at(self, event: Event) -> str:
        return f"{self.source}:{event.start_mark.line + 1}"
