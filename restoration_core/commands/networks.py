"""``restoration networks`` (names and layers) and ``restoration network train``."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from restoration_core.commands.progress import WorkDisplay
from restoration_core.commands.tables import print_table
from restoration_core.errors import InputError
from restoration_core.informing import PrintingCommand

if TYPE_CHECKING:
    from restoration_core.networks import TrainingReport


@click.command(cls=PrintingCommand, short_help="List the networks, or the layers of one.")
@click.argument("name", required=False)
@click.option("--size", type=click.IntRange(min=1), help="Picture size for the shapes (default: the native size).")
@click.option("--presets", "with_presets", is_flag=True, help="Print every preset's constants layer by layer.")
@click.option("--preset", "presets", multiple=True, metavar="PRESET", help="Only this preset's constants; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def networks(name: str | None, size: int | None, with_presets: bool, presets: tuple[str, ...], as_json: bool) -> None:
    """List the networks, or the layers of the network NAME.

    With --presets the constants of the presets for each layer instead, of cifar_alexnet when no NAME is given.
    """
    if with_presets or presets:
        from restoration_core.commands.preset_tables import print_presets

        if size is not None:
            raise InputError("--size has no part in the constants of presets; valid: --presets without --size")
        print_presets("cifar_alexnet" if name is None else name, presets, as_json)
    elif name is None:
        if size is not None:
            raise InputError("--size needs the name of a network; valid: restoration networks NAME --size N")
        _print_networks(as_json)
    else:
        _print_layers(name, size, as_json)


def _print_networks(as_json: bool) -> None:
    from restoration_core.networks import network_entries

    entries = network_entries()
    if as_json:
        click.echo(json.dumps([asdict(entry) for entry in entries], indent=2))
        return
    rows = [
        {
            "network": entry.name,
            "native size": entry.native_size,
            "parameters": f"{entry.parameters / 1e6:.1f} M" if entry.parameters else None,
            "layer names": "conv3/relu" if entry.thesis_names else "module paths",
            "weights": " ".join(entry.weights),
        }
        for entry in entries
    ]
    print_table(rows, list(rows[0]))


def _print_layers(name: str, size: int | None, as_json: bool) -> None:
    from restoration_core.networks import outline_network

    network = outline_network(name)
    size = network.native_size if size is None else size
    rows: list[dict[str, Any]] = []
    for layer in network.layers:
        try:
            shape, needs = list(network.shape(layer, size)), None
        except InputError as error:
            shape, needs = None, str(error).rpartition("valid sizes: ")[2]
        stride, field = network.stride(layer), network.receptive_field(layer)
        rows.append({"layer": layer, "shape": shape, "stride": stride, "receptive_field": field, "valid_sizes": needs})
    if as_json:
        click.echo(json.dumps({"network": name, "size": size, "layers": rows}, indent=2))
        return
    table = [
        {
            "layer": row["layer"],
            f"shape at {size} px": " x ".join(map(str, row["shape"]))
            if row["shape"]
            else f"takes {row['valid_sizes']} px",
            "stride": row["stride"],
            "receptive field": row["receptive_field"],
        }
        for row in rows
    ]
    print_table(table, list(table[0]))


@click.group(short_help="Train the small bundled network.")
def network() -> None:
    """Train the small network that ships with the package."""


@network.command(short_help="Train cifar_alexnet on CIFAR-10.")
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Folder with CIFAR-10.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Where to write the .safetensors file.")
@click.option("--epochs", type=click.IntRange(min=1), default=10, show_default=True)
@click.option("--batch-size", type=click.IntRange(min=2), default=128, show_default=True)
@click.option("--learning-rate", type=click.FloatRange(min=0, min_open=True), default=0.2, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--overwrite", is_flag=True, help="Replace the file --out names.")
def train(
    data: Path, out: Path, epochs: int, batch_size: int, learning_rate: float, seed: int, overwrite: bool
) -> None:
    """Train cifar_alexnet on CIFAR-10; the file then serves as `weights:`."""
    from restoration_core.networks import TrainingRecipe, train_cifar_alexnet

    _check_output(out, overwrite)
    recipe = TrainingRecipe(epochs=epochs, batch_size=batch_size, peak_learning_rate=learning_rate, seed=seed)
    with WorkDisplay() as display:

        def report_epoch(epoch: int, loss: float, accuracy: float) -> None:
            click.echo(f"epoch {epoch}/{epochs}  loss {loss:.4f}  test accuracy {accuracy:.4f}", err=True)

        def report_step(done: int, total: int) -> None:
            display.show("training", done, total, f"step {done} of {total} in {epochs} epochs")

        report = train_cifar_alexnet(data, recipe, report_epoch, report_step)
    _write(report, out)
    click.echo(f"{out}: test accuracy {report.test_accuracy:.4f} after {report.train_time_s:.0f} s")


def _check_output(out: Path, overwrite: bool) -> None:
    """Fail before the training rather than after it."""
    if out.suffix != ".safetensors":
        raise InputError(f"--out {out}: unknown kind of file {out.suffix!r}; valid: a name ending in .safetensors")
    if not out.parent.is_dir():
        raise InputError(f"--out {out}: no folder {out.parent}; valid: a file in an existing folder")
    if not os.access(out.parent, os.W_OK):
        raise InputError(f"--out {out}: the folder {out.parent} cannot be written; valid: another folder")
    if out.exists() and not overwrite:
        raise InputError(f"--out {out}: exists already; valid: another name, or --overwrite")


def _write(report: TrainingReport, out: Path) -> None:
    from safetensors.torch import save

    state = {key: value.contiguous() for key, value in report.model.state_dict().items()}
    aside = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        aside.write_bytes(save(state, metadata=report.metadata()))
        aside.replace(out)
    finally:
        aside.unlink(missing_ok=True)
