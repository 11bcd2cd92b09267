"""The client: photographs in, a bundle out. NumPy and OpenCV only."""
