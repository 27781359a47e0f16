"""What every trained prior shares: the recipe, the contract of a family, checkpoints, the training loop."""

from restoration_core.priors.training.checkpoint import Checkpoint, optimizer_tensors, restore_optimizer
from restoration_core.priors.training.family import Family, PriorRecipe, Progress, Trained, TrainingReport
from restoration_core.priors.training.loop import run_training

__all__ = [
    "Checkpoint",
    "Family",
    "PriorRecipe",
    "Progress",
    "Trained",
    "TrainingReport",
    "optimizer_tensors",
    "restore_optimizer",
    "run_training",
]
