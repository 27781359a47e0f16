"""Pictures in and out: loading, samples, PNG and hashes, difference views. numpy and Pillow only."""

from restoration_core.images.animation import ANIMATIONS, animate
from restoration_core.images.contact_sheet import Cell, contact_sheets
from restoration_core.images.differences import SCALE, SPREAD_SCALE, absolute_difference, signed_difference, spread_view
from restoration_core.images.encode import decode_png, encode_png, pixel_sha256, thumbnail, to_uint8
from restoration_core.images.file_names import distinct_parts, file_part, free_part, longest_name, same_file
from restoration_core.images.load import MAX_PIXELS, load_image, open_picture, short_side
from restoration_core.images.references import (
    SUFFIXES,
    expand_images,
    folder_pictures,
    picture_path,
    picture_reference,
)
from restoration_core.images.samples import PREFIX, sample_names, sample_path

__all__ = [
    "ANIMATIONS",
    "MAX_PIXELS",
    "PREFIX",
    "SCALE",
    "SPREAD_SCALE",
    "SUFFIXES",
    "Cell",
    "absolute_difference",
    "animate",
    "contact_sheets",
    "decode_png",
    "distinct_parts",
    "encode_png",
    "expand_images",
    "file_part",
    "folder_pictures",
    "free_part",
    "load_image",
    "longest_name",
    "open_picture",
    "picture_path",
    "picture_reference",
    "pixel_sha256",
    "same_file",
    "sample_names",
    "sample_path",
    "short_side",
    "signed_difference",
    "spread_view",
    "thumbnail",
    "to_uint8",
]
