"""On your device: from a folder of photographs to a capture, by structure from motion."""
