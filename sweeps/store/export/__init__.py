"""What the store holds as files of the user."""

from sweeps.store.export.pictures import WrittenPictures, picture_archive, picture_files, write_pictures
from sweeps.store.export.trials import export_frame, export_trials

__all__ = [
    "WrittenPictures",
    "export_frame",
    "export_trials",
    "picture_archive",
    "picture_files",
    "write_pictures",
]
