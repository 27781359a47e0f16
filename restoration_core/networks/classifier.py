"""A classifier cut open: any layer's feature map by name, differentiable with respect to the picture."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property

import torch
from torch import Tensor, nn

from restoration_core.errors import InputError, unknown
from restoration_core.networks.layer_names.naming import NamedLayers, name_layers, no_layer
from restoration_core.networks.opening import does_not_take, first_passes
from restoration_core.networks.preparing import materialise, prepare, unwrap
from restoration_core.networks.separate_rows import row_chunks
from restoration_core.networks.tracing.trace import Trace, said, trace
from restoration_core.networks.tracing.try_out import forget_graphs

_LARGEST_PROBED_SIZE = 4096
_LARGEST_COMPUTED_SIZE = 256


class _AllTapped(Exception):
    """Ends a forward pass when every wanted layer has been seen; never leaves :meth:`Classifier.features`."""


class Classifier:
    """A frozen network in evaluation mode whose layers are read by name.

    The network is tried with two different pictures: what does not follow the picture row by row is no layer, and a
    network that is no function of each row is refused. Its features are read from one thread at a time; on a CPU a
    row's are the same to the last bit in any batch of two or more, see :mod:`~restoration_core.networks.separate_rows`.

    Args:
        module: input ``(B, 3, H, W)``, normalised with ``mean`` and ``std``. Taken over: wrappers come off, it is
            frozen, put into evaluation mode, and ``channels_last`` where it can be.
        name: what users call the network.
        names: readable layer name -> module path (``path:2`` for a module's second call); the first of several names
            of one layer is the one it is listed under. None to list every layer under its module path.
        mean, std: per channel, of RGB in [0, 1]: the network sees ``(x - mean) / std``.
        native_size: side in pixels of the square pictures it was trained on.
        known: it is one of ours or torchvision's, whose features are functions of each row: the pass that finds the
            layers is enough.
        notes: what a user should hear of how its weights were read, a line each.

    Attributes:
        name, mean, std, native_size, notes: as given.
        module: the network itself.
        memory_format: in which pictures are handed to it.
        layers: readable names in forward order.
        calls: how each layer is reached: its name, in forward order -> the call of a module.
        refused: modules that run but are no layers, by path -> why.
        channels, deviation, takes_pictures: as :class:`FeatureNetwork` asks for.

    Raises:
        InputError: for a module path that the network does not run or that is no layer, a name that is another
            module's path, or a network that does not take its native size, is compiled to a ScriptModule, gives other
            values at each pass, or mixes the pictures of a batch.
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
        *,
        known: bool = False,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.name, self.mean, self.std, self.native_size = name, mean, std, native_size
        self.notes = notes
        self.module = unwrap(module, name)
        try:
            materialise(self.module, native_size)
        except Exception as problem:  # a user's own network may raise anything
            raise InputError(does_not_take(name, native_size, said(problem))) from problem
        prepare(self.module)
        parameter = next(self.module.parameters(), torch.empty(0))
        self._set_affine(parameter.device, parameter.dtype if parameter.is_floating_point() else torch.float32)
        opened = first_passes(self.module, name, native_size, self._mean, self._normalise, known=known)
        self.memory_format, passed = opened.memory_format, opened.passed
        self._layers: NamedLayers = name_layers(name, self.module, passed, opened.faults, names)
        self.calls, self.layers, self.refused = self._layers.calls, self._layers.listed, self._layers.refused
        if not self.layers:
            why = [f"{path!r}: {reason}" for path, reason in self.refused.items()]
            raise InputError(
                f"network {name!r} has no layer to match ({', '.join(why[:1]) or 'it runs no modules'}); valid: "
                "modules that each return one tensor, with a row for each picture, through which gradients flow"
            )
        self._depths = {layer: depth for depth, layer in enumerate(self.calls)}
        self._shapes: dict[tuple[int, int], dict[str, tuple[int, ...]]] = {
            (native_size, native_size): self._shapes_in(passed)
        }

    def _normalise(self, pictures: Tensor) -> Tensor:
        return (pictures - self._mean) / self._std

    def _shapes_in(self, passed: Trace) -> dict[str, tuple[int, ...]]:
        aliases = self._layers.aliases
        return {aliases[c.key]: c.shape for c in passed.calls if c.key in aliases and c.fault is None}

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
        forget_graphs(self.module)
        moved.__dict__["weights_id"] = self.weights_id  # the identity of the weights, not of their rounding
        moved.module = copy.deepcopy(self.module).to(device=device, dtype=dtype)
        moved._set_affine(torch.device(device), dtype)
        return moved

    def resolve(self, name: str) -> str:
        """Return the layer's name for a readable name or a module path.

        Raises:
            InputError: for an unknown layer, with the nearest match, and for a module that is no layer.
        """
        if name in self.calls:
            return name
        if name in self._layers.aliases:
            return self._layers.aliases[name]
        if name in self.refused:
            raise InputError(no_layer(self.name, name, self.refused[name]))
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
        parts = [self._tapped(chunk, set(wanted.values())) for chunk in row_chunks(x)]
        maps = parts[0] if len(parts) == 1 else {key: torch.cat([part[key] for part in parts]) for key in parts[0]}
        return {name: maps[layer] for name, layer in wanted.items()}

    def _tapped(self, x: Tensor, layers: set[str]) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        tapped: dict[str, dict[int, str]] = {}
        for layer in layers:
            call = self.calls[layer]
            tapped.setdefault(call.path, {})[call.number] = layer
        handles = []
        try:
            for path, numbers in tapped.items():
                module = self.module.get_submodule(path)
                handles.append(module.register_forward_hook(self._tap(numbers, found, len(layers))))
            self.module(self._normalise(x).contiguous(memory_format=self.memory_format))
        except _AllTapped:
            pass
        finally:
            for handle in handles:
                handle.remove()
        return found

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
            passed = trace(self.module, height, width, compute=compute, memory_format=self.memory_format)
            self._shapes[key] = self._shapes_in(passed)
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


def _edge(inside: int, outside: int, works: Callable[[int], bool]) -> int:
    """Return the last size that works on the way from one that does to one that does not."""
    while abs(outside - inside) > 1:
        middle = (inside + outside) // 2
        inside, outside = (middle, outside) if works(middle) else (inside, middle)
    return inside
