"""Where packs run: over Ray Tune, or one after the other in this process."""
