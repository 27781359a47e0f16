"""The spec of a sweep as typed data, JSON round-trippable."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from restoration_core.errors import brief, unknown
from sweeps.spec.old_names import with_current_names
from sweeps.spec.parameter import Parameter, Scalar

SAMPLERS = ("tpe", "random", "grid", "nsga2")
GOALS = ("minimize", "maximize")
PRESET_BASELINES = ("best", "mv2015", "mv2016", "mv2016-adam", "thesis-fig9", "thesis-fig10")
BASELINES = ("none", *PRESET_BASELINES)
SAVE_IMAGES = ("best", "all", "none")
CALIBRATED = "calibrated"
WEIGHT_UNITS = ("raw", CALIBRATED)
BUNDLED_NETWORK = "cifar_alexnet"

MAX_TRIALS = 1_000_000
MAX_SIDE = 2048

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")


def _one_of(kind: str, valid: tuple[str, ...]) -> AfterValidator:
    def check(name: str) -> str:
        if name not in valid:
            raise ValueError(unknown(kind, name, valid))
        return name

    return AfterValidator(check)


def valid_name(name: str) -> str:
    """Return the name of a sweep; ValueError with the rule when it is not valid."""
    if not _NAME.match(name):
        raise ValueError(f"name must be 1 to 100 letters, digits, '.', '_' or '-', but got {brief(name)}")
    return name


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _renamed(parameters: Any) -> Any:
    return with_current_names(parameters) if isinstance(parameters, dict) else parameters


def _own_module(network: dict[str, Any]) -> dict[str, Any]:
    if "module" not in network:
        return network
    module = network["module"]
    if "name" in network:
        raise ValueError("network takes either `name` or `module`, not both")
    if not isinstance(module, str) or ":" not in module:
        raise ValueError(f"network.module must be package.module:factory, but got {brief(module)}")
    return {**{key: value for key, value in network.items() if key != "module"}, "name": module}


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class NetworkSpec(_Section):
    """The classifier: ``name``, ``weights`` (``bundled``, ``imagenet``, ``random``, path), ``seed`` of random ones.

    One's own is ``{module: package.module:factory}``, which becomes the name, with ``layers`` (name -> module path, or
    a list of paths), ``mean``, ``std`` and ``size`` where they differ from the defaults.
    """

    name: str = BUNDLED_NETWORK
    weights: str = ""
    seed: int = 0
    layers: dict[str, str] | None = None
    mean: list[float] | None = None
    std: list[float] | None = None
    size: int | None = None

    @model_validator(mode="before")
    @classmethod
    def _default_weights(cls, data: Any) -> Any:
        data = _named(data)
        if not isinstance(data, dict):
            return data
        data = _own_module(data)
        if isinstance(data.get("layers"), list):
            data = {**data, "layers": {path: path for path in data["layers"]}}
        if "weights" not in data:
            name = str(data.get("name", BUNDLED_NETWORK))
            default = "bundled" if name == BUNDLED_NETWORK else "factory" if ":" in name else "imagenet"
            return {**data, "weights": default}
        return data

    @model_validator(mode="after")
    def _options_of_ones_own(self) -> NetworkSpec:
        if not self.is_own_module and self.options:
            given = ", ".join(self.options)
            raise ValueError(f"{given}: for a network of one's own only; valid: network: {{module: ..., {given}: ...}}")
        return self

    @property
    def is_own_module(self) -> bool:
        """Whether the name is a ``package.module:factory``."""
        return ":" in self.name

    @property
    def options(self) -> dict[str, Any]:
        """What is given of ``layers``, ``mean``, ``std`` and ``size``, as ``open_network`` takes it."""
        options = {"layers": self.layers, "mean": self.mean, "std": self.std, "size": self.size}
        return {key: value for key, value in options.items() if value is not None}


class MatchSpec(_Section):
    """The matched layers with the factor of each one's normalised loss; ``{layer: x}`` is ``{layers: {x: 1}}``."""

    layers: dict[str, float] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _one_layer(cls, data: Any) -> Any:
        if isinstance(data, str):
            return {"layers": {data: 1.0}}
        if isinstance(data, dict) and "layer" in data:
            if set(data) != {"layer"}:
                raise ValueError("match takes either `layer` or `layers`, nothing else")
            if not isinstance(data["layer"], str):
                raise ValueError(f"match.layer must be the name of a layer, but got {brief(data['layer'])}")
            return {"layers": {data["layer"]: 1.0}}
        return data

    @field_validator("layers")
    @classmethod
    def _positive(cls, layers: dict[str, float]) -> dict[str, float]:
        for layer, weight in layers.items():
            if not 0 < weight < float("inf"):
                raise ValueError(f"the weight of layer {layer!r} must be > 0 and finite, but got {weight:g}")
        return layers


class MetricSpec(_Section):
    """A metric and its goal; without a goal, the direction that the metric has by nature."""

    name: str
    goal: Annotated[str, _one_of("goal", GOALS)] | None = None


class MethodSpec(_Section):
    """How to search. ``pruner`` is there for a later version and must be absent or none."""

    sampler: Annotated[str, _one_of("sampler", SAMPLERS)] = "tpe"
    trials: int = Field(default=50, ge=1, le=MAX_TRIALS)
    seed: int = Field(default=0, ge=0, lt=2**63)
    pruner: None = None

    @field_validator("pruner", mode="before")
    @classmethod
    def _no_pruner_yet(cls, pruner: Any) -> None:
        if pruner not in (None, "none", {"name": "none"}):
            raise ValueError("pruners come with a later version (successive halving); valid: none, or leave it out")


class BudgetSpec(_Section):
    """``iterations`` of each reconstruction; ``hours`` after which no new trial starts (None: no limit)."""

    iterations: int = Field(default=300, ge=1, le=1_000_000)
    hours: float | None = Field(default=None, gt=0, allow_inf_nan=False)


class SaveSpec(_Section):
    """What is kept: pictures after ``steps``, final ``images`` (best, all, none), losses every n iterations.

    ``metrics`` are recorded beside those that are searched and those that always are.
    """

    steps: list[int] = Field(default_factory=list)
    images: Annotated[str, _one_of("choice of images to save", SAVE_IMAGES)] = "best"
    curves_every: int = Field(default=10, ge=1)
    metrics: list[str] = Field(default_factory=list)


class BaselineSpec(_Section):
    """A trial enqueued first: ``none``, a preset, or a name of one's own with its flat ``parameters``."""

    name: str
    parameters: Annotated[dict[str, Scalar | list[list[int | float]]] | None, BeforeValidator(_renamed)] = None


class ResourcesSpec(_Section):
    """Rows of a batch (``pack``), processes, threads and GPUs of each (a fraction shares one)."""

    pack: Literal["auto"] | Annotated[int, Field(ge=1, le=4096)] = "auto"
    actors: Literal["auto"] | Annotated[int, Field(ge=1, le=10_000)] = "auto"
    threads: int = Field(default=1, ge=1, le=1024)
    gpus_per_actor: float = Field(default=0.0, ge=0, allow_inf_nan=False)


class SweepSpec(_Section):
    """A sweep as the service takes it. ``model_dump()`` is JSON and :meth:`model_validate` takes it back.

    Attributes:
        images: pictures searched on; from `load_spec`, globs are expanded and every name is one picture.
        image_size: side of the square pictures in pixels.
        validate_on: pictures that the winner is judged on, never searched on.
        metric: one to three, the first being *the* objective where only one can be shown.
        parameters: by flat name; children of a group whose ``<group>.enabled`` is False do not exist in that trial.
        yaml_text: the file as its author wrote it; not part of the dump.
    """

    name: Annotated[str, AfterValidator(valid_name)]
    network: NetworkSpec = Field(default_factory=NetworkSpec, validate_default=True)
    images: Annotated[list[str], BeforeValidator(_listed)] = Field(min_length=1)
    image_size: int = Field(default=64, ge=16, le=MAX_SIDE)
    validate_on: Annotated[list[str], BeforeValidator(_listed)] = Field(default_factory=list)
    match: MatchSpec
    metric: Annotated[list[Annotated[MetricSpec, BeforeValidator(_named)]], BeforeValidator(_listed)] = Field(
        default_factory=lambda: [MetricSpec(name="image_mse", goal="minimize")], min_length=1, max_length=3
    )
    method: MethodSpec = Field(default_factory=MethodSpec)
    budget: BudgetSpec = Field(default_factory=BudgetSpec)
    save: SaveSpec = Field(default_factory=SaveSpec)
    units: Annotated[str, _one_of("units", WEIGHT_UNITS)] = "raw"
    baselines: list[Annotated[BaselineSpec, BeforeValidator(_named)]] = Field(default_factory=list)
    parameters: Annotated[dict[str, Parameter], BeforeValidator(_renamed)]
    resources: ResourcesSpec = Field(default_factory=ResourcesSpec)
    yaml_text: str = Field(default="", exclude=True, repr=False)

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the matched layers."""
        return tuple(self.match.layers)

    @property
    def metric_names(self) -> list[str]:
        return [metric.name for metric in self.metric]

    @property
    def metric_goals(self) -> list[str]:
        from restoration_core.metrics import parse_metric  # imports torch; goals are given in any checked spec

        return [metric.goal or parse_metric(metric.name)[0].goal for metric in self.metric]
