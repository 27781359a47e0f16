"""A report as blocks, which are written as Markdown with a folder of figures, or as one HTML file."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #24292f; max-width: 78rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0; font-size: 13px } th, td { padding: .2rem .6rem; text-align: right }
th:first-child, td:first-child { text-align: left } tr { border-bottom: 1px solid #d8dee4 } img { max-width: 100% }
"""


@dataclass(frozen=True)
class Heading:
    text: str
    level: int = 2


@dataclass(frozen=True)
class Text:
    text: str


@dataclass(frozen=True)
class Items:
    items: Sequence[str]


@dataclass(frozen=True)
class Table:
    """Columns and rows of plain text."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Figure:
    """A picture, SVG or PNG, with the name of its file."""

    name: str
    content: bytes
    caption: str

    @property
    def kind(self) -> str:
        return "image/svg+xml" if self.name.endswith(".svg") else "image/png"


Block = Heading | Text | Items | Table | Figure


def markdown(blocks: Iterable[Block], figures: str) -> str:
    """Return the report as Markdown.

    Args:
        blocks: of the report.
        figures: folder of its figures, relative to where the text goes.
    """
    return "\n\n".join(_markdown(block, figures) for block in blocks) + "\n"


def page(blocks: Iterable[Block], title: str) -> str:
    """Return the report as an HTML page that needs no other file."""
    body = "\n".join(_html(block) for block in blocks)
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n'


def write(blocks: Sequence[Block], folder: Path, title: str) -> tuple[Path, Path]:
    """Write ``report.md`` with ``figures/`` and ``report.html``; return the two files."""
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for block in blocks:
        if isinstance(block, Figure):
            (folder / "figures" / block.name).write_bytes(block.content)
    text, whole = folder / "report.md", folder / "report.html"
    text.write_text(markdown(blocks, "figures"))
    whole.write_text(page(blocks, title))
    return text, whole


def _markdown(block: Block, figures: str) -> str:
    if isinstance(block, Heading):
        return f"{'#' * block.level} {block.text}"
    if isinstance(block, Text):
        return block.text
    if isinstance(block, Items):
        return "\n".join(f"- {item}" for item in block.items)
    if isinstance(block, Figure):
        return f"![{block.caption}]({figures}/{block.name})\n\n{block.caption}"
    ruler = ["---", *("---:" for _ in block.columns[1:])]
    lines = [block.columns, ruler, *([cell.replace("|", "\\|") for cell in row] for row in block.rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _html(block: Block) -> str:
    if isinstance(block, Heading):
        return f"<h{block.level}>{html.escape(block.text)}</h{block.level}>"
    if isinstance(block, Text):
        return f"<p>{html.escape(block.text)}</p>"
    if isinstance(block, Items):
        return "<ul>" + "".join(f"<li>{html.escape(item)}</li>" for item in block.items) + "</ul>"
    if isinstance(block, Figure):
        data = base64.b64encode(block.content).decode()
        caption = html.escape(block.caption)
        return f'<p><img alt="{caption}" src="data:{block.kind};base64,{data}"><br>{caption}</p>'
    head = "".join(f"<th>{html.escape(name)}</th>" for name in block.columns)
    rows = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in block.rows)
    return f"<table><tr>{head}</tr>{rows}</table>"
