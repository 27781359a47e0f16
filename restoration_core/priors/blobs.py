"""A trained prior as bytes: safetensors, the recipe and the report as JSON in its header. Nothing is unpickled."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.priors.experts import expert_by_name
from restoration_core.priors.patch_experts import PatchExperts
from restoration_core.priors.recipe import Recipe
from restoration_core.priors.training import TrainedPrior, TrainingReport

_FORMAT = "patch-experts-1"


def to_blob(trained: TrainedPrior, description: str = "") -> bytes:
    """Return the prior as a safetensors file in float32.

    Args:
        trained: the prior, its recipe and its report.
        description: one sentence for people, kept in the header.
    """
    prior = trained.prior.to("cpu", torch.float32)
    tensors = {"filters": prior.filters, "alphas": prior.alphas, "bias": prior.bias}
    metadata = {
        "format": _FORMAT,
        "key": trained.recipe.key,
        "recipe": trained.recipe.to_json(),
        "report": json.dumps(dataclasses.asdict(trained.report)),
        "description": description,
    }
    return save({name: tensor.contiguous() for name, tensor in tensors.items()}, metadata)


def from_blob(blob: bytes, source: str = "prior") -> TrainedPrior:
    """Return the prior kept in ``blob``.

    Args:
        blob: what :func:`to_blob` gave.
        source: where the bytes come from, for the message.

    Raises:
        InputError: not such a file, cut off, or with contents that do not belong together.
    """
    recipe, report, _ = read_header(blob, source)
    try:
        tensors: dict[str, Tensor] = load(blob)
        filters, alphas, bias = tensors["filters"], tensors["alphas"], tensors["bias"]
    except (SafetensorError, KeyError) as error:
        raise InputError(_damaged(source, error)) from error
    size = recipe.patch_size
    if filters.shape != (recipe.experts, 3, size, size):
        wanted = (recipe.experts, 3, size, size)
        raise InputError(_damaged(source, f"filters of shape {tuple(filters.shape)} where its recipe says {wanted}"))
    prior = PatchExperts(filters.float(), alphas.float(), bias.float(), expert_by_name(recipe.expert))
    return TrainedPrior(prior, recipe, report)


def read_header(blob: bytes, source: str = "prior") -> tuple[Recipe, TrainingReport, str]:
    """Return recipe, report and description without reading the tensors; ``blob`` may end after the header.

    Raises:
        InputError: not a prior, or one whose recipe does not have the key it names.
    """
    try:
        length = int.from_bytes(blob[:8], "little")
        if len(blob) < 8 + length:
            raise ValueError("it ends within its header")
        metadata: dict[str, Any] = json.loads(blob[8 : 8 + length])["__metadata__"]
        if metadata["format"] != _FORMAT:
            raise ValueError(f"format {metadata['format']!r} instead of {_FORMAT!r}")
        recipe = Recipe.from_mapping(json.loads(metadata["recipe"]))
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
