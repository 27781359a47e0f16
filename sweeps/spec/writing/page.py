"""docs/SPEC.md, the reference of every key of a spec: ``python -m sweeps.spec.writing.page docs/SPEC.md``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from sweeps.spec.writing.entries import Section, sections
from sweeps.spec.writing.starter import starter

_HEAD = """# Every key of a spec

A sweep is described by a YAML file. `restoration sweep init mine.yaml` writes the one below, and `restoration sweep
validate mine.yaml` names every fault in it. `restoration sweep keys` prints this page in a terminal, `restoration sweep
keys jitter` what it says of jitter.

Made from the code by `make spec-page`; a test fails when it is not as the code has it.

## An example

```yaml
{example}```
"""
_TAIL = """
## Earlier names

`range`, with `range.weight` and `range.alpha`, is read as `isotropic_range`.
"""


def page() -> str:
    """Return the page as Markdown."""
    parts = [_HEAD.format(example=starter("mine"))]
    parts += ["\n".join(_section(section)) + "\n" for section in sections()]
    return "\n".join(parts) + _TAIL


def _section(section: Section) -> Iterator[str]:
    yield f"## {section.title}\n"
    yield f"{section.text}\n"
    metrics = section.title == "Metrics"
    yield "| metric | goal | | meaning |" if metrics else "| key | valid | default | meaning |"
    yield "|---|---|---|---|"
    for entry in section.entries:
        cells = (f"`{entry.name}`", entry.valid, entry.default, entry.meaning)
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
