"""The SQL store: the truth of a sweep. Writers for the service, a read-only reader for the rest."""

from sweeps.search.pareto import best as best_trial
from sweeps.search.pareto import ranked as ranked_trials
from sweeps.store.address import file_url, parse_url, sqlite_path, store_file
from sweeps.store.engine import make_engine, read_only_fault
from sweeps.store.errors import StoreDamaged, StoreFailed, StoreFull, StoreLocked, StoreMoved, StoreReadOnly
from sweeps.store.export import export_trials
from sweeps.store.export.pictures import WrittenPictures, picture_archive, picture_files, write_pictures
from sweeps.store.leases import LeaseHeld, StaleLease
from sweeps.store.models import NOT_TRACKED, OutboxKind, SweepStatus, TrialState
from sweeps.store.reader import Reader, open_reader
from sweeps.store.records import FinishedTrial, NewSweep, NewTrial, OutboxItem, PriorEntry, StoredTrial
from sweeps.store.views import SweepImageView, SweepView, TrialPictureView, TrialView
from sweeps.store.writer import Writer, open_writer
from sweeps.store.writing.sweep_rows import NameTaken

__all__ = [
    "NOT_TRACKED",
    "FinishedTrial",
    "LeaseHeld",
    "NameTaken",
    "NewSweep",
    "NewTrial",
    "OutboxItem",
    "OutboxKind",
    "PriorEntry",
    "Reader",
    "StaleLease",
    "StoreDamaged",
    "StoreFailed",
    "StoreFull",
    "StoreLocked",
    "StoreMoved",
    "StoreReadOnly",
    "StoredTrial",
    "SweepImageView",
    "SweepStatus",
    "SweepView",
    "TrialPictureView",
    "TrialState",
    "TrialView",
    "Writer",
    "WrittenPictures",
    "best_trial",
    "export_trials",
    "file_url",
    "make_engine",
    "open_reader",
    "open_writer",
    "parse_url",
    "picture_archive",
    "picture_files",
    "ranked_trials",
    "read_only_fault",
    "sqlite_path",
    "store_file",
    "write_pictures",
]
