"""Published tensors of Caffe's AlexNet, under the names and in the memory orders they go around in."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from torch import Tensor, nn

from restoration_core.errors import InputError
from restoration_core.networks.weights import load_into

_NAME = re.compile(
    r"(?:module\.)?(?P<layer>conv[1-5]|fc[678])"
    r"(?:[._/](?P<kind>weights?|kernel|w|0|bias(?:es)?|b|1)|(?P<joined>[wfb]))(?::0)?\Z",
    re.IGNORECASE,
)
_BIAS = {"bias", "biases", "b", "1"}
_SPELLINGS = "conv1.weight, conv1_w, conv1/W, conv1/weights, conv1.0 or conv1f with conv1.bias, conv1_b ..."


def load_published(module: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Copy published tensors of Caffe's AlexNet into a network of its build.

    Names: a layer, ``conv1`` ... ``conv5``, ``fc6`` ... ``fc8``, then ``weight(s)``, ``kernel``, ``w`` or ``0``
    (Caffe's blob), ``bias(es)``, ``b`` or ``1``, behind ``.``, ``_`` or ``/``; also ``conv1f`` and ``conv1b``, as
    MatConvNet writes them.

    Memory orders, told apart by the shape of ``conv1``'s weights:

    - Caffe's and PyTorch's: ``(96, 3, 11, 11)`` and ``(out, in)``, older blobs padded to four axes;
    - TensorFlow's: ``(11, 11, 3, 96)`` and ``(in, out)``, where ``fc6`` reads positions before channels, as in the
      well-known dictionary that was converted from Caffe's file;
    - MatConvNet's (``conv1f``): ``(11, 11, 3, 96)``, dense layers as convolutions, red before green and blue.

    Args:
        module: a :class:`~restoration_core.networks.published.caffe_alexnet.CaffeAlexNet`.
        tensors: name -> tensor.
        where: what the error calls them.

    Raises:
        InputError: telling which keys are missing, unknown or there twice, and which shapes differ.
    """
    expected = module.state_dict()
    names = {key: _standard(key) for key in tensors}
    twice = sorted(name for name, count in Counter(names.values()).items() if count > 1)
    if twice:
        keys = ", ".join(key for key, name in names.items() if name == twice[0])
        raise InputError(f"{where}: several tensors for {twice[0]}: {keys}; valid: one for each parameter")
    key_of = {name: key for key, name in names.items()}
    first = tensors.get(key_of.get("conv1.weight", ""))
    channels_last = first is not None and first.ndim == 4 and first.shape[:2] == expected["conv1.weight"].shape[2:]
    state: dict[str, Tensor] = {}
    for name, key in key_of.items():
        if name not in expected:
            state[key] = tensors[key]
            continue
        like = expected[name]
        channels = expected["conv5.weight"].shape[0] if name == "fc6.weight" else 1
        value = _from_channels_last(tensors[key], like, channels) if channels_last else tensors[key]
        state[name] = _without_padding(value, like)
    if channels_last and key_of["conv1.weight"].lower().endswith("f"):
        state["conv1.weight"] = state["conv1.weight"].flip(1)
    try:
        load_into(module, state, where)
    except InputError as error:
        raise InputError(f"{error}; tensors may be called {_SPELLINGS}") from error


def _standard(key: str) -> str:
    """Return ``conv1.weight`` for any way of writing it, and a key that is none of them as it is."""
    match = _NAME.match(key)
    if match is None:
        return key
    kind = (match["kind"] or match["joined"]).lower()
    return f"{match['layer'].lower()}.{'bias' if kind in _BIAS else 'weight'}"


def _from_channels_last(value: Tensor, like: Tensor, channels: int) -> Tensor:
    """Return weights ``(height, width, in, out)`` or ``(in, out)`` in PyTorch's order.

    Args:
        value: as published.
        like: the parameter.
        channels: of the map that a dense layer of shape ``(in, out)`` reads, positions first.
    """
    if value.ndim == 4:
        outputs_first = value.permute(3, 2, 0, 1)
        return outputs_first.flatten(1) if like.ndim == 2 else outputs_first
    if value.ndim == 2 and value.shape[0] % channels == 0:
        return value.T.unflatten(1, (-1, channels)).transpose(1, 2).flatten(1)
    return value


def _without_padding(value: Tensor, like: Tensor) -> Tensor:
    """Drop leading axes of length 1, which Caffe's older blobs have and PyTorch's parameters do not."""
    extra = value.ndim - like.ndim
    return value.reshape(like.shape) if extra > 0 and tuple(value.shape) == (1,) * extra + tuple(like.shape) else value
