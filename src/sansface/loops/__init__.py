"""Loops over NumPy arrays as machine code, for the CPU. Each has a slow reference in torch, for a GPU."""
