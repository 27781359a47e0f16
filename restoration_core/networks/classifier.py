"""A classifier cut open: any layer's feature map by name, differentiable with respect to the picture."""

from __future__ import annotations

import copy
import difflib
import hashlib
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property

import torch
from torch import Tensor, nn

from restoration_core.errors import InputError, unknown
from restoration_core.networks.separate_rows import separate_rows
from restoration_core.networks.tracing.trace import Call, trace

_LARGEST_PROBED_SIZE = 4096
_LARGEST_COMPUTED_SIZE = 256
_MOST_PATHS = 12


class _AllTapped(Exception):
    """Ends a forward pass when every wanted layer has been seen; never leaves :meth:`Classifier.features`."""


class Classifier:
    """A frozen network in evaluation mode whose layers are read by name.

    Activations that work in place are switched to work out of place, so that ``conv1/lin`` holds the values before
    the ReLU, and dense layers become :class:`SeparateRowsLinear`; the function stays the same. Its features are read
    from one thread at a time.

    Args:
        module: input ``(B, 3, H, W)``, normalised with ``mean`` and ``std``. Taken over: frozen, put into evaluation
            mode and ``channels_last``.
        name: what users call the network.
        names: readable layer name -> module path (``path:2`` for a module's second call); the first of several names
            of one layer is the one it is listed under. None to list every layer under its module path.
        mean, std: per channel, of RGB in [0, 1]: the network sees ``(x - mean) / std``.
        native_size: side in pixels of the square pictures it was trained on.

    Attributes:
        name, mean, std, native_size: as given.
        module: the network itself.
        layers: readable names in forward order.
        calls: how each layer is reached: its name, in forward order -> the call of a module.
        channels, deviation, takes_pictures: as :class:`FeatureNetwork` asks for.

    Raises:
        InputError: for a module path that the network does not run, a name that is another module's path, or a network
            that does not take its native size.
    """

    channels = 3
    deviation = (1.0, 1.0, 1.0)
    takes_pictures = True

    def __init__(
        self,
        module: nn.Module,
        name: str,
        names: Mapping[str, str] | None,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
        native_size: int,
    ) -> None:
        self.name, self.mean, self.std, self.native_size = name, mean, std, native_size
        self.module = _prepare(module)
        pass_ = trace(self.module, native_size, native_size)
        if pass_.error is not None:
            raise InputError(f"{name}: does not take pictures of {native_size} x {native_size}: {pass_.error}")
        self.calls: dict[str, Call] = {}
        self._aliases: dict[str, str] = {}
        self._name_layers(pass_.calls, names)
        self._depths = {layer: depth for depth, layer in enumerate(self.calls)}
        native = {self._aliases[_key(c)]: c.shape for c in pass_.calls if _key(c) in self._aliases}
        self._shapes: dict[tuple[int, int], dict[str, tuple[int, ...]]] = {(native_size, native_size): native}
        parameter = next(self.module.parameters(), torch.empty(0))
        self._set_affine(parameter.device, parameter.dtype if parameter.is_floating_point() else torch.float32)

    def _name_layers(self, calls: tuple[Call, ...], names: Mapping[str, str] | None) -> None:
        readable_of = self._readable_names({_key(call): call for call in calls}, names or {})
        for call in calls:
            unnamed = call.value not in readable_of
            if unnamed and isinstance(self.module.get_submodule(call.path), nn.Dropout | nn.Identity):
                continue
            layer = readable_of.get(call.value, _key(call))
            self._aliases[_key(call)] = next((n for n, c in self.calls.items() if c.value == call.value), layer)
            if self._aliases[_key(call)] == layer:
                self.calls.setdefault(layer, call)
        self.layers = tuple(layer for layer in self.calls if names is None or layer in names)

    def _readable_names(self, by_key: Mapping[str, Call], names: Mapping[str, str]) -> dict[int, str]:
        """Return value -> its first name; further names of the same value become other names of that layer."""
        readable_of: dict[int, str] = {}
        for readable, path in names.items():
            if path not in by_key:
                raise InputError(f"{self.name}: {_unknown_path(path, by_key)}")
            value = by_key[path].value
            if by_key.get(readable, by_key[path]).value != value:
                message = f"layer name {readable!r} of {path} is the path of another module; valid: another name"
                raise InputError(f"{self.name}: {message}")
            self._aliases[readable] = readable_of.setdefault(value, readable)
        return readable_of

    def _set_affine(self, device: torch.device, dtype: torch.dtype) -> None:
        self._mean = torch.tensor(self.mean, device=device, dtype=dtype).reshape(1, 3, 1, 1)
        self._std = torch.tensor(self.std, device=device, dtype=dtype).reshape(1, 3, 1, 1)

    @cached_property
    def weights_id(self) -> str:
        """Hash of the state dict's content: the head of SHA-256 over sorted keys, shapes and bytes, 16 hex digits."""
        digest = hashlib.sha256()
        for key, tensor in sorted(self.module.state_dict().items()):
            values = tensor.detach().cpu().contiguous()
            digest.update(f"{key}\0{values.dtype}\0{tuple(values.shape)}\0".encode())
            digest.update(values.flatten().view(torch.uint8).numpy().data)
        return digest.hexdigest()[:16]

    @property
    def device(self) -> torch.device:
        """Where the network's parameters are."""
        return self._mean.device

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type it computes in, which its pictures must have."""
        return self._mean.dtype

    def to(self, device: torch.device | str, dtype: torch.dtype) -> Classifier:
        """Return this classifier on ``device`` in ``dtype``: itself when it is there, otherwise a copy."""
        if torch.empty(0, device=device).device == self.device and dtype == self.dtype:
            return self
        moved = copy.copy(self)
        moved.__dict__["weights_id"] = self.weights_id  # the identity of the weights, not of their rounding
        moved.module = copy.deepcopy(self.module).to(device=device, dtype=dtype)
        moved._set_affine(torch.device(device), dtype)
        return moved

    def resolve(self, name: str) -> str:
        """Return the layer's name for a readable name or a module path.

        Raises:
            InputError: for an unknown layer, with the nearest match.
        """
        if name in self.calls:
            return name
        if name in self._aliases:
            return self._aliases[name]
        raise InputError(unknown(f"layer of {self.name}", name, self.layers, f"restoration networks {self.name}"))

    def features(self, x: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """Return the feature maps of some layers; the forward pass ends at the deepest of them.

        Args:
            x: pictures ``(B, 3, H, W)``, RGB in [0, 1], in the classifier's dtype and on its device.
            layers: names that :meth:`resolve` accepts.

        Returns:
            Layer name as given -> ``(B, C, H', W')`` or ``(B, C)``, in the autograd graph of ``x``.

        Raises:
            InputError: for an unknown layer, or one that does not take pictures of this size.
        """
        wanted = {name: self.resolve(name) for name in layers}
        for layer in wanted.values():
            self._shape(layer, x.shape[-2], x.shape[-1])
        if not wanted:
            return {}
        found: dict[str, Tensor] = {}
        normalised = (x - self._mean) / self._std
        tapped: dict[str, dict[int, str]] = {}
        for layer in set(wanted.values()):
            call = self.calls[layer]
            tapped.setdefault(call.path, {})[call.number] = layer
        handles = []
        try:
            for path, numbers in tapped.items():
                module = self.module.get_submodule(path)
                handles.append(module.register_forward_hook(self._tap(numbers, found, len(set(wanted.values())))))
            self.module(normalised.contiguous(memory_format=torch.channels_last))
        except _AllTapped:
            pass
        finally:
            for handle in handles:
                handle.remove()
        return {name: found[layer] for name, layer in wanted.items()}

    def _tap(
        self, numbers: dict[int, str], found: dict[str, Tensor], total: int
    ) -> Callable[[nn.Module, object, Tensor], None]:
        calls = 0

        def hook(module: nn.Module, inputs: object, output: Tensor) -> None:
            nonlocal calls
            calls += 1
            layer = numbers.get(calls)
            if layer is not None:
                last = len(found) + 1 == total
                found[layer] = output.clone() if self.calls[layer].overwritten and not last else output
                if last:
                    raise _AllTapped

        return hook

    def shape(self, layer: str, size: int) -> tuple[int, ...]:
        """Return the map's shape ``(C, H, W)``, or ``(C,)`` of a fully connected layer, for ``size x size`` pictures.

        Raises:
            InputError: for a layer that does not take this size, with the sizes that work.
        """
        return self._shape(self.resolve(layer), size, size)

    def _shapes_at(self, height: int, width: int, compute: bool = True) -> dict[str, tuple[int, ...]]:
        key = height, width
        if key not in self._shapes:
            compute = compute and max(key) <= _LARGEST_COMPUTED_SIZE
            calls = trace(self.module, height, width, compute=compute).calls
            self._shapes[key] = {self._aliases[_key(c)]: c.shape for c in calls if _key(c) in self._aliases}
        return self._shapes[key]

    def _shape(self, layer: str, height: int, width: int) -> tuple[int, ...]:
        shape = self._shapes_at(height, width).get(layer) if min(height, width) > 0 else None
        if shape is None:
            raise InputError(
                f"layer {layer!r} of {self.name} does not take pictures of {height} x {width}; "
                f"valid sizes: {self._valid_sizes(layer)}"
            )
        return shape

    def _valid_sizes(self, layer: str) -> str:
        """Describe the run of sizes around the native one at which the layer works, found by bisection."""

        def works(size: int) -> bool:
            return size > 0 and layer in self._shapes_at(size, size, compute=False)

        low, high = _edge(self.native_size, 0, works), _LARGEST_PROBED_SIZE
        if not works(high):
            high = _edge(self.native_size, high, works)
            return f"{low}" if low == high else f"{low} to {high}"
        return f"{low} and more"

    def depth(self, layer: str) -> int:
        """Return the layer's place in the order of the forward pass, counted from 0."""
        return self._depths[self.resolve(layer)]

    def stride(self, layer: str) -> int:
        """Return the distance in input pixels between neighbouring positions of the map, at the native size."""
        return max(self.calls[self.resolve(layer)].geometry.stride)

    def receptive_field(self, layer: str) -> int:
        """Return the side in input pixels of what one position depends on, borders not clipped, at the native size."""
        return max(self.calls[self.resolve(layer)].geometry.receptive_field)

    def window_size(self, layer: str) -> int:
        """Return the side of the last kernel larger than 1 x 1, dilation counted, that the map came through; else 1."""
        return max(self.calls[self.resolve(layer)].geometry.window_size)


def _prepare(module: nn.Module) -> nn.Module:
    for part in module.modules():
        if getattr(part, "inplace", False) is True:
            part.inplace = False  # type: ignore[assignment]
    separate_rows(module)
    # On CPUs channels_last takes 0.6-0.9 of the time, and it is what GPUs' convolutions want.
    return module.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def _key(call: Call) -> str:
    return call.path if call.number == 1 else f"{call.path}:{call.number}"


def _unknown_path(path: str, known: Iterable[str]) -> str:
    """Return the message for a path that the network does not run, short for networks of hundreds of modules."""
    paths = list(known)
    near = difflib.get_close_matches(path, paths, n=_MOST_PATHS)
    shown = paths if len(paths) <= _MOST_PATHS else near or paths[:_MOST_PATHS]
    rest = f" and {len(paths) - len(shown)} more" if len(shown) < len(paths) else ""
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"unknown module path {path!r}; {hint}valid: {', '.join(shown)}{rest}"


def _edge(inside: int, outside: int, works: Callable[[int], bool]) -> int:
    """Return the last size that works on the way from one that does to one that does not."""
    while abs(outside - inside) > 1:
        middle = (inside + outside) // 2
        inside, outside = (middle, outside) if works(middle) else (inside, middle)
    return inside
