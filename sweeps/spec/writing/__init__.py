"""Specs written for a reader: a commented one to begin with, and the reference of every key."""
