"""Files that are being downloaded: few at once, since one that nobody reads holds some MiB in memory.

All of it happens in the event loop's one thread.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from sansface.serve.limits import Limits
from sansface.serve.problems import wait


class Downloads:
    """Those under way, within the limits of an account and of all."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._under_way: Counter[str] = Counter()  # by account

    def __len__(self) -> int:
        return self._under_way.total()

    @contextmanager
    def one(self, account_id: str) -> Iterator[None]:
        """A download of an account, until the block ends.

        Raises:
            Problem: 429, too many are under way.
        """
        limits = self._limits
        if self._under_way[account_id] >= limits.account_downloads or len(self) >= limits.downloads:
            raise wait("Too many downloads are under way; wait until one has ended.", 10)
        self._under_way[account_id] += 1
        try:
            yield
        finally:
            self._under_way -= Counter([account_id])  # which forgets those that have none
