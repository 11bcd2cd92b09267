"""The one kind of failure that a user is meant to read."""


class SansfaceError(Exception):
    """A failure said in one sentence that names the file, or the setting, and the remedy."""
