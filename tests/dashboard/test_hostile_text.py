"""Stored text is shown as text on every page, whatever markup it holds."""

import json
import re
from typing import Any

import pytest

from sweeps.store import SweepStatus
from tests.dashboard.conftest import Show
from tests.dashboard.filling import Filler
from tests.dashboard.pages import HOSTILE, figures, sound


def hostile_comparison() -> dict[str, Any]:
    one = {"winner": 1.0, "baseline": 2.0, "difference": -1.0, "interval": [-2.0, 0.0], "better_on": 0, "pictures": 1}
    values = {HOSTILE: {"winner": 1.0, "baseline": 2.0}}
    return {"winner": 1, "seeds": 3, "comparisons": {HOSTILE: {"psnr": {**one, "by_picture": values}}}}


class TestHostileText:
    @pytest.fixture
    def filled(self, url: str) -> str:
        filler = Filler(url, HOSTILE, owner=HOSTILE, images=[HOSTILE], planned=3, spec_yaml=HOSTILE)
        filler.ask(0, {HOSTILE: HOSTILE, "w": 1.0}, baseline=HOSTILE)
        filler.complete(0, {"w": 1.0})
        filler.ask(1, {HOSTILE: "other", "w": 2.0})
        filler.complete(1, {"w": 2.0})
        filler.ask(2, {HOSTILE: "third", "w": 3.0})
        filler.fail(2, HOSTILE)
        filler.close(SweepStatus.COMPLETE, {"summary": HOSTILE, **hostile_comparison()})
        return url

    @pytest.mark.parametrize(
        ("page", "query"), [("sweeps", {}), ("sweep", {}), ("trial", {"trial": "1"}), ("trial", {"trial": "2"})]
    )
    def test_stored_text_is_never_markup(self, show: Show, filled: str, page: str, query: dict[str, str]) -> None:
        app = sound(show(page, sweep=HOSTILE, **query))
        interpreted = ("title", "subheader", "markdown", "caption", "info", "warning", "error")
        texts = [item.value for kind in interpreted for item in getattr(app, kind)]
        texts += [caption for image in app.image for caption in image.captions]
        texts += [text for metric in app.metric for text in (metric.label, metric.delta)]
        texts += [link.label for link in app.page_link]
        for markup in ("<img", r"\[go", r"\*\*bold", r"\$x", ":red\\["):
            assert not [text for text in texts if re.search(rf"(?<!\\){markup}", text)]
        assert not [chart for chart in figures(app) if "<img" in json.dumps(chart)]
