"""Classifiers cut open: named layers, preprocessing, weights; torchvision is imported when one of its is opened."""

from restoration_core.networks.bundled.training import TrainingRecipe, TrainingReport, train_cifar_alexnet
from restoration_core.networks.catalogue import (
    NetworkEntry,
    network_entries,
    network_names,
    open_network,
    outline_network,
)
from restoration_core.networks.classifier import Classifier
from restoration_core.networks.feature_network import FeatureNetwork
from restoration_core.networks.separate_rows import layer_with_other_rows
from restoration_core.networks.weights import check_weights_file, is_path

__all__ = [
    "Classifier",
    "FeatureNetwork",
    "NetworkEntry",
    "TrainingRecipe",
    "TrainingReport",
    "check_weights_file",
    "is_path",
    "layer_with_other_rows",
    "network_entries",
    "network_names",
    "open_network",
    "outline_network",
    "train_cifar_alexnet",
]
