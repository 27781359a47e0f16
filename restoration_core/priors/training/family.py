"""What a family of trained priors is: a recipe, how it is trained, and how the result is saved and loaded."""

from __future__ import annotations

import abc
import dataclasses
import hashlib
import json
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from torch import Tensor

from restoration_core.errors import InputErrors, unknown
from restoration_core.priors.maps import LayerMaps, MapSource
from restoration_core.priors.prior import Prior
from restoration_core.priors.training.checkpoint import Checkpoint

Progress = Callable[[int, int, float], None]


@dataclass(frozen=True)
class PriorRecipe(abc.ABC):
    """All that decides the numbers of a trained prior: plain data, whose hash is the prior's key.

    A family's recipe is a frozen dataclass of texts, numbers, truth values, None, tuples of those, and
    :class:`LayerMaps`. Every recipe has the fields ``pictures``, ``short_side`` and ``maps``, which say what is learned
    from.

    Attributes:
        family: name of the family, a key of ``FAMILIES``.
        version: to be raised when a change of the training lets the same recipe give another prior.
        later_fields: fields that were added after priors had been kept. They are left out of the JSON while they have
            their default, so that those priors keep their keys.
        pictures: ``samples``, or ``sha256:...`` of the photographs' files.
        short_side: photographs are resized so that their shorter side has this many pixels.
        maps: the layer whose maps are learned from; None for the pictures themselves.
    """

    family: ClassVar[str]
    version: ClassVar[int] = 1
    later_fields: ClassVar[frozenset[str]] = frozenset()

    if typing.TYPE_CHECKING:

        @property
        def pictures(self) -> str: ...
        @property
        def short_side(self) -> int: ...
        @property
        def maps(self) -> LayerMaps | None: ...

    @property
    @abc.abstractmethod
    def title(self) -> str:
        """A short name for people, ``student_t-8x8-512``; several priors may share it."""

    @property
    def key(self) -> str:
        """The first 16 hexadecimal digits of SHA-256 over the canonical JSON of the recipe."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """Return the recipe as JSON with sorted keys and without spaces, so that equal recipes give equal texts."""
        kept = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in self.later_fields or getattr(self, field.name) != field.default
        }
        plain = {name: dataclasses.asdict(v) if isinstance(v, LayerMaps) else v for name, v in kept.items()}
        return json.dumps(plain | {"version": self.version}, sort_keys=True, separators=(",", ":"))

    def name_with_layer(self, kind: str) -> str:
        """Return ``kind``, and for a prior on maps the network and layer behind it."""
        return kind if self.maps is None else f"{kind}-{self.maps.network}-{self.maps.layer.replace('/', '-')}"

    @classmethod
    def from_mapping(cls, fields: Mapping[str, Any]) -> Self:
        """Return the recipe that a mapping describes, as :meth:`to_json` writes it.

        Raises:
            InputErrors: an unknown or missing field, another version, or a value of another type or out of range.
        """
        given = dict(fields)
        version = given.pop("version", cls.version)
        names = {field.name: field for field in dataclasses.fields(cls)}
        faults = [unknown("recipe field", name, names) for name in given if name not in names]
        faults += [
            f"recipe: field {name!r} is missing"
            for name, field in names.items()
            if field.default is dataclasses.MISSING and name not in given
        ]
        if version != cls.version:
            faults.append(f"recipe version {version!r} is unknown; valid: {cls.version}")
        faults += cls.type_faults(given)
        if faults:
            raise InputErrors(faults)
        for name, value in given.items():
            if isinstance(value, list):
                given[name] = tuple(value)
            elif isinstance(value, Mapping):
                given[name] = LayerMaps(**value)
        return cls(**given)

    @classmethod
    def type_faults(cls, fields: Mapping[str, Any]) -> list[str]:
        """Return one message for each value that is not of its field's type; unknown names are left to others.

        Args:
            fields: as :meth:`to_json` writes them, or as the recipe holds them.
        """
        hints = typing.get_type_hints(cls)
        names = [field.name for field in dataclasses.fields(cls) if field.name in fields]
        return [
            f"{name}: {_in_words(hints[name])} is needed, but got {fields[name]!r}"
            for name in names
            if not _fits(fields[name], hints[name])
        ]


_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    types.NoneType: "null",
    LayerMaps: "a layer with network, weights_id and layer",
}


def _in_words(hint: Any) -> str:
    if isinstance(hint, types.UnionType):
        return " or ".join(map(_in_words, typing.get_args(hint)))
    if typing.get_origin(hint) is tuple:
        return f"a list, each {_in_words(typing.get_args(hint)[0])},"
    return _WORDS[hint]


def _fits(value: object, hint: Any) -> bool:
    """Return whether a value from JSON is of type ``hint``; the length of a list is checked by the recipe itself."""
    if isinstance(hint, types.UnionType):
        return any(_fits(value, one) for one in typing.get_args(hint))
    if typing.get_origin(hint) is tuple:
        return isinstance(value, list | tuple) and all(_fits(one, typing.get_args(hint)[0]) for one in value)
    if hint is LayerMaps and isinstance(value, Mapping):
        return set(value) == {field.name for field in dataclasses.fields(LayerMaps)}
    if hint in (int, float) and isinstance(value, bool):
        return False
    return isinstance(value, int | float if hint is float else hint)


@dataclass(frozen=True)
class TrainingReport:
    """How a training went.

    Attributes:
        iterations: steps taken, at most the recipe's.
        losses: (step, held-out loss) at every check, one before the first step included.
        best_loss: the lowest held-out loss; the prior is the one that had it.
        train_time_s: seconds, those before an interruption included.
        dims: dimensions that the model works in (of whitened patches, or of a filter); 0 where there is no such number.
        stopped: ``finished`` (all steps done), ``overfitting`` (the held-out loss no longer fell while that of the
            training data did), or ``stalled`` (neither fell any more; ``converged`` in files of denoisers).
    """

    iterations: int
    losses: tuple[tuple[int, float], ...]
    best_loss: float
    train_time_s: float
    dims: int
    stopped: str = "finished"


@dataclass(frozen=True)
class Trained:
    """A prior with the recipe and the report of its training."""

    prior: Prior
    recipe: PriorRecipe
    report: TrainingReport


class Train(typing.Protocol):
    """``train(recipe, source, progress=None, checkpoint=None) -> Trained``: fit a prior to the maps of ``source``.

    Args:
        recipe: of the family's type. The same recipe and source give the same numbers on the same machine.
        source: maps to learn from.
        progress: called at every check with (step, most steps, held-out loss).
        checkpoint: where the training saves its state. One that was killed goes on from there, and gives bitwise the
            prior of one that was never interrupted.
    """

    def __call__(
        self,
        recipe: Any,
        source: MapSource,
        progress: Progress | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> Trained: ...


@dataclass(frozen=True)
class Family:
    """One kind of trained prior.

    Attributes:
        name: in files, and the recipe type's ``family``.
        format: name of the layout of the tensors in a file, e.g. ``patch-experts-1``.
        recipe: the recipe's type.
        train: see :class:`Train`.
        tensors: returns the tensors of a prior that go into its file, by name.
        restore: makes the prior from its recipe and its file's tensors; raises ``KeyError`` or ``InputError`` where
            they do not belong together.
    """

    name: str
    format: str
    recipe: type[PriorRecipe]
    train: Train
    tensors: Callable[[Any], dict[str, Tensor]]
    restore: Callable[[Any, Mapping[str, Tensor]], Prior]
