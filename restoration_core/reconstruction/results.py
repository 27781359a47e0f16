"""The result of a row that has ended."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from restoration_core.networks import FeatureNetwork
from restoration_core.reconstruction.batch.rows import Row
from restoration_core.reconstruction.problem import Result


def make_result(
    row: Row, picture: Tensor, losses: Mapping[str, float], compute_s: float, network: FeatureNetwork
) -> Result:
    """Return the result of an ended row.

    Args:
        row: with its status set, and in no group.
        picture: its centre crop ``(C, H, W)``, not clamped.
        losses: of that crop.
        compute_s: its share of the wall time.
        network: whose input was optimised.
    """
    assert row.status is not None
    return Result(
        image=shown(picture, network),
        status=row.status,
        iterations=row.iteration,
        losses=losses,
        curve_steps=tuple(row.steps),
        curves={name: tuple(values) for name, values in row.curves.items()},
        snapshots=dict(row.snapshots),
        compute_s=compute_s,
    )


def shown(variable: Tensor, network: FeatureNetwork) -> Tensor:
    """Return a picture or map as a user gets it: on the host, zero in place of NaN, pictures clamped to [0, 1]."""
    found = variable.detach().nan_to_num(nan=0.0)
    return (found.clamp(0, 1) if network.takes_pictures else found).cpu().clone()
