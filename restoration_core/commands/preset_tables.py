"""The constants of presets, layer by layer, as ``restoration networks NAME --presets`` prints them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from restoration_core.commands.tables import cell, output_width, print_table

if TYPE_CHECKING:
    from restoration_core.objectives import Preset


def print_presets(network: str, names: Sequence[str], as_json: bool) -> None:
    """Print the constants of some presets for every layer of a network, as they were published.

    JSON has each constant in our units too: weights on means over pixels of RGB in [0, 1], against the normalised
    feature loss.

    Args:
        network: its name; no weights are needed.
        names: of the presets; all when empty.
        as_json: print JSON instead of tables.

    Raises:
        InputError: for an unknown network or preset.
    """
    from restoration_core.networks import outline_network
    from restoration_core.objectives import PRESETS, open_preset

    classifier = outline_network(network)
    found = {
        name: {layer: open_preset(name, classifier, layer) for layer in classifier.layers} for name in names or PRESETS
    }
    if as_json:
        document = {name: _as_data(layers) for name, layers in found.items()}
        click.echo(json.dumps({"network": network, "presets": document}, indent=2))
        return
    for number, (name, layers) in enumerate(found.items()):
        published = any(preset.published for preset in layers.values())
        units = "as published (--json adds our units)" if published else "in our units"
        click.echo(f"{chr(10) if number else ''}{name} on {network}, {units}")
        _print_table(layers)


def _as_data(layers: dict[str, Preset]) -> list[dict[str, object]]:
    return [
        {"layer": layer, "constants": [asdict(constant) for constant in preset.constants()]}
        for layer, preset in layers.items()
    ]


def _print_table(layers: dict[str, Preset]) -> None:
    rows = {layer: {c.name: c for c in preset.constants()} for layer, preset in layers.items()}
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    units = {name: constant.unit for row in rows.values() for name, constant in row.items()}
    named = {name: name.replace("_", " ") for name in columns}
    table = [
        {"layer": layer, **{named[name]: _shown(row[name].value) if name in row else "-" for name in columns}}
        for layer, row in rows.items()
    ]
    # On a terminal a constant that is the same at every layer is said once; a pipe gets every column.
    seen = output_width() is not None and len(table) > 1
    same = [name for name in columns if seen and len({row[named[name]] for row in table}) == 1]
    print_table(table, ["layer", *(named[name] for name in columns if name not in same)])
    for name in columns:
        everywhere = f"{table[0][named[name]]} at every layer; " if name in same else ""
        click.echo(f"  {named[name]}: {everywhere}{units[name]}")


def _shown(value: float) -> str:
    return str(int(value)) if value == int(value) else cell(value)
