"""How good a mesh is, in numbers and in pictures."""

from sansface.evaluate.geometry import Score, error_per_vertex, score

__all__ = ["Score", "error_per_vertex", "score"]
