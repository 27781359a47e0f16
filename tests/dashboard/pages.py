"""What tests ask of a page that Streamlit's test runner has run."""

import base64
import json
from typing import Any

import numpy as np
from streamlit.testing.v1 import AppTest

HOSTILE = '<img src=x onerror="alert(1)"> [go](http://evil.example) **bold** $x$ :red[y]'
"""Markup of every kind that a page could take for its own."""


def sound(app: AppTest) -> AppTest:
    """Return the page after checking that no exception reached it."""
    assert not app.exception, [item.message for item in app.exception]
    return app


def button(app: AppTest, key: str):
    return next(item for item in app.button if item.key == key)


def figures(app: AppTest) -> list[dict]:
    """Return the charts' data and layout; typed arrays (``bdata``) are decoded."""
    return [decoded(json.loads(item.proto.spec)) for item in app.get("plotly_chart")]


def decoded(node: Any) -> Any:
    if isinstance(node, dict) and "bdata" in node:
        values = np.frombuffer(base64.b64decode(node["bdata"]), dtype=node["dtype"])
        shape = [int(side) for side in str(node.get("shape", len(values))).split(",")]
        return values.reshape(shape).tolist()
    if isinstance(node, dict):
        return {key: decoded(value) for key, value in node.items()}
    return [decoded(item) for item in node] if isinstance(node, list) else node
