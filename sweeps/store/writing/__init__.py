"""Statements that change the store; each is part of a transaction of the writer."""
