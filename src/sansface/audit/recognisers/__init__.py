"""Recognisers of faces, which an audit turns against what was protected."""
