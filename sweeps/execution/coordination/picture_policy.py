"""Which trials keep their pictures in the store."""

from __future__ import annotations

from collections.abc import Sequence

from sweeps.search.pareto import Standing


class PicturePolicy:
    """What ``save.images`` asks for: ``all``, ``none``, or ``best``.

    ``best`` keeps the baselines, and every searched trial that was the best searched one when it ended (with several
    metrics: that no searched trial dominated). So the pictures of the best searched trial are there at any time, also
    while a baseline leads, and the store shows how the search came to it.

    Args:
        images: the spec's word.
        goals: ``minimize`` or ``maximize`` for each metric.
    """

    def __init__(self, images: str, goals: Sequence[str]) -> None:
        self._images, self._goals = images, tuple(goals)
        self._searched = Standing(goals)

    def add(self, number: int, values: Sequence[float], baseline: bool) -> bool:
        """Note a completed trial, in the order in which they end; return whether its pictures are kept."""
        best = not baseline and self._searched.add(number, values)
        return self._images == "all" or (self._images == "best" and (baseline or best))

    def copy(self) -> PicturePolicy:
        """Return a policy that knows the same trials and goes its own way."""
        twin = PicturePolicy(self._images, self._goals)
        twin._searched = self._searched.copy()
        return twin
