"""Which store the dashboard reads."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

STORE_VARIABLE = "RESTORATION_STORE"
DEFAULT_STORE = "sqlite:///restoration.db"


def store_url(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> str:
    """Return the store's address: ``--store URL``, else ``RESTORATION_STORE``, else ``sqlite:///restoration.db``.

    Args:
        arguments: what follows ``--`` in ``streamlit run app.py -- --store URL``.
        environment: the process's environment.
    """
    given = list(arguments)
    for position, argument in enumerate(given):
        if argument.startswith("--store="):
            return argument.removeprefix("--store=")
        if argument == "--store" and position + 1 < len(given):
            return given[position + 1]
    return environment.get(STORE_VARIABLE) or DEFAULT_STORE
