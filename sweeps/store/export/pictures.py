"""A trial's pictures as files: the originals, what it made of them, and the differences."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from restoration_core.errors import Failure, InputError
from restoration_core.images import PREFIX, free_part, longest_name, same_file
from restoration_core.paths import reason, shown, user_path
from sweeps.store.models import TrialState
from sweeps.store.reader import Reader
from sweeps.store.views import SweepView, TrialView

_BEHIND_NAME = len("-trial-1000000-absolute_difference.png")
_LONGEST_IN_ARCHIVES = 255
_LISTED = 10


@dataclass(frozen=True)
class WrittenPictures:
    """What was written: of which trial, where to, the new files, and those that were there with the same content."""

    number: int
    folder: Path
    written: tuple[str, ...]
    already: tuple[str, ...]


def write_pictures(reader: Reader, name: str, number: int | None, folder: str | Path) -> WrittenPictures:
    """Write the pictures of a trial into a folder, which is made when it is missing.

    Args:
        reader: of the store.
        name: of the sweep.
        number: of the trial; None for the best one.
        folder: where to. A file of the same name and other content is not replaced: then nothing is written.

    Raises:
        InputError: no such sweep or trial, a trial without pictures, or a folder that cannot be written.
        Failure: the disk is full or failed.
    """
    sweep = reader.sweep(name)
    trial = reader.trial(name, _best(reader, name) if number is None else number)
    if not any(picture.final for picture in trial.pictures):
        raise InputError(_without_pictures(reader, sweep, trial))
    target = user_path(folder)
    if target.exists() and not target.is_dir():
        raise InputError(f"--to {shown(target)}: is a file; valid: a folder, made when it is missing")
    files = picture_files(reader, sweep, trial, longest_name(target))
    try:
        there = {file for file in files if (target / file).exists()}
        other = sorted(file for file in there if (target / file).read_bytes() != files[file])
        if other:
            raise InputError(
                f"--to {shown(target)}: {other[0]} is there with other content"
                f"{f', and {len(other) - 1} more' if len(other) > 1 else ''}; valid: another folder"
            )
        target.mkdir(parents=True, exist_ok=True)
        for file in files.keys() - there:
            _write(target / file, files[file])
    except (PermissionError, NotADirectoryError, FileNotFoundError) as error:
        raise InputError(f"--to {shown(target)}: cannot be written ({reason(error)}); valid: another folder") from error
    except OSError as error:
        raise Failure(f"--to {shown(target)}: cannot be written ({reason(error)}); the store is unchanged") from error
    written = tuple(file for file in files if file not in there)
    return WrittenPictures(trial.number, target, written, tuple(file for file in files if file in there))


def picture_files(
    reader: Reader, sweep: SweepView, trial: TrialView, longest: int = _LONGEST_IN_ARCHIVES
) -> dict[str, bytes]:
    """Return the files of a trial's pictures, PNG by file name.

    For each original: itself, the reconstruction, its signed difference (grey: no error, black and white: 0.5) and its
    absolute one, and what was kept of earlier iterations.

    Args:
        reader: of the store.
        sweep: that the trial belongs to.
        trial: with pictures.
        longest: bytes that a file's name may have.
    """
    originals = {item.image: item.sha256 for item in sweep.images if item.split == "search"}
    parts = _parts(list(originals), longest - _BEHIND_NAME)
    files: dict[str, bytes] = {}
    for picture in sorted(trial.pictures, key=lambda item: (list(originals).index(item.image), item.step)):
        start, original = parts[picture.image], originals[picture.image]
        files.setdefault(f"{start}-original.png", reader.picture(original))
        of_trial = f"{start}-trial-{trial.number}"
        if not picture.final:
            files[f"{of_trial}-step-{picture.step}.png"] = reader.picture(picture.sha256)
            continue
        files[f"{of_trial}-reconstruction.png"] = reader.picture(picture.sha256)
        files[f"{of_trial}-signed_difference.png"] = reader.difference(original, picture.sha256, "signed")
        files[f"{of_trial}-absolute_difference.png"] = reader.difference(original, picture.sha256, "absolute")
    return files


def picture_archive(files: Mapping[str, bytes]) -> bytes:
    """Return files as a ZIP archive; PNG is compressed already."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def _parts(images: Sequence[str], most: int) -> dict[str, str]:
    """Return how the files of each original begin: with its name, and a number where two share one."""
    parts: dict[str, str] = {}
    for image in images:
        taken = {same_file(part) for part in parts.values()}
        parts[image] = free_part(Path(image.removeprefix(PREFIX)).stem, most, taken)
    return parts


def _best(reader: Reader, name: str) -> int:
    best = reader.best(name, 1)
    if best.empty:
        raise InputError(f"sweep {name!r} has no complete trial yet, so there is no best one; valid: a finished trial")
    return int(best["number"].iloc[0])


def _without_pictures(reader: Reader, sweep: SweepView, trial: TrialView) -> str:
    numbers = sorted(set(map(int, reader.final_pictures(sweep.name)["number"])))
    listed = ", ".join(map(str, numbers[:_LISTED])) + (
        f" and {len(numbers) - _LISTED} more" if numbers[_LISTED:] else ""
    )
    again = f"`restoration sweep replay {sweep.name} {trial.number}` runs this one again"
    what = f"trial {trial.number} of {sweep.name!r} has no pictures in the store"
    if trial.state != TrialState.COMPLETE:
        what += f" ({trial.state})"
    return f"{what}; trials that have them: {listed or 'none'}; {again}"


def _write(path: Path, content: bytes) -> None:
    aside = path.with_name(f".{os.getpid()}.part")
    try:
        aside.write_bytes(content)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
