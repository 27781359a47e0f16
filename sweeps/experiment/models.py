"""An experiment as typed data: arms, depths, photographs, and how much is computed."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from restoration_core.errors import unknown
from sweeps.spec.models import MAX_SIDE, MAX_TRIALS, valid_name
from sweeps.spec.parameter_names import HAND_CRAFTED, is_trained_group

WITH_MAPS = "+maps"
"""The end of an arm's name when it has the feature-map priors too."""

_ARM = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,29}\Z")


def _arm_name(name: str) -> str:
    if not _ARM.match(name):
        raise ValueError(f"the name of an arm must be 1 to 30 letters, digits or '-', but got {name!r}")
    return name


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class PieceSpec(_Section):
    """A prior that arms are made of: parameters of a sweep, for all depths or ``at`` each depth."""

    parameters: dict[str, Any] = Field(default_factory=dict)
    at: dict[str, dict[str, Any]] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _one_form(cls, data: Any) -> Any:
        if isinstance(data, dict) and set(data) in ({"at"}, {"parameters", "at"}):
            return data
        return {"parameters": data}

    def at_depth(self, depth: str) -> dict[str, Any]:
        """Return the parameters at a depth."""
        return self.at[depth] if self.at else self.parameters


class TrainedSpec(_Section):
    """A prior that the experiment trains: its family, the layer whose maps it learns from, the recipe's fields."""

    family: str
    short_side: int = Field(ge=1)
    layer: str | None = None
    recipe: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _fields_apart(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "recipe" in data:
            return data
        own = {key: data[key] for key in ("family", "short_side", "layer") if key in data}
        return {**own, "recipe": {key: value for key, value in data.items() if key not in own}}


class ExperimentSpec(_Section):
    """An experiment. Each arm is searched at each depth by a sweep of its own, all with the same number of trials.

    Attributes:
        name: of the experiment; its sweeps are called ``name.depth.arm``.
        network: as in a sweep's spec.
        image_size: side of the square pictures in pixels.
        depths: matched layer by the depth's name, in the order in which they are computed.
        search_images: photographs that weights and optimisers are searched on.
        test_images: photographs that everything else is computed on; none of them may be searched on.
        train_images: folder of the photographs that ``trained`` learns from.
        trained: priors to train first, by the names with which ``prior`` refers to them.
        iterations: of every reconstruction.
        trials: of every arm at every depth, the first of which is the middle of every range.
        metric: by which trials are compared.
        starts: random starts of every test photograph.
        seed: decides all random numbers.
        parameters: what every arm searches in the same way (the optimiser), written as in a sweep's spec.
        priors: the pieces that arms are made of.
        arms: the pieces of each arm.
        feature_maps: pieces that are added to every arm for its second run; without any, there is none.
        shown: test photographs whose reconstructions the report shows.
        text: the file as its author wrote it; not part of the dump.
    """

    name: Annotated[str, AfterValidator(valid_name)]
    network: Any = "cifar_alexnet"
    image_size: int = Field(ge=16, le=MAX_SIDE)
    depths: dict[Annotated[str, AfterValidator(_arm_name)], str] = Field(min_length=1)
    search_images: Annotated[list[str], BeforeValidator(_listed)] = Field(min_length=1)
    test_images: Annotated[list[str], BeforeValidator(_listed)] = Field(min_length=1)
    train_images: str | None = None
    trained: dict[str, TrainedSpec] = Field(default_factory=dict)
    iterations: int = Field(ge=1, le=1_000_000)
    trials: int = Field(ge=2, le=MAX_TRIALS)
    metric: str = "ssim"
    starts: int = Field(default=3, ge=1, le=100)
    seed: int = Field(default=0, ge=0, lt=2**63)
    parameters: dict[str, Any] = Field(min_length=1)
    priors: dict[str, PieceSpec] = Field(min_length=1)
    arms: dict[Annotated[str, AfterValidator(_arm_name)], list[str]] = Field(min_length=2)
    feature_maps: list[str] = Field(default_factory=list)
    shown: int = Field(default=4, ge=0, le=20)
    text: str = Field(default="", exclude=True, repr=False)

    @model_validator(mode="after")
    def _pieces_exist(self) -> ExperimentSpec:
        for arm, pieces in {**self.arms, "feature_maps": self.feature_maps}.items():
            for piece in pieces:
                if piece not in self.priors:
                    raise ValueError(f"{arm}: {unknown('prior', piece, self.priors)}")
        for name, prior in self.priors.items():
            if prior.at and set(prior.at) != set(self.depths):
                raise ValueError(f"priors.{name}.at must name the depths {', '.join(self.depths)}")
        return self

    @property
    def arm_names(self) -> tuple[str, ...]:
        """Names of all arms, those with feature-map priors after the others."""
        second = tuple(f"{arm}{WITH_MAPS}" for arm in self.arms) if self.feature_maps else ()
        return (*self.arms, *second)

    def pieces_of(self, arm: str) -> list[str]:
        """Return the names of an arm's pieces."""
        plain = arm.removesuffix(WITH_MAPS)
        return [*self.arms[plain], *(self.feature_maps if plain != arm else ())]

    def parameters_of(self, arm: str, depth: str) -> dict[str, Any]:
        """Return the ``parameters`` section of an arm's sweep at a depth."""
        found = dict(self.parameters)
        for piece in self.pieces_of(arm):
            found |= self.priors[piece].at_depth(depth)
        return found

    def is_learned(self, arm: str) -> bool:
        """Return whether an arm has a trained prior."""
        return any(is_trained_group(group) for group in self._groups(arm))

    def is_hand_crafted(self, arm: str) -> bool:
        """Return whether an arm has hand-crafted priors alone, or no prior at all."""
        return not self.is_learned(arm)

    def _groups(self, arm: str) -> set[str]:
        names = {name for depth in self.depths for name in self.parameters_of(arm, depth)}
        return {
            name if name in HAND_CRAFTED or is_trained_group(name) else name.rpartition(".")[0] or name
            for name in names
        }
