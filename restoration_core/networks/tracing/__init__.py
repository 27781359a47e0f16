"""Passes that are only watched: which layers run, in which shapes, seeing which pixels."""
