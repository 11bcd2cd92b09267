"""**Client**: do the poses, masks and photographs of a capture agree, before a run is wasted on them?"""
