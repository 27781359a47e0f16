"""Reading a sweep's spec from YAML: every fault at once, each with its line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from restoration_core.errors import InputError, InputErrors, brief, unknown
from sweeps.spec import rules as spec_rules
from sweeps.spec.flatten_groups import Fault, flatten
from sweeps.spec.models import (
    BaselineSpec,
    BudgetSpec,
    MethodSpec,
    MetricSpec,
    NetworkSpec,
    ResourcesSpec,
    SaveSpec,
    SweepSpec,
    valid_name,
)
from sweeps.spec.parameter import Parameter
from sweeps.spec.yaml_loader import Document, YamlPath, load_yaml, parse_yaml

_INTERNAL = {"yaml_text"}
_MODELS: Mapping[str, type[BaseModel]] = {
    "network": NetworkSpec,
    "metric": MetricSpec,
    "method": MethodSpec,
    "budget": BudgetSpec,
    "save": SaveSpec,
    "baselines": BaselineSpec,
    "parameters": Parameter,
    "resources": ResourcesSpec,
}


def load_spec(path: str | Path, check: bool = True) -> SweepSpec:
    """Read and check a sweep's YAML file; opens no weights and starts nothing.

    Args:
        path: of the file. Pictures in it are relative to the current directory.
        check: also check what the spec names: pictures, layers of the network, metrics. Only then are globs expanded
            and goals filled in.

    Raises:
        InputErrors: every fault of the file, one line each, ``file:line: what; valid: ...``.
        InputError: the file cannot be read as YAML at all.
    """
    return _read(load_yaml(path), Path(path).stem, check)


def check_name(name: str) -> None:
    """Check the name of a sweep.

    Raises:
        InputError: it is empty, too long, or has characters that would need quoting.
    """
    try:
        valid_name(name)
    except ValueError as error:
        raise InputError(str(error)) from error


def parse_spec(text: str, source: str = "<text>", check: bool = True) -> SweepSpec:
    """Read and check a spec given as YAML text; see :func:`load_spec`."""
    return _read(parse_yaml(text, source), Path(source).stem.strip("<>"), check)


def _read(document: Document, default_name: str, check: bool) -> SweepSpec:
    data = document.data
    if not isinstance(data, dict):
        what = f"a spec is a mapping with the keys {', '.join(_keys())}"
        raise InputError(f"{document.source}:1: {what}; `restoration sweep init` writes one")
    faults: list[Fault] = []
    sections = _sections({"name": default_name, **data}, faults)
    origin: dict[str, YamlPath] = {
        str(path[1]): path for path in document.lines if len(path) == 2 and path[0] == "parameters"
    }
    if "parameters" in sections:
        sections["parameters"], places = _parameters(sections["parameters"], faults)
        origin |= {name: ("parameters", *path) for name, path in places.items()}
    given = frozenset(origin)
    for path, message in spec_rules.rules(sections, given):
        faults.append((_written_at(path, origin), message))
    if check:
        from sweeps.spec.resolve import resolve  # imports torch, which checking the text alone does not need

        sections, found = resolve(sections)
        faults.extend((_written_at(path, origin), message) for path, message in found)
    lines = [*document.faults, *(f"{document.where(path)}: {message}" for path, message in faults)]
    if lines:
        raise InputErrors(sorted(dict.fromkeys(lines), key=lambda line: _line_number(line, document.source)))
    dumped = {key: _plain(value) for key, value in sections.items()}
    return SweepSpec.model_validate({**dumped, "yaml_text": document.text})


def _keys() -> list[str]:
    return [name for name in SweepSpec.model_fields if name not in _INTERNAL]


def _sections(data: Mapping[str, Any], faults: list[Fault]) -> dict[str, Any]:
    """Validate each section alone, so that a fault in one does not hide those of another."""
    sections: dict[str, Any] = {}
    for key in data:
        if key not in _keys():
            faults.append(((key,), unknown("key", key, _keys())))
    for key in _keys():
        field = SweepSpec.model_fields[key]
        if key not in data:
            if field.is_required():
                faults.append(((), f"missing key {key!r}"))
            else:
                sections[key] = field.get_default(call_default_factory=True)
            continue
        if key == "parameters":
            if isinstance(data[key], dict) and data[key]:
                sections[key] = data[key]
            else:
                faults.append(((key,), "parameters must be a mapping of at least one parameter"))
            continue
        annotation: Any = Annotated[field.annotation, key, *field.metadata]
        try:
            sections[key] = TypeAdapter(annotation).validate_python(data[key], strict=True)
        except ValidationError as error:
            faults.extend(_faults(error, data[key], (key,)))
    return sections


def _parameters(
    raw: Mapping[str, Any], faults: list[Fault]
) -> tuple[dict[str, Parameter], dict[str, tuple[str | int, ...]]]:
    flat, origin, flattening = flatten(raw)
    faults.extend((("parameters", *path), message) for path, message in flattening)
    parameters: dict[str, Parameter] = {}
    for name, value in flat.items():
        try:
            parameters[name] = Parameter.model_validate(value)
        except ValidationError as error:
            found = _faults(error, value, ("parameters", *origin[name]))
            faults.extend((path, message if name in message else f"{name}: {message}") for path, message in found)
    return parameters, origin


def _faults(error: ValidationError, data: Any, prefix: YamlPath) -> list[Fault]:
    """Turn pydantic's errors into one message per place; alternatives of one value make one message."""
    faults: list[Fault] = []
    rules: dict[tuple[YamlPath, str], list[str]] = {}
    for item in error.errors(include_url=False):
        path, extra = _place(item["loc"], data)
        where = (*prefix, *path)
        if item["type"] == "extra_forbidden":
            model = _MODELS.get(str(prefix[0]))
            valid = list(model.model_fields) if model else ["layer", "layers"]
            message = unknown("key", where[-1], valid)
        elif item["type"] == "missing":
            message = f"missing key {extra!r}"
        elif item["type"] == "value_error":
            message = str(item["ctx"]["error"])
        else:
            rule = item["msg"].replace("Input should", "must", 1)
            rules.setdefault((where, brief(item["input"])), []).append(rule[0].lower() + rule[1:])
            continue
        faults.append((where, message))
    for (where, value), texts in rules.items():
        dotted = ".".join(str(part) for part in where if part != "parameters")
        first, *others = dict.fromkeys(texts)
        rule = " or ".join([first, *(text.removeprefix("must be ") for text in others)])
        faults.append((where, f"{dotted} {rule}, but got {value}"))
    return faults


def _place(location: tuple[str | int, ...], data: Any) -> tuple[YamlPath, str]:
    """Return the part of pydantic's location that is in the file, and the last part that is not."""
    path: list[str | int] = []
    absent = ""
    for part in location:
        inside = isinstance(data, dict) and part in data
        inside = inside or (isinstance(data, list) and isinstance(part, int) and part < len(data))
        if inside:
            path.append(part)
            data = data[part]
        else:
            absent = str(part)
    return tuple(path), absent


def _written_at(path: YamlPath, origin: Mapping[str, YamlPath]) -> YamlPath:
    if len(path) >= 2 and path[0] == "parameters" and str(path[1]) in origin:
        return (*origin[str(path[1])], *path[2:])
    return path


def _line_number(line: str, source: str) -> int:
    head = line.removeprefix(f"{source}:").split(":", 1)[0]
    return int(head) if head.isdigit() else 0


def _plain(value: Any) -> Any:
    """Return a section as plain data: mappings, lists, texts and numbers."""
    if isinstance(value, BaseModel):
        return value.model_dump()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
