"""The network that ships with the package: its layers, its training, its weights."""
