"""The server's part: supervision from a bundle, losses, schedules, the two stages, checkpoints, results."""
