"""Signed distance and radiance as functions of a point. One field a file; `registry.FIELDS` names them."""
