"""3D heads from photographs that hide the face.

On the client, sensitive photographs become small gradient-magnitude images; only those, the cameras and the
privacy-neutral views cross to the server, which reconstructs the head in two stages.
"""

__version__ = "0.1.0"
