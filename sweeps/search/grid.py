"""The grid sampler's points: worked out from their place when they are asked for, in an order drawn from a seed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from restoration_core.seeds import derive_seed
from sweeps.spec.parameter import Parameter
from sweeps.spec.parameter_names import ENABLED, is_active

LARGEST_TABLE = 1_000_000
"""Most places whose shuffled order is kept as a table; above, the order is computed place by place."""
_ROUNDS = 4


@dataclass(frozen=True)
class _Block:
    """The points that share their switches."""

    switches: Mapping[str, Any]
    axes: Mapping[str, Sequence[Any]]
    size: int


class Grid:
    """Every distinct configuration over the axes, none of them kept in memory.

    Points come as nested loops over the axes would give them, the last axis fastest. The parameters of a prior that is
    switched off are left out of a point, so its axes count once there.

    Args:
        parameters: of the search space, switches first.
        axes: values of the searched ones, in the same order.

    Attributes:
        size: how many points there are. (``len()`` could not tell more than 2^63.)
    """

    def __init__(self, parameters: Mapping[str, Parameter], axes: Mapping[str, Sequence[Any]]) -> None:
        self._names = tuple(parameters)
        self._fixed = {name: item.value for name, item in parameters.items() if item.fixed}
        self._blocks = list(self._split(axes))
        self.size = sum(block.size for block in self._blocks)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if not 0 <= index < self.size:
            raise IndexError(index)
        for block in self._blocks:
            if index < block.size:
                return self._point(block, index)
            index -= block.size
        raise AssertionError("the blocks hold all points")

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[index] for index in range(self.size))

    def _split(self, axes: Mapping[str, Sequence[Any]]) -> Iterator[_Block]:
        switches = [name for name in axes if name.endswith(f".{ENABLED}")]
        for values in itertools.product(*(axes[name] for name in switches)):
            chosen = dict(zip(switches, values, strict=True))
            known = chosen | self._fixed
            own = {name: axis for name, axis in axes.items() if name not in chosen and is_active(name, known)}
            yield _Block(chosen, own, math.prod(len(axis) for axis in own.values()))

    def _point(self, block: _Block, index: int) -> dict[str, Any]:
        found = {**self._fixed, **block.switches}
        for name, axis in reversed(list(block.axes.items())):
            index, place = divmod(index, len(axis))
            found[name] = axis[place]
        return {name: found[name] for name in self._names if name in found and is_active(name, found)}


class Shuffled:
    """The numbers below ``size`` in an order that the seed alone decides.

    Args:
        size: how many.
        seed: 63 bits.
    """

    def __init__(self, size: int, seed: int) -> None:
        self._size, self._seed = size, seed
        small = size <= LARGEST_TABLE
        self._table = np.random.default_rng(seed).permutation(size) if small else None
        self._half = ((size - 1).bit_length() + 1) // 2

    def __getitem__(self, place: int) -> int:
        if self._table is not None:
            return int(self._table[place])
        # A Feistel network is one-to-one on the numbers of 2 * half bits, of which those below size are kept: what
        # falls outside goes through again until it falls inside, which leaves the map one-to-one.
        found = self._mix(place)
        while found >= self._size:
            found = self._mix(found)
        return found

    def _mix(self, value: int) -> int:
        mask = (1 << self._half) - 1
        left, right = value >> self._half, value & mask
        for turn in range(_ROUNDS):
            left, right = right, left ^ (derive_seed(self._seed, turn, right) & mask)
        return left << self._half | right
