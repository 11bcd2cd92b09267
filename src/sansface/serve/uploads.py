"""Partial uploads: in memory only, for a refused bundle must leave nothing on a disk, and so not half of one.

All of it happens in the event loop's one thread; nothing here waits, so every method is one step.
"""

import hashlib
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sansface.serve.limits import Limits
from sansface.serve.problems import Problem, not_found, wait


@dataclass(eq=False)
class Upload:
    """A bundle that is being sent.

    Attributes:
        size, sha256, key: as declared.
        data: what has come so far.
        touched: when the last byte came, by the monotonic clock.
        turn: of the request that may append; a newer one takes it away from an older one.
        judged: are all bytes here, and at the door?
        dropped: was it forgotten while at the door? Its bytes are there still, and count, until it is judged.
    """

    id: str
    account_id: str
    size: int
    sha256: str
    touched: float
    key: str | None = None
    data: bytearray = field(default_factory=bytearray)
    turn: int = 0
    judged: bool = False
    dropped: bool = False

    @property
    def whole(self) -> bool:
        return len(self.data) == self.size


class Uploads:
    """All partial uploads, within the limits of memory an account and of all."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits, clock
        self._uploads: dict[str, Upload] = {}

    def begin(self, account_id: str, size: int, sha256: str, key: str | None = None) -> Upload:
        """Room for so many bytes; or, where the account began this very upload by the same key, that one.

        Raises:
            Problem: 413 larger than a bundle may be; 429 or 503 no room for now.
        """
        limits = self._limits
        self.expire()
        if size > limits.bundle_bytes:
            raise Problem(
                413, f"A bundle has at most {limits.bundle_bytes >> 20} MiB; protect at a lower resolution."
            )
        own = [upload for upload in self._uploads.values() if upload.account_id == account_id]
        for upload in own if key else ():
            if (upload.key, upload.size, upload.sha256, upload.dropped) == (key, size, sha256, False):
                return upload
        if (
            len(own) >= limits.account_uploads
            or sum(upload.size for upload in own) + size > limits.account_upload_bytes
        ):
            raise wait("This account is sending too much at once; finish or delete another upload first.", 10)
        if self.reserved + size > limits.upload_bytes:
            raise wait("Too many uploads are under way; try again in a moment.", 10, 503)
        upload = Upload(secrets.token_hex(16), account_id, size, sha256, self._clock(), key)
        self._uploads[upload.id] = upload
        return upload

    def get(self, upload_id: str, account_id: str) -> Upload:
        """Raises Problem 404 for what is not there, expired or another's."""
        self.expire()
        upload = self._uploads.get(upload_id)
        if upload is None or upload.dropped or upload.account_id != account_id:
            raise not_found()
        return upload

    def take_turn(self, upload: Upload, offset: int) -> int:
        """Begin to append at an offset; an older request that stalled may append no more.

        Raises:
            Problem: 409, with the offset to go on from.
        """
        if upload.judged or offset != len(upload.data):
            raise _elsewhere(upload)
        upload.turn += 1
        return upload.turn

    def append(self, upload: Upload, turn: int, piece: bytes) -> None:
        """Add some bytes.

        Raises:
            Problem: 409 another request has taken over; 413 more than declared, and the upload is dropped.
        """
        if upload.turn != turn or upload.judged or not self.holds(upload):
            raise _elsewhere(upload)
        if len(upload.data) + len(piece) > upload.size:
            self.drop(upload)
            raise Problem(413, f"The upload has more than the {upload.size} bytes declared; begin again.")
        upload.data += piece
        if piece:
            upload.touched = self._clock()

    @contextmanager
    def judging(self, upload: Upload) -> Iterator[None]:
        """While it is at the door it does not expire, and counts even if it is dropped."""
        upload.judged = True
        try:
            yield
        finally:
            upload.judged = False
            if upload.dropped:
                self.drop(upload)

    def drop(self, upload: Upload) -> None:
        """Forget it; what is at the door is not wanted any more, and forgotten when it is judged."""
        if upload.judged:
            upload.dropped = True
        else:
            self._uploads.pop(upload.id, None)
            upload.data = bytearray()  # a request that stalls keeps the upload, but counted no more

    def holds(self, upload: Upload) -> bool:
        """Is it still wanted? May be asked from any thread."""
        return self._uploads.get(upload.id) is upload and not upload.dropped

    def drop_account(self, account_id: str) -> None:
        """Forget all of an account."""
        for upload in [upload for upload in self._uploads.values() if upload.account_id == account_id]:
            self.drop(upload)

    def expire(self) -> None:
        """Forget what has had no byte for too long."""
        latest = self._clock() - self._limits.upload_idle
        for upload in [
            upload for upload in self._uploads.values() if upload.touched < latest and not upload.judged
        ]:
            self.drop(upload)

    @property
    def reserved(self) -> int:
        """Bytes that are declared, those at the door included."""
        return sum(upload.size for upload in self._uploads.values())

    def matches(self, upload: Upload) -> bool:
        """Do the bytes have the declared hash? Takes a moment: call it in a thread."""
        return secrets.compare_digest(hashlib.sha256(upload.data).hexdigest(), upload.sha256)


def _elsewhere(upload: Upload) -> Problem:
    return Problem(409, "The upload goes on at another offset.", offset=len(upload.data))
