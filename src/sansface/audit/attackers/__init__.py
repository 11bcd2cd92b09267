"""Attackers, each a file of its own. All know the operator, its parameters and where the face lies."""
