"""``sweep sync`` and ``sweep delete``: keeping MLflow complete and the store small."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import click

from restoration_core.errors import Failure, InputError
from sweeps.commands.common import Addresses, address_options, json_option, print_json


@click.command(short_help="Give MLflow what the store has and it has not.")
@click.argument("name", required=False)
@json_option
@address_options
def sync(name: str | None, as_json: bool, addresses: Addresses) -> None:
    """Give MLflow what the store has and it has not: all sweeps, or NAME. Twice is the same as once.

    Each sweep goes to the MLflow where it is tracked; --mlflow names another for all of them. Sweeps that were run with
    --mlflow off are written as well.
    """
    from sweeps.tracking import sync as sync_tracking

    try:
        report = sync_tracking(addresses.store, addresses.tracked(), name, each_to_its_own=not addresses.mlflow_given)
    except Failure as error:
        named = f" {name}" if name else ""
        raise Failure(f"{error}; to go on: restoration sweep sync{named}{addresses.options()}") from error
    found: dict[str, Any] = dataclasses.asdict(report)
    for note in report.notes:
        click.echo(note, err=True)
    if as_json:
        print_json(found)
    else:
        click.echo(f"MLflow: {report.delivered} runs written, {report.already} were there, {report.failed} failed")
    if report.failed:
        click.echo(f"error: {report.error}; valid: an MLflow that answers, then sync again", err=True)
        click.get_current_context().exit(1)


@click.command(short_help="Delete a sweep from the store.")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@address_options
def delete(name: str, yes: bool, addresses: Addresses) -> None:
    """Delete sweep NAME from the store, its trials and the pictures that no other sweep shows. MLflow is left alone."""
    from sweeps.commands.reading import check_exists
    from sweeps.store import open_writer

    check_exists(addresses.store, name)
    if not yes:
        if not sys.stdin.isatty():
            raise InputError(f"sweep delete {name} needs a confirmation; valid: --yes where nobody can answer")
        click.confirm(f"Delete sweep {name} from {addresses.shown_store}?", abort=True)
    with open_writer(addresses.store) as writer:
        gone = writer.delete_sweep(name)
    rows = ", ".join(f"{count} {table}" for table, count in gone.items() if count)
    click.echo(f"deleted {name}: {rows}")
