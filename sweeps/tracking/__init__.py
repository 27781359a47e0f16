"""MLflow: fed from the store's outbox by a process of its own, filled up by `sync`, asked by `best_from_mlflow`.

Importing this package does not import MLflow.
"""

from sweeps.tracking.address import destination, parse_mlflow_uri, tracked_at
from sweeps.tracking.best import best_from_mlflow
from sweeps.tracking.client import EXPERIMENT, TrackingStatus, check
from sweeps.tracking.process import TrackerHandle, TrackerReport, note_destination, start_tracker
from sweeps.tracking.sync import SyncReport, sync

__all__ = [
    "EXPERIMENT",
    "SyncReport",
    "TrackerHandle",
    "TrackerReport",
    "TrackingStatus",
    "best_from_mlflow",
    "check",
    "destination",
    "note_destination",
    "parse_mlflow_uri",
    "start_tracker",
    "sync",
    "tracked_at",
]
