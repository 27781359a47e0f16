"""Statements that ask the store."""
