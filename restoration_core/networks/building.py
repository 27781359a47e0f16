"""Building modules: seeded without touching the global random state, or without drawing initial weights at all."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

# Whole initialisers only: skipping Tensor.normal_ itself would hang trunc_normal_, which draws until values fit.
_DRAWS = {nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_}


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw initial weights from ``seed`` and leave the global random state as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


class WithoutDrawing(TorchFunctionMode):
    """Leaves out most of the random initialisation of modules built inside.

    For modules whose values a state dict replaces, or nobody reads; until then they
    are undefined. It saves most of the time of building VGG-16 with its 138 million parameters.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _DRAWS:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)
