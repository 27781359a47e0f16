"""``restoration dashboard``: the browser's view of the store."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import click

from restoration_core.errors import InputError
from sweeps.commands.common import STORE_VARIABLE, Addresses, address_options
from sweeps.shown_address import has_secret


@click.command(short_help="Show the sweeps of a store in the browser.")
@click.option("--port", default=8501, show_default=True, type=click.IntRange(1, 65535))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@address_options
def dashboard(port: int, host: str, addresses: Addresses) -> None:
    """Show the sweeps of a store in the browser, read-only."""
    command = dashboard_command(addresses.store, host, port)
    click.echo(f"dashboard of {addresses.shown_store} on http://{host}:{port} (Ctrl-C ends it)")
    # The address goes by the environment: a process list shows command lines to everybody.
    # Streamlit takes this process's place: with a parent that may be killed it would go on serving without one.
    os.execve(command[0], command, {**os.environ, STORE_VARIABLE: addresses.store})


def dashboard_command(store: str, host: str, port: int) -> list[str]:
    """Return the command line that serves the dashboard; an address with a password is not in it.

    Raises:
        InputError: Streamlit or the dashboard package is not installed.
    """
    for package in ("streamlit", "dashboard"):
        if importlib.util.find_spec(package) is None:
            raise InputError(
                f"`restoration dashboard` needs {package}; valid: pip install 'deep-restoration[dashboard]'"
            )
    found = importlib.util.find_spec("dashboard")
    assert found is not None
    assert found.submodule_search_locations
    app = Path(next(iter(found.submodule_search_locations))) / "app.py"
    settings = {
        "server.address": host,
        "server.port": str(port),
        "server.headless": "true",
        "browser.gatherUsageStats": "false",
    }
    options = [part for name, value in settings.items() for part in (f"--{name}", value)]
    named = [] if has_secret(store) else ["--store", store]
    return [sys.executable, "-m", "streamlit", "run", str(app), *options, "--", *named]
