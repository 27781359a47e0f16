"""Which calls of a network's modules are its layers, and by which names a user reaches them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from restoration_core.errors import InputError, unknown
from restoration_core.networks.tracing.trace import Call, Trace


@dataclass(frozen=True)
class NamedLayers:
    """A network's layers.

    Attributes:
        calls: how each layer is reached: its name, in forward order -> the call of a module.
        aliases: every name that a user may give -> the layer's name.
        listed: the names that are shown, in forward order.
        refused: names of what runs but is no layer -> the reason.
    """

    calls: dict[str, Call]
    aliases: dict[str, str]
    listed: tuple[str, ...]
    refused: dict[str, str]


def name_layers(
    network: str,
    module: nn.Module,
    passed: Trace,
    faults: Mapping[tuple[str, int], str],
    names: Mapping[str, str] | None,
) -> NamedLayers:
    """Name the layers among the calls of a forward pass.

    Args:
        network: what an error calls the network.
        module: the network.
        passed: its forward pass.
        faults: calls that are no layers, found by trying them, and why; those that the pass itself shows come on top.
        names: readable name -> module path (``path:2`` for a second call), the first of several names of one layer
            being the one it is listed under. None to list every layer under its module path.

    Raises:
        InputError: for a path that does not run, one that is no layer, and a name that is another module's path.
    """
    of_value = {c.value: reason for c in passed.calls if (reason := c.fault or faults.get((c.path, c.number)))}
    refused = dict(passed.others) | {c.key: of_value[c.value] for c in passed.calls if c.value in of_value}
    calls = [call for call in passed.calls if call.value not in of_value]
    aliases: dict[str, str] = {}
    readable_of = _readable_names(network, {call.key: call for call in calls}, refused, names or {}, aliases)
    found: dict[str, Call] = {}
    layer_of: dict[int, str] = {}
    for call in calls:
        unnamed = call.value not in readable_of
        if unnamed and isinstance(module.get_submodule(call.path), nn.Dropout | nn.Identity):
            continue
        layer = layer_of.setdefault(call.value, readable_of.get(call.value, call.key))
        aliases[call.key] = layer
        found.setdefault(layer, call)
    listed = tuple(layer for layer in found if names is None or layer in names)
    return NamedLayers(found, aliases, listed, refused)


def _readable_names(
    network: str,
    by_key: Mapping[str, Call],
    refused: Mapping[str, str],
    names: Mapping[str, str],
    aliases: dict[str, str],
) -> dict[int, str]:
    """Return value -> its first name; further names of the same value become other names of that layer."""
    readable_of: dict[int, str] = {}
    for readable, path in names.items():
        if path in refused:
            raise InputError(no_layer(network, path, refused[path]))
        if path not in by_key:
            raise InputError(f"{network}: {unknown('module path', path, by_key)}")
        value = by_key[path].value
        if by_key.get(readable, by_key[path]).value != value:
            message = f"layer name {readable!r} of {path} is the path of another module; valid: another name"
            raise InputError(f"{network}: {message}")
        aliases[readable] = readable_of.setdefault(value, readable)
    return readable_of


def no_layer(network: str, path: str, reason: str) -> str:
    """Return the message for a module that runs but cannot be matched."""
    return f"{network}: {path!r} is no layer: {reason}; valid: one that restoration networks {network} lists"
