"""Running trials: the coordinator that hands them out, the packs that solve them, the runners that start packs."""
