"""``restoration sweep``: search the weights of the priors, and ask for what was found."""

from __future__ import annotations

import click

from sweeps.commands.common import Addresses, address_options
from sweeps.commands.pictures import pictures
from sweeps.commands.planning import plan, validate
from sweeps.commands.reading import best, export, status
from sweeps.commands.running import replay, resume, run
from sweeps.commands.upkeep import delete, sync
from sweeps.commands.writing import init, keys


@click.group(short_help="Search the weights of priors, and read results.")
@address_options
@click.pass_context
def sweep(context: click.Context, addresses: Addresses) -> None:
    """Search a space of priors over pictures: validate, plan, run, and read what was found."""
    context.obj = addresses


for _command in (init, keys, validate, plan, run, status, best, pictures, export, resume, replay, sync, delete):
    sweep.add_command(_command)
