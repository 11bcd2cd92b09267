"""From functions of a point to pixels: density, sampling, volume rendering, coverage of the outline."""
