"""What every trained prior shares: the recipe, the contract of a family, checkpoints, the training loop."""

from restoration_core.priors.training.checkpoint import Checkpoint
from restoration_core.priors.training.family import Family, PriorRecipe, Progress, Trained, TrainingReport
from restoration_core.priors.training.loop import CheckedTraining, run_training

__all__ = [
    "CheckedTraining",
    "Checkpoint",
    "Family",
    "PriorRecipe",
    "Progress",
    "Trained",
    "TrainingReport",
    "run_training",
]
