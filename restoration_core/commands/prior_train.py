"""``restoration prior train``: learn a prior on pictures or on a layer's feature maps."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from restoration_core.commands.progress import WorkDisplay
from restoration_core.errors import InputError, InputErrors, unknown

if TYPE_CHECKING:
    from restoration_core.networks import Classifier
    from restoration_core.priors.maps import MapSource, Photographs
    from restoration_core.priors.training import PriorRecipe

# torch is imported inside the command, so that `--help` answers at once.


@click.command(short_help="Learn a prior on pictures or feature maps.")
@click.option(
    "--images", default="samples", show_default=True, metavar="DIR|samples", help="Photographs to learn from."
)
@click.option("--network", help="Network whose feature maps to learn from; default: the pictures themselves.")
@click.option("--weights", help="bundled, imagenet, random or a path; default: the network's own.")
@click.option("--layer", help="Its layer, e.g. conv2/relu.")
@click.option(
    "--family", default="patch_experts", show_default=True, help="patch_experts, convolutional_experts or denoiser."
)
@click.option("--expert", help="logistic (ICA, the default of patch experts) or student_t (field of experts).")
@click.option(
    "--patch-size", type=int, help="Side of a patch; default: 8, on maps what the layer sees of the one before."
)
@click.option("--experts", type=int, help="Number of filters; default: twice the dimensions, at most 512.")
@click.option("--bank", help="full, channelwise (filters for each channel) or separable (depth-wise, then point-wise).")
@click.option("--channels", metavar="0-31,40", help="Channels of the layer to learn; default: all.")
@click.option("--multiplier", type=int, help="Depth-wise filters of a channel in a separable bank; default: 4.")
@click.option("--whitening", help="pca (default) or zca.")
@click.option("--dims", type=int, help="Whitened dimensions kept; default: all, of a full bank on maps at most 300.")
@click.option(
    "--sigma", type=float, help="White noise on the patches: RGB in [0, 1] (0.08), or a share of the maps' own (0.1)."
)
@click.option("--remove-dc", is_flag=True, default=None, help="Subtract each patch's mean per channel.")
@click.option(
    "--free-norms/--unit-norms",
    default=None,
    help="Filters of any norm (default) or of norm 1 (the thesis).",
)
@click.option(
    "--short-side",
    type=int,
    help="Resize photographs to this shorter side in pixels; default: 160, for maps the network's size, at least 64.",
)
@click.option("--patches", type=int, help="Patches drawn from the photographs or maps; default: 50000.")
@click.option("--iterations", type=int, help="Most optimiser steps; default: 2000.")
@click.option("--batch", type=int, help="Patches or crops in a step.")
@click.option("--learning-rate", type=float, help="Of Adam, at the start; default: 0.003, with --unit-norms 0.05.")
@click.option("--seed", type=int, help="Of patches, first filters and order.")
@click.option(
    "--set", "others", multiple=True, metavar="FIELD=VALUE", help="Any other field of the family's recipe, as JSON."
)
@click.option("--half", is_flag=True, help="Keep the filters in float16: half the size, about 3 digits.")
@click.option("--out", type=click.Path(path_type=Path), help="Also write the prior to this file.")
@click.option(
    "--library",
    type=click.Path(path_type=Path),
    help="Folder of the library; default: RESTORATION_PRIORS or the cache.",
)
def train(
    images: str,
    network: str | None,
    weights: str | None,
    layer: str | None,
    family: str,
    channels: str | None,
    short_side: int | None,
    others: tuple[str, ...],
    half: bool,
    out: Path | None,
    library: Path | None,
    **given: Any,
) -> None:
    """Train a prior, unless the library has it already.

    Without --layer it learns from the pictures themselves, with --network and --layer from that layer's feature maps. A
    training that was interrupted goes on where it was when the same command is given again.
    """
    from restoration_core.priors.library import PriorLibrary
    from restoration_core.priors.maps import FeatureMaps

    classifier = _network(network, weights, layer)
    side = _short_side(short_side, classifier)
    photographs = _photographs(images, side)
    source: MapSource = photographs
    if classifier is not None:
        assert layer is not None
        source = FeatureMaps(classifier, layer, photographs)
    recipe = _recipe(family, given, channels, others, side, source, classifier)
    if out is not None and not out.parent.is_dir():
        raise InputError(f"--out {out}: no folder {out.parent}; valid: a file in a folder that exists")
    shelf = PriorLibrary(library)
    description = (
        f"{len(photographs)} {'sample pictures' if images == 'samples' else 'photographs'}, shorter side {side} px"
    )
    if any(entry.key == recipe.key for entry in shelf.list()):
        click.echo("the library has this prior already", err=True)
    elif shelf.checkpoint(recipe).load() is not None:
        click.echo("going on with a training that was interrupted", err=True)
    else:
        click.echo(f"learning {recipe.title} from {description}", err=True)
    with WorkDisplay(line_every_s=0.0) as display:
        shelf.get(recipe, lambda: source, Announced(display), description, half=half)
    entry = shelf.entry(recipe.key)
    if out is not None:
        aside = out.with_name(out.name + ".part")
        aside.write_bytes(shelf.blob(entry.key))
        aside.replace(out)
    report = entry.report
    dims = f" {report.dims} dimensions," if report.dims else ""
    why = "" if report.stopped == "finished" else f", stopped early: {report.stopped}"
    click.echo(
        f"{entry.key}  {entry.name}: {report.iterations} steps in {report.train_time_s:.0f} s,"
        f"{dims} held-out loss {report.losses[0][1]:.4g} -> {report.best_loss:.4g}{why}"
    )
    click.echo(str(entry.path if out is None else out))


class Announced:
    """Shows every check of a training: step, held-out loss, and the time left at the speed since the first check."""

    def __init__(self, display: WorkDisplay) -> None:
        self._display = display

    def __call__(self, step: int, steps: int, loss: float) -> None:
        self._display.show("training", step, steps, f"step {step} of {steps}: held-out loss {loss:.3f}")


def _network(name: str | None, weights: str | None, layer: str | None) -> Classifier | None:
    if layer is None:
        if name is not None or weights is not None:
            raise InputError("--network: a layer is needed with it; valid: --network NAME --layer LAYER")
        return None
    from restoration_core.networks import open_network

    return open_network(name or "cifar_alexnet", weights)


def _short_side(given: int | None, classifier: Classifier | None) -> int:
    from restoration_core.priors.maps import map_short_side

    if given is not None and given < 1:
        raise InputError(f"--short-side: short_side >= 1 must hold, but got {given}")
    if given is not None:
        return given
    return 160 if classifier is None else map_short_side(classifier)


def _photographs(images: str, short_side: int) -> Photographs:
    from restoration_core.priors.maps import SAMPLES, check_contrast, load_folder, load_samples

    found = load_samples(short_side) if images == SAMPLES else load_folder(Path(images), short_side)
    check_contrast(found)  # a layer's maps of flat pictures may still vary along their borders
    return found


def _recipe(
    family: str,
    given: Mapping[str, Any],
    channels: str | None,
    others: Sequence[str],
    short_side: int,
    source: MapSource,
    classifier: Classifier | None,
) -> PriorRecipe:
    """Return the recipe of the options; those that were not given keep the family's defaults."""
    from restoration_core.priors.denoiser import MAP_LEVELS
    from restoration_core.priors.library import family_by_name

    kind = family_by_name(family)
    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if channels is not None:
        chosen["channels"] = parse_channels(channels)
    valid = {field.name for field in fields(kind.recipe)}
    for name in chosen:
        if name not in valid:
            raise InputError(
                f"--{name.replace('_', '-')}: the family {family} has no such field; valid: {_listed(valid)}"
            )
    for text in others:
        name, equals, value = text.partition("=")
        if not equals or name in ("pictures", "short_side", "maps"):
            raise InputError(f"--set {text}: FIELD=VALUE is needed; valid fields: {_listed(valid)}")
        chosen[name] = _value(value)
    chosen |= {"pictures": source.identity, "short_side": short_side, "maps": source.layer_maps}
    if faults := kind.recipe.type_faults(chosen):
        raise InputErrors([f"--set {fault}" for fault in faults])
    if family == "denoiser" and classifier is not None and not {"levels", "held_out_levels"} & chosen.keys():
        chosen = MAP_LEVELS | chosen
    if family == "patch_experts":
        chosen = _patch_defaults(chosen, source, classifier) | chosen
    for name in chosen:
        if name not in valid:
            raise InputError(f"--set {name}: {unknown('recipe field', name, sorted(valid))}")
    return kind.recipe.from_mapping(chosen)


def _patch_defaults(chosen: Mapping[str, Any], source: MapSource, classifier: Classifier | None) -> dict[str, Any]:
    """Return what a recipe of patch experts has where nothing is given: noise and norms of the kind that specs mean."""
    from restoration_core.priors.patch_experts import FREE_NORMS_RATE, MAP_DIMS, UNIT_NORMS_RATE, default_recipe

    maps, expert = source.layer_maps, chosen.get("expert", "logistic")
    if classifier is None or maps is None:
        usual = default_recipe(expert, chosen.get("patch_size"))
    else:
        usual = default_recipe(expert, chosen.get("patch_size"), layer=maps.layer, network=classifier)
    free, size = chosen.get("free_norms", usual.free_norms), usual.patch_size
    defaults: dict[str, Any] = {
        "expert": expert,
        "sigma": usual.sigma,
        "free_norms": free,
        "learning_rate": FREE_NORMS_RATE if free else UNIT_NORMS_RATE,
        "patches": 50_000,
        "iterations": 2000,
    }
    seen = len(chosen["channels"]) if "channels" in chosen else source.channels
    whole = (seen if chosen.get("bank", "full") == "full" else 1) * max(size, 1) ** 2
    if maps is not None and chosen.get("bank", "full") == "full":
        defaults["dims"] = min(MAP_DIMS, whole)
    dims = chosen.get("dims", defaults.get("dims"))
    dims = whole if dims is None else dims
    if chosen.get("bank") == "separable":
        dims *= seen
    return defaults | {"patch_size": size, "experts": max(1, min(512, 2 * dims))}


def parse_channels(text: str) -> tuple[int, ...]:
    """Return the numbers of ``0-31,40``: ranges with both ends, and single ones.

    Raises:
        InputError: something else.
    """
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or (dash and int(last) < int(first)):
            raise InputError(f"--channels {text}: {part!r} is no channel; valid: numbers and ranges, 0-31,40")
        if int(last or first) > 100_000:
            raise InputError(f"--channels {text}: {last or first} is too large; valid: channels of the layer")
        found += range(int(first), int(last or first) + 1)
    return tuple(found)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names - {"pictures", "short_side", "maps"}))
