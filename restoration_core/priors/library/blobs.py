"""A trained prior as bytes: safetensors with recipe and report as JSON in the header. Nothing is unpickled."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.priors.library.families import family_by_format, family_by_name
from restoration_core.priors.training import PriorRecipe, Trained, TrainingReport


def to_blob(trained: Trained, description: str = "", *, half: bool = False) -> bytes:
    """Return the prior as a safetensors file.

    Args:
        trained: the prior, its recipe and its report.
        description: one sentence for people, kept in the header.
        half: keep filters (tensors of four dimensions) in float16, unless that loses more than 3 digits; all other
            tensors are float32.
    """
    family = family_by_name(trained.recipe.family)
    tensors = family.tensors(trained.prior.to("cpu", torch.float32))
    metadata = {
        "format": family.format,
        "key": trained.recipe.key,
        "recipe": trained.recipe.to_json(),
        "report": json.dumps(dataclasses.asdict(trained.report)),
        "description": description,
    }
    kept = {name: _halved(tensor) if half and tensor.ndim == 4 else tensor for name, tensor in tensors.items()}
    return save({name: tensor.contiguous() for name, tensor in kept.items()}, metadata)


def from_blob(blob: bytes, source: str = "prior") -> Trained:
    """Return the prior kept in ``blob``.

    Args:
        blob: from :func:`to_blob`.
        source: where the bytes come from, for the message.

    Raises:
        InputError: other bytes, a file that is cut off, or contents that do not belong together.
    """
    recipe, report, _ = read_header(blob, source)
    try:
        tensors: dict[str, Tensor] = load(blob)
        prior = family_by_name(recipe.family).restore(recipe, _single(tensors))
    except (SafetensorError, KeyError, InputError) as error:
        raise InputError(_damaged(source, error)) from error
    return Trained(prior, recipe, report)


def _halved(tensor: Tensor) -> Tensor:
    """Return the tensor in float16, or itself where it holds numbers that float16 cannot."""
    rounded = tensor.half()
    lost = (rounded.float() - tensor).norm()
    return rounded if bool(lost <= 1e-3 * tensor.norm()) else tensor


def _single(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors, those of floating-point numbers in float32."""
    return {name: part.float() if part.is_floating_point() else part for name, part in tensors.items()}


def read_header(blob: bytes, source: str = "prior") -> tuple[PriorRecipe, TrainingReport, str]:
    """Return recipe, report and description without reading the tensors; ``blob`` may end after the header.

    Raises:
        InputError: not a prior, or one whose recipe does not have the key that the file names.
    """
    try:
        length = int.from_bytes(blob[:8], "little")
        if len(blob) < 8 + length:
            raise ValueError("it ends within its header")
        metadata: dict[str, Any] = json.loads(blob[8 : 8 + length])["__metadata__"]
        recipe = family_by_format(metadata["format"]).recipe.from_mapping(json.loads(metadata["recipe"]))
        fields = json.loads(metadata["report"])
        fields["losses"] = tuple((int(step), float(loss)) for step, loss in fields["losses"])
        report = TrainingReport(**fields)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(_damaged(source, error)) from error
    if metadata["key"] != recipe.key:
        raise InputError(_damaged(source, f"key {metadata['key']} but a recipe with key {recipe.key}"))
    return recipe, report, str(metadata.get("description", ""))


def _damaged(source: str, reason: object) -> str:
    return f"{source}: no trained prior ({' '.join(str(reason).split())}); valid: a file that `prior train` wrote"
