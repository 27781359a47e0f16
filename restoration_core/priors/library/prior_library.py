"""The prior library: priors kept under the hash of their recipe, and trained when first asked for."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from restoration_core.errors import InputError, unknown
from restoration_core.priors.library.blobs import from_blob, read_header, to_blob
from restoration_core.priors.library.bundled_maps import bundled_maps
from restoration_core.priors.library.families import family_by_name
from restoration_core.priors.library.training_command import training_command
from restoration_core.priors.maps import SAMPLES, MapSource, check_source, load_samples
from restoration_core.priors.patch_experts import Recipe
from restoration_core.priors.prior import Prior
from restoration_core.priors.training import Checkpoint, PriorRecipe, Progress, Trained, TrainingReport

ROOT_VARIABLE = "RESTORATION_PRIORS"
_BUNDLED = Path(__file__).parent / "data"
_SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Entry:
    """A prior of the library, read from its header alone.

    Attributes:
        key: hash of the recipe.
        name: the recipe's title; several priors may share it.
        recipe: how it was trained.
        report: how its training went.
        description: one sentence.
        bundled: it ships with the package.
        path: its file.
    """

    key: str
    name: str
    recipe: PriorRecipe
    report: TrainingReport
    description: str
    bundled: bool
    path: Path


class PriorLibrary:
    """The trained priors in a folder, together with those that ship with the package.

    Args:
        root: the folder, made when something is written. By default it is named by the environment variable
            RESTORATION_PRIORS, else it is ``deep-restoration/priors`` in the user's cache folder.
    """

    def __init__(self, root: Path | str | None = None) -> None:
        self.root = Path(root) if root is not None else _default_root()

    @staticmethod
    def key(recipe: PriorRecipe) -> str:
        """Return the name under which a prior of this recipe is kept."""
        return recipe.key

    def get(
        self,
        recipe: PriorRecipe,
        source: Callable[[], MapSource] | None = None,
        progress: Progress | None = None,
        description: str = "",
        *,
        half: bool = False,
    ) -> Prior:
        """Return the prior of ``recipe``; train and keep it if it is neither kept nor bundled.

        If two processes ask for the same missing prior, one trains it and the other waits. A training that was killed
        goes on where it was.

        Args:
            recipe: of the prior.
            source: called for the maps if the prior must be trained. May be None for the sample pictures, and for
                their maps in the bundled network.
            progress: called at every check of a training with (step, most steps, held-out loss).
            description: one sentence kept with a prior that is trained now.
            half: keep the filters of a prior that is trained now in float16; the prior returned has those too.

        Raises:
            InputError: the prior must be trained, and ``source`` is missing or gives other photographs.
        """
        found = self._find_key(recipe.key)
        if found is None:
            with self._locked(recipe.key):
                found = self._find_key(recipe.key)
                if found is None:
                    maps = _source(recipe, source)
                    checkpoint = self.checkpoint(recipe)
                    trained = family_by_name(recipe.family).train(recipe, maps, progress, checkpoint)
                    found = self._write(recipe.key, to_blob(trained, description, half=half))
                    checkpoint.remove()
        return self._read(found).prior

    def checkpoint(self, recipe: PriorRecipe) -> Checkpoint:
        """Return the checkpoint of a training of ``recipe``."""
        return Checkpoint(self.root / f"{recipe.key}.checkpoint", recipe.key)

    def load(self, name: str) -> Prior:
        """Return the prior with this key, beginning of a key, or name (see :meth:`entry`)."""
        return self._read(self.entry(name).path).prior

    def trained(self, name: str) -> Trained:
        """Return the prior with its recipe and report; ``name`` as for :meth:`entry`."""
        return self._read(self.entry(name).path)

    def blob(self, name: str) -> bytes:
        """Return the prior's file as bytes, for :func:`from_blob` or :meth:`add` elsewhere."""
        return self.entry(name).path.read_bytes()

    def add(self, blob: bytes) -> str:
        """Keep a prior given as bytes and return its key; one that is kept already is not changed."""
        key = from_blob(blob).recipe.key
        if self._find_key(key) is None:
            self._write(key, blob)
        return key

    def entry(self, name: str) -> Entry:
        """Return the entry with this key, this beginning of a key, or this name.

        Raises:
            InputError: there is none, or there are several.
        """
        entries = self.list()
        exact = [entry for entry in entries if entry.key == name]
        matches = exact or [entry for entry in entries if name in (entry.name, entry.path.stem)]
        if not matches and name:
            matches = [entry for entry in entries if entry.key.startswith(name)]
        if len(matches) > 1:
            raise InputError(f"{name!r} fits several priors; valid: a key of {', '.join(e.key for e in matches)}")
        if not matches:
            raise InputError(unknown("prior", name, [valid for entry in entries for valid in (entry.name, entry.key)]))
        return matches[0]

    def make_root(self) -> None:
        """Make the library's folder where it is missing.

        Raises:
            InputError: it cannot be made, or is a file.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"prior library {self.root}: cannot be made ({error.strerror}); valid: a folder, made when missing"
            ) from error

    def list(self) -> tuple[Entry, ...]:
        """Return all priors, bundled ones first, then by name; other files are ignored."""
        entries: dict[str, Entry] = {}
        for folder, bundled in ((_BUNDLED, True), (self.root, False)):
            for path in sorted(folder.glob(f"*{_SUFFIX}")):
                with contextlib.suppress(InputError):
                    entry = _entry(path, bundled)
                    entries.setdefault(entry.key, entry)
        return tuple(sorted(entries.values(), key=lambda entry: (not entry.bundled, entry.name, entry.key)))

    def find(self, expert: str, patch_size: int) -> tuple[Entry, ...]:
        """Return the patch priors on pictures of one expert and patch size, bundled ones first."""
        return tuple(
            entry
            for entry in self.list()
            if isinstance(entry.recipe, Recipe)
            and entry.recipe.maps is None
            and (entry.recipe.expert, entry.recipe.patch_size) == (expert, patch_size)
        )

    def _find_key(self, key: str) -> Path | None:
        path = self.root / f"{key}{_SUFFIX}"
        if path.is_file():
            return path
        bundled = (entry for entry in map(_bundled_entry, sorted(_BUNDLED.glob(f"*{_SUFFIX}"))))
        return next((entry.path for entry in bundled if entry.key == key), None)

    def _read(self, path: Path) -> Trained:
        return from_blob(path.read_bytes(), str(path))

    def _write(self, key: str, blob: bytes) -> Path:
        self.make_root()
        aside = self.root / f"{key}.{os.getpid()}.part"
        try:
            aside.write_bytes(blob)
            return aside.replace(self.root / f"{key}{_SUFFIX}")
        finally:
            aside.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        """Hold the lock of one key and delete its file afterwards. The system frees it when a process dies."""
        self.make_root()
        path = self.root / f"{key}.lock"
        while True:
            with path.open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not _is_file_of(path, lock.fileno()):
                    continue  # the process that held it has deleted the file, so others would not see this lock
                try:
                    yield
                finally:
                    path.unlink(missing_ok=True)
                return


def _is_file_of(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _default_root() -> Path:
    named = os.environ.get(ROOT_VARIABLE)
    if named:
        return Path(named)
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "deep-restoration" / "priors"


def _source(recipe: PriorRecipe, given: Callable[[], MapSource] | None) -> MapSource:
    if given is None:
        if recipe.pictures != SAMPLES:
            raise InputError(
                f"prior {recipe.key} must be trained, on photographs {recipe.pictures[:19]} that were not given; valid:"
                f" train it first with `{training_command(recipe)}`"
            )
        samples = load_samples(recipe.short_side)
        return samples if recipe.maps is None else bundled_maps(recipe, samples)
    source = given()
    check_source(recipe.maps, recipe.pictures, source)
    return source


def _entry(path: Path, bundled: bool) -> Entry:
    with path.open("rb") as file:
        head = file.read(8)
        # A header is a few kilobytes; if a damaged file claims more, the rest is not read.
        head += file.read(min(int.from_bytes(head, "little"), 1 << 20))
    recipe, report, description = read_header(head, str(path))
    return Entry(recipe.key, recipe.title, recipe, report, description, bundled, path)


def _bundled_entry(path: Path) -> Entry:
    return _entry(path, bundled=True)
