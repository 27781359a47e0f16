"""State dicts from outside: torchvision's ImageNet weights, a file, checked against the network they go into."""

from restoration_core.networks.weights.state_dict import (
    SUFFIXES,
    download_state_dict,
    is_path,
    load_into,
    read_state_dict,
)

__all__ = ["SUFFIXES", "download_state_dict", "is_path", "load_into", "read_state_dict"]
