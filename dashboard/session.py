"""What every page does first: open the store, or say why it cannot and what to do."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

import streamlit as st

from dashboard.data import Store, open_store
from dashboard.links import SWEEPS_PAGE
from dashboard.settings import store_url
from dashboard.text import escape_markdown
from sweeps.store import StoreFailed

DEMO = "restoration sweep run sweeps/specs/demo.yaml"


def open_or_stop() -> Store:
    """Return the store; without one, draw the way to a first sweep and end the page."""
    url = store_url(sys.argv[1:])
    try:
        return open_store(url)
    except ValueError as error:
        st.title("Deep Restoration")
        st.warning("There is no store to read yet.", icon=":material/database_off:")
        st.text(str(error))
        first_sweep()
        st.stop()


@contextlib.contextmanager
def failures_in_one_line() -> Iterator[None]:
    """If the store fails while a page is drawn, say why in place of the rest of the page."""
    try:
        yield
    except StoreFailed as error:
        st.error("The store cannot be read.", icon=":material/database_off:")
        st.text(str(error))


def first_sweep() -> None:
    """Draw how to run the first sweep."""
    st.markdown("Run a first sweep, then reload this page; it fills while the sweep runs:")
    st.code(DEMO, language="bash")
    st.markdown(
        "Sweeps kept in another store are shown with `restoration dashboard --store URL`, or with the address in "
        "the environment variable `RESTORATION_STORE`."
    )


def refuse(message: str) -> None:
    """Say in one line what is wrong with the address of this page, with the way back, and end the page."""
    st.error(escape_markdown(message), icon=":material/link_off:")
    st.page_link(SWEEPS_PAGE, label="All sweeps", icon=":material/arrow_back:")
    st.stop()
