"""What the documents show works: the README's spec is valid, its Python runs, the commands it names exist."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from restoration_core.cli import restoration
from restoration_core.images import sample_path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language: str) -> list[str]:
    """The README's fenced code blocks of a language, without the indentation of a list."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```", README, flags=re.MULTILINE | re.DOTALL)
    return ["\n".join(line.removeprefix(indent) for line in text.splitlines()) + "\n" for indent, text in found]


def test_readme_spec_is_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sweeps.spec.load import load_spec

    (spec_text,) = blocks("yaml")
    (tmp_path / "photos").mkdir()
    shutil.copy(sample_path("chelsea"), tmp_path / "photos" / "cat.jpg")
    (tmp_path / "mine.yaml").write_text(spec_text)
    monkeypatch.chdir(tmp_path)
    spec = load_spec(tmp_path / "mine.yaml")
    assert spec.name == "mine"
    assert len(spec.images) == 2


@pytest.mark.slow
def test_readme_python_example_reconstructs() -> None:
    example = next(text for text in blocks("python") if "restoration_core" in text)
    done = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.split("\n")[:4]
    assert all(line.startswith("finished ") and float(line.split()[1]) > 10 for line in lines), done.stdout


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_named_in_documents_exist(document: Path) -> None:
    named = re.findall(r"`restoration ([a-z]+)(?: ([a-z]+))?", document.read_text())
    context = click.Context(restoration)
    for name, child in named:
        command = restoration.get_command(context, name)
        assert command is not None, f"restoration {name}"
        if isinstance(command, click.Group) and child:
            assert command.get_command(click.Context(command), child) is not None, f"restoration {name} {child}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_pictures_of_documents_exist(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        assert (document.parent / target).exists(), f"{document.name} points to {target}, which is not there"


def test_make_targets_named_in_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)`", README, flags=re.MULTILINE):
        name = target[0] or target[1]
        assert re.search(rf"^{name}:", makefile, flags=re.MULTILINE), f"make {name}"


def test_functions_that_the_readme_names_beside_a_module_are_there() -> None:
    named = re.findall(r"`(\w+)\([^`]*\)` of\s+`((?:restoration_core|sweeps)[\w.]*)`", README)
    assert named
    assert not [name for name, module in named if not hasattr(importlib.import_module(module), name)]


PATH_IN_CODE = re.compile(r"`([\w./-]*/[\w./-]*|[\w-]+\.(?:py|md|yaml|toml))`")
PACKAGES = (ROOT / "restoration_core", ROOT / "sweeps", ROOT / "dashboard")
ROOMS = (ROOT, ROOT / "docs", *PACKAGES)
TO_BE_MADE = "my_prior"
"""What the reader is told to make."""


@pytest.mark.parametrize("document", ["ARCHITECTURE.md", "GLOSSARY.md", "../CONTRIBUTING.md"])
def test_files_and_folders_named_in_documents_exist(document: str) -> None:
    text = (ROOT / "docs" / document).read_text()
    named = [path for path in PATH_IN_CODE.findall(text) if TO_BE_MADE not in path]
    assert named
    files = {path.name for package in PACKAGES for path in package.rglob("*.py")}
    missing = [path for path in named if path not in files and not any((room / path).exists() for room in ROOMS)]
    assert not missing, f"{document} names {missing}, which are not there"


def test_scripts_and_tests_named_among_the_benchmarks_exist() -> None:
    text = (ROOT / "docs" / "BENCHMARKS.md").read_text()
    named = re.findall(r"((?:benchmarks|tests)/[\w./]+\w)", text)
    assert len(named) > 10
    assert not [path for path in named if not (ROOT / path).exists()]


def glossary() -> list[tuple[str, Path]]:
    lines = [line for line in (ROOT / "docs" / "GLOSSARY.md").read_text().splitlines() if line.startswith("- ")]
    found = [re.fullmatch(r"- \*\*([\w -]+)\*\*: .+\. `([\w./-]+)`", line) for line in lines]
    assert all(found), [line for line, match in zip(lines, found, strict=True) if match is None]
    return [(match[1], ROOT / match[2]) for match in found if match is not None]


def test_the_glossary_is_alphabetical_and_its_files_speak_of_their_terms() -> None:
    terms = glossary()
    assert [term for term, _ in terms] == sorted({term for term, _ in terms})
    silent = [
        f"{term} in {path.relative_to(ROOT)}"
        for term, path in terms
        if not re.search("[ _-]?".join(re.split("[ -]", term)), path.read_text(), flags=re.IGNORECASE)
    ]
    assert not silent


def test_the_readme_says_how_to_call_the_command_before_it_does() -> None:
    said = README.index("source .venv/bin/activate")
    assert said < README.index("`restoration sweep")
    assert said < README.index("\nrestoration ")


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="a package without its repository has no ignored files")
@pytest.mark.parametrize(
    "made",
    [
        *("restoration.db", "restoration.db-wal", "restoration.db-shm"),
        *("mlflow.db", "mlflow.db-journal", "mlflow.db.lock", "mlflow-artifacts/0/picture.png"),
        *(".venv/bin/python", "deep_restoration.egg-info/PKG-INFO", "out/metrics.json"),
    ],
)
def test_what_the_commands_of_the_readme_make_is_ignored(made: str) -> None:
    assert subprocess.run(["git", "check-ignore", "-q", made], cwd=ROOT, check=False).returncode == 0


def test_no_command_of_the_readme_needs_a_file_that_a_clone_does_not_have() -> None:
    for block in blocks(""):
        for line in block.splitlines():
            words = line.partition("#")[0].split()
            if words[:2] == ["restoration", "reconstruct"]:
                assert words[2].startswith("sample:"), line
