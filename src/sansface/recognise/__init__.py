"""Who is it? Faces found, laid in one place, and turned into vectors that are alike for one person."""
