"""Comparisons that need more than a bundle: they read the capture here and stamp every output UNPROTECTED."""
