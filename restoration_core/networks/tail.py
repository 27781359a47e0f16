"""What lies behind a layer: a network whose input is that layer's map."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from restoration_core.errors import InputError, unknown
from restoration_core.networks.classifier import Classifier
from restoration_core.networks.separate_rows import row_chunks
from restoration_core.networks.tracing.trace import Call, trace
from restoration_core.networks.tracing.try_out import forget_graphs
from restoration_core.seeds import derive_seed

_REFERENCE_PICTURES = 8


class _Reached(Exception):
    """Ends a forward pass when every wanted layer has been seen; never leaves this file."""


class Tail:
    """The layers behind ``layer``, as functions of its map; :func:`cut_tail` makes one.

    Its input is the raw map ``(B, C, size, size)``. What lies before the layer is not computed.

    Args:
        classifier: the whole network.
        layer: whose map becomes the input.
        picture_size: side in pixels of the pictures that the map belongs to.
        pictures: ``(B, 3, H, W)``, RGB in [0, 1], whose maps give ``mean`` and ``deviation``; None for noise with the
            1/f spectrum of photographs.

    Attributes:
        name: ``<network> from <layer>``.
        layers: names of the layers behind, in forward order.
        size: side of the map.
        channels: of the map.
        mean, deviation: of the map's values on ``pictures``, per channel.
        takes_pictures: False.
        module: the network without what is done with when the map is there; its weights are the classifier's.

    Raises:
        InputError: for an unknown layer, one without a square map, one with nothing behind it, or one that a
            connection bypasses: what lies behind is then no function of its map alone.
    """

    takes_pictures = False

    def __init__(
        self,
        classifier: Classifier,
        layer: str,
        picture_size: int,
        pictures: Tensor | None = None,
    ) -> None:
        self._classifier, self._calls, self._picture_size = classifier, classifier.calls, picture_size
        self._layer = classifier.resolve(layer)
        shape = classifier.shape(self._layer, picture_size)
        self.name = f"{classifier.name} from {self._layer}"
        if len(shape) != 3 or shape[1] != shape[2]:
            raise InputError(f"{self.name}: layer {layer!r} has shape {shape}; valid: a layer with a square map")
        self.channels, self.size = shape[0], shape[1]
        names = list(self._calls)
        behind = names[names.index(self._layer) + 1 :]
        self._behind = [name for name in behind if _takes(classifier, name, picture_size)]
        self.layers = tuple(name for name in self._behind if name in classifier.layers)
        if not self.layers:
            raise InputError(f"{self.name}: no layer lies behind it; valid: a layer before {classifier.layers[-1]!r}")
        self._refuse_bypass()
        passed = trace(classifier.module, picture_size, picture_size, memory_format=classifier.memory_format)
        # What is no layer has rows of its own number, or no input to take that number from: it stays.
        self._order = [(call, call.key in classifier.refused) for call in passed.calls]
        self.module = _without_what_lies_before(classifier.module, self._order, self._calls[self._layer])
        self.mean, self.deviation = self._measure(pictures)

    @property
    def device(self) -> torch.device:
        """Where the network's parameters are."""
        return self._classifier.device

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type it computes in, which its maps must have."""
        return self._classifier.dtype

    def to(self, device: torch.device | str, dtype: torch.dtype) -> Tail:
        """Return this tail on ``device`` in ``dtype``: itself when it is there, otherwise a copy."""
        classifier = self._classifier.to(device, dtype)
        if classifier is self._classifier:
            return self
        moved = copy.copy(self)
        moved._classifier = classifier
        moved.module = _without_what_lies_before(classifier.module, self._order, self._calls[self._layer])
        return moved

    def resolve(self, name: str) -> str:
        """Return the name of a layer behind the map for a readable name or a module path.

        Raises:
            InputError: for an unknown layer, or one that does not lie behind.
        """
        layer = self._classifier.resolve(name)
        if layer not in self._behind:
            raise InputError(unknown(f"layer of {self.name}", name, self.layers))
        return layer

    def shape(self, layer: str, size: int) -> tuple[int, ...]:
        """Return the layer's shape ``(C, H, W)`` or ``(C,)`` for maps of this tail's own ``size``.

        Raises:
            InputError: for another size, or a layer that does not lie behind.
        """
        name = self.resolve(layer)
        if size != self.size:
            raise InputError(f"{self.name}: takes maps of {self.size} x {self.size}, not {size} x {size}")
        return self._classifier.shape(name, self._picture_size)

    def depth(self, layer: str) -> int:
        """Return the layer's place in the order of the whole network's forward pass."""
        return self._classifier.depth(self.resolve(layer))

    def features(self, x: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """Return feature maps of some layers behind; the forward pass ends at the deepest of them.

        Args:
            x: maps ``(B, C, size, size)``, in the tail's dtype and on its device.
            layers: names that :meth:`resolve` accepts.

        Returns:
            Layer name as given -> ``(B, C', H', W')`` or ``(B, C')``, in the autograd graph of ``x``.

        Raises:
            InputError: for a layer that does not lie behind, or maps of another size.
        """
        wanted = {name: self.resolve(name) for name in layers}
        if tuple(x.shape[1:]) != (self.channels, self.size, self.size):
            valid = (self.channels, self.size, self.size)
            raise InputError(f"{self.name}: maps of shape {tuple(x.shape[1:])}; valid: {valid}")
        if not wanted:
            return {}
        parts = [self._tapped(chunk, set(wanted.values())) for chunk in row_chunks(x)]
        maps = parts[0] if len(parts) == 1 else {key: torch.cat([part[key] for part in parts]) for key in parts[0]}
        return {name: maps[layer] for name, layer in wanted.items()}

    def _tapped(self, x: Tensor, layers: set[str]) -> dict[str, Tensor]:
        calls = {name: self._calls[name] for name in layers}
        map_ = x.contiguous(memory_format=self._classifier.memory_format)
        return _run(self.module, self._picture(len(x)), self._calls[self._layer], map_, calls)

    def _picture(self, rows: int) -> Tensor:
        side = self._picture_size
        return torch.zeros(1, 3, side, side, device=self.device, dtype=self.dtype).expand(rows, -1, -1, -1)

    def _refuse_bypass(self) -> None:
        """Put a map in the layer's place: whatever behind it still depends on the picture got around it."""
        calls = {name: self._calls[name] for name in self._behind}
        with torch.enable_grad():
            picture = self._picture(1).clone().requires_grad_()
            map_ = torch.zeros(1, self.channels, self.size, self.size, device=self.device, dtype=self.dtype)
            found = _run(self._classifier.module, picture, self._calls[self._layer], map_, calls)
        bypassed = [name for name in self._behind if found[name].requires_grad]
        if bypassed:
            raise InputError(
                f"{self.name}: a connection around the layer reaches {bypassed[0]!r}; valid: a layer that all of the "
                "signal passes through, such as the end of its block"
            )

    def _measure(self, pictures: Tensor | None) -> tuple[tuple[float, ...], tuple[float, ...]]:
        if pictures is None:
            pictures = _pink_pictures(self._picture_size)
        with torch.no_grad():
            given = pictures.to(self.device, self.dtype)
            maps = self._classifier.features(given, [self._layer])[self._layer].double()
        return tuple(maps.mean((0, 2, 3)).tolist()), tuple(maps.std((0, 2, 3), unbiased=False).tolist())


def cut_tail(classifier: Classifier, layer: str, size: int | None = None, pictures: Tensor | None = None) -> Tail:
    """Return the layers behind one as a network of their own, whose input is that layer's map.

    Args:
        classifier: the whole network.
        layer: whose map becomes the input.
        size: side in pixels of the pictures that the map belongs to; None for the native size.
        pictures: ``(B, 3, H, W)``, RGB in [0, 1], whose maps give the mean and deviation that noise starts from;
            None for noise with the spectrum of photographs.

    Raises:
        InputError: for an unknown layer, one without a square map, the last one, or one that a connection bypasses.
    """
    return Tail(classifier, layer, size or classifier.native_size, pictures)


class _Absent(nn.Module):
    """In the place of a module whose values cannot reach what is wanted: zeros of its shape."""

    def __init__(self, call: Call) -> None:
        super().__init__()
        self._shape, self._overwritten = call.shape, call.overwritten

    def forward(self, *inputs: Any, **named: Any) -> Tensor:
        like = next(value for value in (*inputs, *named.values()) if isinstance(value, Tensor))
        zeros = like.new_zeros(()).expand(len(like), *self._shape)
        return zeros.contiguous() if self._overwritten else zeros


def _takes(classifier: Classifier, layer: str, size: int) -> bool:
    try:
        classifier.shape(layer, size)
    except InputError:
        return False
    return True


def _run(module: nn.Module, picture: Tensor, call: Call, map_: Tensor, wanted: dict[str, Call]) -> dict[str, Tensor]:
    """Run ``module`` with ``map_`` as the value of ``call`` and return the values of the wanted calls."""
    found: dict[str, Tensor] = {}
    layers = {(other.path, other.number): name for name, other in wanted.items()}
    handles = []

    def put_or_take(path: str) -> Callable[[nn.Module, object, Tensor], Tensor | None]:
        calls = 0

        def hook(module: nn.Module, inputs: object, output: Tensor) -> Tensor | None:
            nonlocal calls
            calls += 1
            if (path, calls) == (call.path, call.number):
                return map_.clone() if call.overwritten else map_
            name = layers.get((path, calls))
            if name is not None:
                last = len(found) + 1 == len(wanted)
                found[name] = output.clone() if wanted[name].overwritten and not last else output
                if last:
                    raise _Reached
            return None

        return hook

    try:
        for path in {call.path, *(other.path for other in wanted.values())}:
            handles.append(module.get_submodule(path).register_forward_hook(put_or_take(path)))
        module(picture)
    except _Reached:
        pass
    finally:
        for handle in handles:
            handle.remove()
    return found


def _without_what_lies_before(module: nn.Module, order: Sequence[tuple[Call, bool]], call: Call) -> nn.Module:
    """Return a copy that shares all tensors, where modules done with when ``call`` ends are taken out.

    Args:
        module: the whole network.
        order: the calls of its forward pass, and whether their module has to stay.
        call: whose value is given.
    """
    place = next(i for i, (other, _) in enumerate(order) if (other.path, other.number) == (call.path, call.number))
    before: dict[str, list[Call]] = {}
    for other, _ in order[: place + 1]:
        before.setdefault(other.path, []).append(other)
    later = {other.path for other, _ in order[place + 1 :]}
    kept = later | {other.path for other, stays in order if stays}
    forget_graphs(module)
    tensors = (*module.parameters(), *module.buffers())
    thinned = copy.deepcopy(module, {id(tensor): tensor for tensor in tensors})
    absent: list[str] = []
    for path in sorted(before, key=lambda path: path.count(".")):  # a container before its parts
        inside = any(path.startswith(f"{other}.") for other in absent)
        needed = path in kept or any(other.startswith(f"{path}.") for other in later)
        if not inside and not needed and len({other.shape for other in before[path]}) == 1:
            parent, _, name = path.rpartition(".")
            setattr(thinned.get_submodule(parent), name, _Absent(before[path][0]))
            absent.append(path)
    return thinned


def _pink_pictures(size: int) -> Tensor:
    """Return noise ``(8, 3, size, size)`` around mid grey with equal power in every octave, clamped to [0, 1]."""
    generator = torch.Generator().manual_seed(derive_seed("tail", "pictures"))
    total = torch.zeros(_REFERENCE_PICTURES, 3, size, size)
    side = 2
    while side <= size:
        noise = torch.randn(_REFERENCE_PICTURES, 3, side, side, generator=generator)
        total += nn.functional.interpolate(noise, size=(size, size), mode="bilinear")
        side *= 2
    return (0.5 + 0.25 * total / total.std()).clamp(0, 1)
