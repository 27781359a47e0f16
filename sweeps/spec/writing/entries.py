"""Every key of a spec with what is valid, its default and its meaning: read from the models and the parameters."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import AfterValidator, BaseModel
from pydantic.fields import FieldInfo

from sweeps.spec.known import Known
from sweeps.spec.models import (
    BaselineSpec,
    BudgetSpec,
    MatchSpec,
    MethodSpec,
    MetricSpec,
    NetworkSpec,
    OneOf,
    ResourcesSpec,
    SaveSpec,
    SweepSpec,
)
from sweeps.spec.parameter import Parameter
from sweeps.spec.parameter_names import OF_HAND_CRAFTED, OF_TRAINED, OPTIMISER

_REQUIRED = "must be given"


@dataclass(frozen=True)
class Entry:
    """One key: its name, what is valid, what holds without it, and what it does. Code stands in backquotes."""

    name: str
    valid: str
    default: str
    meaning: str

    @property
    def otherwise(self) -> str:
        """What holds without the key, in words; empty where nothing does."""
        return self.default if self.default in {"", _REQUIRED} else f"default: {self.default}"


@dataclass(frozen=True)
class Section:
    """Some keys under a title, after a sentence or two."""

    title: str
    text: str
    entries: tuple[Entry, ...]


_MODELS: Mapping[str, type[BaseModel]] = {
    "network": NetworkSpec,
    "match": MatchSpec,
    "metric": MetricSpec,
    "method": MethodSpec,
    "budget": BudgetSpec,
    "save": SaveSpec,
    "baselines": BaselineSpec,
    "resources": ResourcesSpec,
}
_WORDS: Mapping[Any, str] = {int: "whole number", float: "number", str: "text", bool: "true or false"}
_MANY: Mapping[Any, str] = {int: "whole numbers", float: "numbers", str: "texts"}
_TRAINED_TEXT = (
    "`priors.image` is a trained prior on the picture, `priors.<layer>` one on a layer's feature map; `@label` behind "
    "it makes a second one there. `optional: true` in a group searches whether the prior takes part."
)


def sections() -> list[Section]:
    """Return all keys in the order of a spec, then the parameters and the metrics."""
    found = [Section("Keys", "A spec is a mapping with these keys.", tuple(_of_model(SweepSpec)))]
    for key, model in _MODELS.items():
        found.append(Section(f"`{key}`", _first_line(model), tuple(_of_model(model, f"{key}."))))
    how = _first_line(Parameter)
    found.append(Section("How a parameter is written", how, tuple(_of_model(Parameter))))
    text = "Given directly below `parameters`: `learning_rate: 0.1`."
    found.append(Section("Parameters of the optimiser", text, _of_known(OPTIMISER)))
    for group, known in OF_HAND_CRAFTED.items():
        text = f"Given as `{group}.weight: 0.1`, or as a group."
        found.append(Section(f"The prior `{group}`", text, _of_known(known, f"{group}.")))
    found.append(Section("Trained priors", _TRAINED_TEXT, _of_known(OF_TRAINED, "priors.image.")))
    found.append(Section("Metrics", "Names that `metric` and `save.metrics` take.", tuple(_metrics())))
    return found


def _of_known(known: Mapping[str, Known], prefix: str = "") -> tuple[Entry, ...]:
    return tuple(Entry(f"{prefix}{name}", _values(item), _holding(item), item.meaning) for name, item in known.items())


def _values(known: Known) -> str:
    if known.choices:
        return ", ".join(f"`{choice}`" for choice in known.choices)
    if known.kind is list:
        return "list of pairs, `[[0, 4], [50, 1]]`"
    if known.kind in {bool, str}:
        return _WORDS[known.kind]
    low = f"above {_number(known.low)}" if known.above else _number(known.low)
    return f"{_WORDS[known.kind]}, {low} to {_number(known.high)}"


def _number(value: float) -> str:
    return f"{value:g}".replace("e+0", "e").replace("e+", "e")


def _holding(known: Known) -> str:
    return known.otherwise if known.default is None else f"`{known.default}`"


def _of_model(model: type[BaseModel], prefix: str = "") -> Iterator[Entry]:
    for name, field in model.model_fields.items():
        if not field.exclude:
            meaning = field.description
            assert meaning, f"{model.__name__}.{name} has no description"
            yield Entry(f"{prefix}{name}", _valid(field), _default(field), meaning)


def _valid(field: FieldInfo) -> str:
    return _words(field.annotation, field.metadata)


def _words(annotation: Any, metadata: list[Any]) -> str:
    """Return what a type allows, in words."""
    metadata = [part for item in metadata for part in (item.metadata if isinstance(item, FieldInfo) else [item])]
    chosen = next((item.func for item in metadata if isinstance(item, AfterValidator)), None)
    if isinstance(chosen, OneOf):
        return ", ".join(f"`{name}`" for name in chosen.valid)
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _words(inside[0], [*metadata, *inside[1:]])
    if origin is Literal:
        return " or ".join(f"`{item}`" for item in inside)
    if origin in (Union, types.UnionType):
        texts = dict.fromkeys(_words(item, metadata) for item in inside if item is not type(None))
        if {"true or false", "text"} <= set(texts):
            return "a value"
        return "number" if set(texts) == {"whole number", "number"} else " or ".join(texts)
    if origin is list:
        return f"list of {_MANY.get(inside[0], 'values')}" if inside[0] in _MANY else "list"
    if annotation is None or annotation is type(None):
        return "nothing"
    return _WORDS.get(annotation, "mapping") + _bounds(metadata) if annotation in _WORDS else "mapping"


def _bounds(metadata: list[Any]) -> str:
    low = next((f"{item.ge}" for item in metadata if isinstance(item, annotated_types.Ge)), None)
    above = next((f"{item.gt}" for item in metadata if isinstance(item, annotated_types.Gt)), None)
    high = next((f"{item.le}" for item in metadata if isinstance(item, annotated_types.Le)), None)
    below = next((item.lt for item in metadata if isinstance(item, annotated_types.Lt)), None)
    start = low if low is not None else above and f"above {above}"
    end = high if high is not None else f"2^{below.bit_length() - 1} - 1" if isinstance(below, int) else None
    if start is None:
        return ""
    return f", {start} to {end}" if end else f", {start}" if above else f", {start} or more"


def _default(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "otherwise" in extra:
        return str(extra["otherwise"])
    if field.is_required():
        return _REQUIRED
    value = field.get_default(call_default_factory=True)
    if value == []:
        return "none"
    if value is None or isinstance(value, BaseModel):
        return ""
    return f"`{value}`"


def _first_line(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().split("\n")[0].replace("``", "`")


def _metrics() -> Iterator[Entry]:
    from restoration_core.metrics import METRICS  # torch, which reading the models can spare

    for name, metric in METRICS.items():
        of_features = " (of features)" if metric.needs == "features" else ""
        yield Entry(name, metric.goal, "", f"{metric.description}{of_features}")
