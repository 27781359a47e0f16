"""State dicts from outside: torchvision's ImageNet weights, a file, checked against the network they go into."""

from restoration_core.networks.weights.download import download_state_dict
from restoration_core.networks.weights.fitting import load_file_into, load_into, without_optional
from restoration_core.networks.weights.kinds import SUFFIXES, VALID, check_weights_file, is_path
from restoration_core.networks.weights.reading import read_state_dict

__all__ = [
    "SUFFIXES",
    "VALID",
    "check_weights_file",
    "download_state_dict",
    "is_path",
    "load_file_into",
    "load_into",
    "read_state_dict",
    "without_optional",
]
