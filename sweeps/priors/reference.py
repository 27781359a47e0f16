"""Which trained prior a trial asks for: plain data, one name for spec, packs and store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sweeps.spec.parameter_names import NOISE_EXPERTS, layer_of


@dataclass(frozen=True)
class PriorReference:
    """A trained prior as parameters name it. Its noise level and stride are not part of it: one training serves all.

    Attributes:
        layer: whose maps it acts on; None for the image.
        expert: what kind of prior, one of ``EXPERTS``; empty for one that is named.
        patch_size, bank, dims: of experts over patches; ``dims`` None for the default.
        kept: key or name of a prior in the prior library, in place of all but the layer.
    """

    layer: str | None = None
    expert: str = ""
    patch_size: int | None = None
    bank: str = "full"
    dims: int | None = None
    kept: str | None = None

    def __str__(self) -> str:
        """Name it for people and for the store, ``student_t-8`` or ``student_t-5-channelwise on conv2/relu``."""
        if self.kept is not None:
            name = f"prior {self.kept}"
        else:
            size = "" if self.patch_size is None else f"-{self.patch_size}"
            bank = "" if self.bank == "full" else f"-{self.bank}"
            dims = "" if self.dims is None else f"-dims{self.dims}"
            name = f"{self.expert}{size}{bank}{dims}"
        return name if self.layer is None else f"{name} on {self.layer}"


def reference_of(settings: Mapping[str, Any], group: str) -> PriorReference:
    """Return the prior that a group's parameters name.

    Args:
        settings: flat parameters, defaults filled in (:func:`sweeps.trial.raw_parameters.raw_parameters`).
        group: ``priors.<where>``.
    """
    layer, named = layer_of(group), settings.get(f"{group}.prior")
    if named is not None:
        return PriorReference(layer, kept=str(named))
    expert = str(settings[f"{group}.expert"])
    if expert in NOISE_EXPERTS:
        return PriorReference(layer, expert)
    dims = settings.get(f"{group}.dims")
    return PriorReference(
        layer,
        expert,
        int(settings[f"{group}.patch_size"]),
        str(settings.get(f"{group}.bank", "full")),
        None if dims is None else int(dims),
    )
