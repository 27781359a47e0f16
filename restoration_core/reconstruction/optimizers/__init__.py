"""Update rules by name. A new rule is one file and one line in ``RULES``."""

from restoration_core.reconstruction.optimizers.adam import Adam
from restoration_core.reconstruction.optimizers.rule import UpdateRule

RULES: dict[str, UpdateRule] = {rule.name: rule for rule in (Adam(),)}

__all__ = ["RULES", "Adam", "UpdateRule"]
