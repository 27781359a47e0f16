"""How stored text, numbers and times are written on a page."""

from __future__ import annotations

import html
import math
import re
from datetime import datetime
from typing import Any

import pandas as pd

MISSING = "–"
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~:$&^=])")


def escape_markdown(value: object) -> str:
    """Return stored text so that Markdown shows it as it is, on one line; only a bare URL may become a link."""
    return _MARKDOWN.sub(r"\\\1", " ".join(str(value).split()))


def escape_chart(value: object) -> str:
    """Return stored text for a Plotly label, which reads a subset of HTML."""
    return html.escape(str(value))


def is_missing(value: Any) -> bool:
    """Return True for None, NaN, NaT and pandas' NA."""
    return value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def number(value: Any, digits: int = 4) -> str:
    """Return a number with ``digits`` significant digits, a dash when there is none."""
    return MISSING if is_missing(value) else f"{float(value):.{digits}g}"


def duration(seconds: Any) -> str:
    """Return seconds in readable units: ``0.4 s``, ``35 s``, ``3 min 20 s``, ``2 h 05 min``, ``3 d 4 h``."""
    if is_missing(seconds):
        return MISSING
    value = max(0.0, float(seconds))
    if value < 9.95:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def moment(value: datetime | None) -> str:
    """Return a time of the store (UTC) to the second."""
    return MISSING if is_missing(value) or value is None else f"{value:%d %b %Y, %H:%M:%S} UTC"


def plain_value(value: Any) -> str:
    """Return a parameter's value: numbers short, text as it is, absent ones as a dash."""
    if is_missing(value):
        return MISSING
    return f"{value:.6g}" if isinstance(value, float) else str(value)
