"""A module made ready to be cut open: unwrapped, in evaluation mode, frozen, nothing working in place."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from restoration_core.errors import InputError
from restoration_core.networks.separate_rows import separate_rows

_WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel)


def unwrap(module: nn.Module, name: str) -> nn.Module:
    """Return the network inside the wrappers of parallel training and of ``torch.compile``.

    Compiled parts, wherever they are, are replaced by what they were compiled from: a tap inside them would not run.

    Args:
        module: as a user hands it over; its compiled parts are replaced in place.
        name: what an error calls it.

    Raises:
        InputError: for a ScriptModule, whose parts no hook can be attached to.
    """
    while True:
        if isinstance(module, _WRAPPERS):
            module = module.module
        elif isinstance(inner := getattr(module, "_orig_mod", None), nn.Module):
            module = inner
        else:
            break
    for path, part in list(module.named_modules()):
        if isinstance(part, torch.jit.ScriptModule):
            what = f"its module {path!r} is" if path else "it is"
            raise InputError(
                f"network {name!r}: {what} a ScriptModule (torch.jit.script or torch.jit.trace), which cannot be cut "
                "open; valid: the eager torch.nn.Module that it was made from"
            )
        for child_name, child in part.named_children():
            if isinstance(inner := getattr(child, "_orig_mod", None), nn.Module):
                setattr(part, child_name, inner)
        if getattr(part, "_compiled_call_impl", None) is not None:  # set by module.compile()
            part._compiled_call_impl = None
    return module


def materialise(module: nn.Module, size: int) -> None:
    """Give lazy modules (``nn.LazyConv2d``) their parameters by a pass of one black picture of ``size x size``."""
    if any(is_lazy(tensor) for tensor in (*module.parameters(), *module.buffers())):
        module.eval()
        with torch.no_grad():
            module(torch.zeros(1, 3, size, size))


def prepare(module: nn.Module) -> None:
    """Freeze a module in evaluation mode, in place; the function stays the same.

    Activations that work in place are switched to work out of place, so that the value before them can be read, and
    dense layers are computed row by row.
    """
    for part in module.modules():
        if getattr(part, "inplace", False) is True:
            part.inplace = False  # type: ignore[assignment]
        for name, tensor in (*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)):
            if tensor.is_inference():
                setattr(part, name, _outside_inference(tensor))
    separate_rows(module)
    module.eval()  # not chained: a network's own train() may return nothing
    for parameter in module.parameters():
        parameter.requires_grad_(False)


def lay_out(module: nn.Module, memory_format: torch.memory_format) -> None:
    """Store the weights of convolutions in a memory format, in place."""
    for parameter in module.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=memory_format)


def _outside_inference(tensor: Tensor) -> Tensor:
    """Return a copy that autograd may keep, of a tensor made in inference mode."""
    copy = tensor.clone()
    return nn.Parameter(copy, requires_grad=False) if isinstance(tensor, nn.Parameter) else copy
