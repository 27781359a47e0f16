"""Which pictures a user means: paths, globs, folders and samples, each as a reference that is plain text."""

from __future__ import annotations

import collections
import fnmatch
import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from restoration_core.errors import InputError, InputErrors, unknown
from restoration_core.images.samples import PREFIX, sample_names, sample_path
from restoration_core.paths import as_text, check_file, from_text, is_file, reason, shown, user_path

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".tif", ".tiff"),
    *(".bmp", ".gif", ".ppm", ".pgm", ".pbm", ".pnm"),
)


def picture_path(reference: str | os.PathLike[str]) -> Path:
    """Return the file of a reference: of ``sample:NAME``, or of a path as a user or :func:`expand_images` writes it.

    Raises:
        InputError: no sample of that name.
    """
    text = os.fspath(reference)
    if text.startswith(PREFIX):
        return sample_path(text.removeprefix(PREFIX))
    return user_path(from_text(text)) if text.startswith("~") else from_text(text)


def picture_reference(path: str | os.PathLike[str]) -> str:
    r"""Return how a file is called wherever a picture is named: text that :func:`picture_path` takes back.

    Bytes that are not UTF-8 are written as ``\xNN``, and a name that would be read as a sample or a home folder gets
    ``./`` in front.

    Raises:
        InputError: another file has that text for a name.
    """
    text = as_text(path)
    if text != os.fspath(path) and os.path.lexists(text):
        raise InputError(f"{shown(path)}: two files have names that are written so; valid: rename one of them")
    return f"./{text}" if text.startswith((PREFIX, "~")) else text


def folder_pictures(folder: Path) -> list[Path]:
    """Return the picture files that lie directly in a folder, known by their endings, in alphabetical order.

    Hidden files are passed over, as globs do: a folder that was on a Mac has a ``._photo.jpg`` beside ``photo.jpg``.

    Raises:
        InputError: no such folder, or no picture in it.
    """
    if not os.path.isdir(folder):
        raise InputError(f"{shown(folder)}: no such folder; valid: a folder of pictures")
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise InputError(f"{shown(folder)}: cannot be read ({reason(error)}); valid: a folder of pictures") from error
    visible = (folder / name for name in names if not name.startswith("."))
    found = [path for path in visible if path.suffix.lower() in SUFFIXES and is_file(path)]
    if not found:
        raise InputError(f"{shown(folder)}: no picture in it; valid: files that end in {', '.join(SUFFIXES)}")
    return found


def expand_images(references: Iterable[str], base_dir: str | os.PathLike[str] = ".") -> list[str]:
    """Return one reference per picture: globs expanded in alphabetical order, duplicates dropped.

    Args:
        references: paths, globs (``photos/**/*.jpg``), ``sample:NAME`` or ``sample:*``.
        base_dir: folder that relative paths start from.

    Returns:
        References as :func:`picture_path` takes them (absolute where ``base_dir`` is).

    Raises:
        InputErrors: one line for each that names no picture.
    """
    found: dict[str, None] = {}
    faults: list[str] = []
    for reference in references:
        try:
            found.update(dict.fromkeys(_matches(reference, Path(base_dir))))
        except InputError as error:
            faults.append(str(error))
    if faults:
        raise InputErrors(faults)
    return list(found)


def _matches(reference: str, base_dir: Path) -> list[str]:
    if reference.startswith(PREFIX):
        pattern = reference.removeprefix(PREFIX)
        samples = [PREFIX + name for name in sample_names() if fnmatch.fnmatchcase(name, pattern)]
        if samples:
            return samples
        if not is_file(base_dir / reference):
            raise InputError(unknown("sample picture", pattern, sample_names()))
    path = _under(base_dir, reference)
    if os.path.lexists(path):
        _check_picture(path)
        return [picture_reference(path)]
    found = [picture_reference(match) for match in _globbed(reference, base_dir)]
    if not found:
        place = shown(base_dir.resolve())
        raise InputError(f"{shown(reference)}: matches no picture in {place}; valid: a path, a glob, or {PREFIX}NAME")
    return found


def _under(base_dir: Path, reference: str) -> Path:
    path = user_path(reference)
    return path if path.is_absolute() else from_text(str(base_dir / path))


def _check_picture(path: Path) -> None:
    if path.is_dir():
        example = shown(path / "*.jpg")
        raise InputError(f"{shown(path)}: is a folder; valid: a picture, or a glob such as {example}")
    check_file(path, "picture", f"a picture file or {PREFIX}NAME")


def _globbed(pattern: str, base_dir: Path) -> list[str]:
    """Return the files that fit a glob, sorted."""
    path = user_path(pattern)
    whole = str(path if path.is_absolute() else Path(glob.escape(str(base_dir))) / path)
    if whole == "**" or whole.endswith("/**"):
        whole += "/*"
    return sorted({match for match in _glob("", whole) if is_file(Path(match))})


def _glob(root: str, pattern: str) -> Iterator[str]:
    """Yield what fits a glob below ``root``; ``**`` is walked here, see :func:`_folders`."""
    above, recursive, below = pattern.partition("**/")
    if not recursive or (above and not above.endswith("/")):
        yield from (os.path.join(root, match) for match in glob.glob(pattern, root_dir=root or None))
        return
    for start in glob.glob(above, root_dir=root or None) if above else [""]:
        for folder in _folders(os.path.join(root, start)):
            yield from _glob(folder, below)


def _folders(start: str) -> Iterator[str]:
    """Yield a folder and all below it, hidden ones aside; links are followed, but no folder is entered twice.

    ``glob`` itself would follow a link to a folder above until the path is too long. What lies nearer comes first, so
    that a folder that is reached in several ways is called by the shortest.
    """
    entered: set[tuple[int, int]] = set()
    waiting = collections.deque([start])
    while waiting:
        folder = waiting.popleft()
        try:
            here = os.stat(folder or ".")
            names = sorted(os.listdir(folder or "."))
        except OSError:  # no folder, one that may not be read, or gone meanwhile
            continue
        if (here.st_dev, here.st_ino) not in entered:
            entered.add((here.st_dev, here.st_ino))
            yield folder
            below = (os.path.join(folder, name) for name in names if not name.startswith("."))
            waiting.extend(path for path in below if os.path.isdir(path))
