"""A head as signed distance and radiance, conditioned on identity, expression, albedo and light."""
