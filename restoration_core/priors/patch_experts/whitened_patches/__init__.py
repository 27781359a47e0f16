"""The patches that a training sees: cut from maps, whitened, and the noise that they get."""
