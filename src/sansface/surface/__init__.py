"""From a signed distance function to a mesh in the user's own frame, and to a file."""
