"""The spec of a sweep as typed data, JSON round-trippable."""

from __future__ import annotations

import re
from dataclasses import dataclass
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

MAX_TRIALS, MAX_SIDE = 1_000_000, 2048

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")


@dataclass(frozen=True)
class OneOf:
    """Checks that a text is one of a few; ``kind`` is what it is called in the message."""

    kind: str
    valid: tuple[str, ...]

    def __call__(self, name: str) -> str:
        if name not in self.valid:
            raise ValueError(unknown(self.kind, name, self.valid))
        return name


def _one_of(kind: str, valid: tuple[str, ...]) -> AfterValidator:
    return AfterValidator(OneOf(kind, valid))


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


_LISTED_BASELINES = ", ".join(f"`{name}`" for name in BASELINES)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class NetworkSpec(_Section):
    """``network: vgg16`` is short for ``{name: vgg16}``; your own has ``module: package.module:factory`` instead."""

    name: str = Field(default=BUNDLED_NETWORK, description="A network that `restoration networks` lists.")
    weights: str = Field(
        default="",
        description="`bundled`, `imagenet`, `random`, a file of weights, or `factory`: as your module makes them.",
        json_schema_extra={"otherwise": "`bundled`, `imagenet` or `factory`, by the network"},
    )
    seed: int = Field(default=0, description="Of random weights.")
    layers: dict[str, str] | None = Field(
        default=None, description="Your network's layers: a name for each module path, or a list of paths."
    )
    mean: list[float] | None = Field(default=None, description="Your network's mean colour, three values in 0..1.")
    std: list[float] | None = Field(default=None, description="Your network's deviations, three values in 0..1.")
    size: int | None = Field(default=None, description="Side of the pictures that your network was made for, in px.")

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
    """The layers whose features are given. ``match: conv3/relu`` and ``match: {layer: conv3/relu}`` are one layer."""

    layers: dict[str, float] = Field(
        min_length=1,
        description="Weight of each layer's feature loss: `{conv2/relu: 1, conv4/relu: 0.5}`.",
    )

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
    """What the search makes better: one metric, or a list of two or three for their Pareto front."""

    name: str = Field(description="A metric; one of features may name its layers, `feature_error@conv4/relu`.")
    goal: Annotated[str, _one_of("goal", GOALS)] | None = Field(
        default=None,
        description="`minimize` or `maximize`; only what makes the metric better is taken.",
        json_schema_extra={"otherwise": "by the metric"},
    )


class MethodSpec(_Section):
    """How to search."""

    sampler: Annotated[str, _one_of("sampler", SAMPLERS)] = Field(
        default="tpe", description="`tpe` learns from the trials before; `random`, `grid`; `nsga2` for several metrics."
    )
    trials: int = Field(default=50, ge=1, le=MAX_TRIALS, description="Trials beside the baselines.")
    seed: int = Field(default=0, ge=0, lt=2**63, description="Of the sampler and of every trial.")
    pruner: None = Field(default=None, description="Comes with a later version: leave it out.")

    @field_validator("pruner", mode="before")
    @classmethod
    def _no_pruner_yet(cls, pruner: Any) -> None:
        if pruner not in (None, "none", {"name": "none"}):
            raise ValueError("pruners come with a later version (successive halving); valid: none, or leave it out")


class BudgetSpec(_Section):
    """What a trial, and the whole search, may cost."""

    iterations: int = Field(default=300, ge=1, le=1_000_000, description="Steps of each reconstruction.")
    hours: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="No new trial starts after so many hours of a run; a resume has as many again.",
        json_schema_extra={"otherwise": "no limit"},
    )


class SaveSpec(_Section):
    """What is kept of each trial."""

    steps: list[int] = Field(default_factory=list, description="Iterations after which the pictures are kept too.")
    images: Annotated[str, _one_of("choice of images to save", SAVE_IMAGES)] = Field(
        default="best", description="Final pictures: of the `best` trials, of `all`, or `none`."
    )
    curves_every: int = Field(default=10, ge=1, description="Iterations between two points of the losses' curves.")
    metrics: list[str] = Field(
        default_factory=list, description="Metrics that are measured beside the searched and the usual ones."
    )


class BaselineSpec(_Section):
    """A trial that runs first: ``none``, a preset by name, or a name of your own with ``parameters``."""

    name: str = Field(description=f"{_LISTED_BASELINES}, or any other name with `parameters`.")
    parameters: Annotated[dict[str, Scalar | list[list[int | float]]] | None, BeforeValidator(_renamed)] = Field(
        default=None, description="Of your own baseline, by flat name; its weights are raw."
    )


class ResourcesSpec(_Section):
    """What the search runs on."""

    pack: Literal["auto"] | Annotated[int, Field(ge=1, le=4096)] = Field(
        default="auto", description="Trials that are solved together in one batch."
    )
    actors: Literal["auto"] | Annotated[int, Field(ge=1, le=10_000)] = Field(
        default="auto", description="Processes that solve packs at the same time."
    )
    threads: int = Field(default=1, ge=1, le=1024, description="Threads of each process.")
    gpus_per_actor: float = Field(
        default=0.0, ge=0, allow_inf_nan=False, description="GPUs of each process; 0.5 lets two share one."
    )


class SweepSpec(_Section):
    """A sweep as the service takes it. ``model_dump()`` is JSON and :meth:`model_validate` takes it back.

    What :func:`sweeps.spec.load.load_spec` returns has its globs expanded, so that every one of ``images`` is one
    picture, and ``parameters`` by flat name; children of a group whose ``<group>.enabled`` is False do not exist in
    that trial. ``yaml_text`` is the file as its author wrote it, and no part of the dump.
    """

    name: Annotated[str, AfterValidator(valid_name)] = Field(
        description="Of the sweep: letters, digits, `.`, `_`, `-`.", json_schema_extra={"otherwise": "the file's name"}
    )
    network: NetworkSpec = Field(
        default_factory=NetworkSpec, validate_default=True, description="The classifier whose features are given."
    )
    images: Annotated[list[str], BeforeValidator(_listed)] = Field(
        min_length=1, description="Pictures to search on: paths, globs (`photos/**/*.jpg`), `sample:NAME`."
    )
    image_size: int = Field(default=64, ge=16, le=MAX_SIDE, description="Side of the square pictures in pixels.")
    validate_on: Annotated[list[str], BeforeValidator(_listed)] = Field(
        default_factory=list, description="Pictures that are never searched on; the winner is judged on them."
    )
    match: MatchSpec = Field(description="The layers whose features are given.")
    metric: Annotated[list[Annotated[MetricSpec, BeforeValidator(_named)]], BeforeValidator(_listed)] = Field(
        default_factory=lambda: [MetricSpec(name="image_mse", goal="minimize")],
        min_length=1,
        max_length=3,
        description="What the search makes better: one to three metrics.",
        json_schema_extra={"otherwise": "`image_mse`"},
    )
    method: MethodSpec = Field(default_factory=MethodSpec, description="How to search, and how often.")
    budget: BudgetSpec = Field(default_factory=BudgetSpec, description="Iterations and hours.")
    save: SaveSpec = Field(default_factory=SaveSpec, description="What is kept of each trial.")
    units: Annotated[str, _one_of("units", WEIGHT_UNITS)] = Field(
        default="raw",
        description="Of the priors' weights: `raw`, or `calibrated`: one range serves every prior.",
    )
    baselines: list[Annotated[BaselineSpec, BeforeValidator(_named)]] = Field(
        default_factory=list, description="Trials to compare with, which run first."
    )
    parameters: Annotated[dict[str, Parameter], BeforeValidator(_renamed)] = Field(
        description="What is set and what is searched: see below."
    )
    resources: ResourcesSpec = Field(default_factory=ResourcesSpec, description="Batches, processes, threads, GPUs.")
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
