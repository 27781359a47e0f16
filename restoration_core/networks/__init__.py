"""Classifiers cut open: named layers, preprocessing, weights; torchvision is imported when one of its is opened."""

from restoration_core.networks.catalogue import (
    NetworkEntry,
    network_entries,
    network_names,
    open_network,
    outline_network,
)
from restoration_core.networks.classifier import Classifier

__all__ = ["Classifier", "NetworkEntry", "network_entries", "network_names", "open_network", "outline_network"]
