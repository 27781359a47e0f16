"""Update rules by name. A new rule is one file and one line in ``RULES``."""

from restoration_core.reconstruction.optimizers.adagrad import AdaGrad
from restoration_core.reconstruction.optimizers.adam import Adam
from restoration_core.reconstruction.optimizers.momentum import Momentum
from restoration_core.reconstruction.optimizers.rule import UpdateRule

RULES: dict[str, UpdateRule] = {rule.name: rule for rule in (Adam(), AdaGrad(), Momentum())}

__all__ = ["RULES", "AdaGrad", "Adam", "Momentum", "UpdateRule"]
