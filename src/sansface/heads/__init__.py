"""Heads that belong to nobody."""
