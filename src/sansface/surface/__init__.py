"""From a signed distance function to a mesh in the user's own frame, and to a file."""

from sansface.surface.clean import decimate, largest_component
from sansface.surface.extract import extract
from sansface.surface.mesh import Mesh, read_mesh, transform, write_mesh

__all__ = ["Mesh", "decimate", "extract", "largest_component", "read_mesh", "transform", "write_mesh"]
