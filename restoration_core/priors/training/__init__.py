"""What the families of trained priors share: recipes, the contract of a family, checkpoints, the training loop."""

from restoration_core.priors.training.checkpoint import Checkpoint
from restoration_core.priors.training.family import Family, PriorRecipe, Progress, Trained, TrainingReport
from restoration_core.priors.training.loop import CheckedTraining, run_training
from restoration_core.priors.training.recipe_rules import common_faults

__all__ = [
    "CheckedTraining",
    "Checkpoint",
    "Family",
    "PriorRecipe",
    "Progress",
    "Trained",
    "TrainingReport",
    "common_faults",
    "run_training",
]
