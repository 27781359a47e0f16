"""Pictures in and out: loading, samples, PNG and hashes, difference views. numpy and Pillow only."""

from restoration_core.images.differences import SCALE, absolute_difference, signed_difference
from restoration_core.images.encode import decode_png, encode_png, pixel_sha256, thumbnail, to_uint8
from restoration_core.images.load import MAX_PIXELS, expand_images, folder_pictures, load_image, open_picture
from restoration_core.images.samples import sample_names, sample_path

__all__ = [
    "MAX_PIXELS",
    "SCALE",
    "absolute_difference",
    "decode_png",
    "encode_png",
    "expand_images",
    "folder_pictures",
    "load_image",
    "open_picture",
    "pixel_sha256",
    "sample_names",
    "sample_path",
    "signed_difference",
    "thumbnail",
    "to_uint8",
]
