"""How much of the service one may use: sizes, rates and quotas.

Who asks how often is remembered in memory only, and only as keyed hashes: neither an account's name nor an
address can be read from it, and a restart forgets it.
"""

import hashlib
import hmac
import ipaddress
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, fields

from sansface.errors import SansfaceError
from sansface.protect.bundle import MAX_BYTES
from sansface.settings import at_least


@dataclass(frozen=True)
class Rate:
    """A token bucket: `burst` at once, then `per_second`.

    Raises:
        SansfaceError: it would never give anything.
    """

    burst: float
    per_second: float

    def __post_init__(self) -> None:
        if self.burst < 1 or self.per_second <= 0:
            raise SansfaceError("a rate has a burst of 1 at least, and per_second above 0; correct it.")


@dataclass(frozen=True)
class Limits:
    """What one request, one account and all together may take.

    Raises:
        SansfaceError: one is below 0, or there is no door.
    """

    bundle_bytes: int = MAX_BYTES  # of one bundle
    json_bytes: int = 64 << 10  # of any other body
    body_stall: float = 15.0  # seconds between two pieces of a body
    body_grace: float = 20.0  # seconds that any body may take, and beyond them
    body_rate: int = 16 << 10  # as many bytes a second as it must bring
    answer_stall: float = 60.0  # seconds until a client has read a piece of an answer, of 1 MiB at most
    upload_idle: float = 15 * 60.0  # seconds that a partial upload is kept without a byte
    account_uploads: int = 16  # partial uploads of one account at once
    account_upload_bytes: int = 2 * MAX_BYTES  # in memory, as declared
    upload_bytes: int = 16 * MAX_BYTES  # of all accounts
    doors: int = 2  # bundles that are verified at once, a thread each
    account_streams: int = 20  # of events, at once
    streams: int = 1000  # of all accounts
    account_downloads: int = 16  # of files, at once
    downloads: int = 128  # of all accounts; one that nobody reads holds some 7 MiB
    account_bytes: int = 2 << 30  # of bundles and results of an account that has no limit of its own
    account_jobs: int = 50  # a day, likewise
    account_refusals: int = 100  # refused bundles of an account, a day, that the audit log has
    token_seconds: int = 12 * 3600  # a token's life if none is asked for
    max_token_seconds: int = 30 * 24 * 3600
    address: Rate = Rate(1000.0, 200.0)  # requests from one address; a lab may share one
    account: Rate = Rate(300.0, 50.0)  # requests of one account
    login_address: Rate = Rate(20.0, 1 / 3)  # passwords tried from one address
    login_name: Rate = Rate(50.0, 1 / 10)  # passwords tried for one name, from everywhere

    def __post_init__(self) -> None:
        numbers = [field.name for field in fields(self) if not isinstance(field.default, Rate)]
        at_least(self, **dict.fromkeys(numbers, 0) | {"doors": 1})


class Buckets:
    """Token buckets by keyed hashes; full ones and, of too many, the oldest are forgotten."""

    def __init__(self, most: int = 100_000, clock: Callable[[], float] = time.monotonic) -> None:
        self._key = secrets.token_bytes(32)
        self._levels: OrderedDict[bytes, tuple[float, float]] = OrderedDict()
        self._most, self._clock, self._lock = most, clock, threading.Lock()

    def wait(self, kind: str, who: str, rate: Rate) -> float:
        """Take one from the bucket of somebody.

        Returns:
            0, or the seconds until there is one again; then none was taken.
        """
        key = hmac.digest(self._key, f"{kind} {who}".encode(), hashlib.sha256)
        at = self._clock()
        with self._lock:
            level, since = self._levels.pop(key, (rate.burst, at))
            level = min(rate.burst, level + (at - since) * rate.per_second)
            taken = level >= 1
            self._levels[key] = (level - taken, at)
            while len(self._levels) > self._most:
                self._levels.popitem(last=False)
        return 0.0 if taken else (1 - level) / rate.per_second


def network(address: str) -> str:
    """What counts as one client: an IPv4 address, or the /64 of an IPv6 one."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(known, ipaddress.IPv6Address):
        if known.ipv4_mapped is not None:
            return str(known.ipv4_mapped)
        return str(ipaddress.ip_network((known, 64), strict=False))
    return str(known)
