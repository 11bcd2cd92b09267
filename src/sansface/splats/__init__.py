"""The second renderer, 2D Gaussian splats (Huang et al. 2024), in the same two stages. One concept a file."""
