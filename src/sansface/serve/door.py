"""The door: what is let in, judged on bytes in memory before anything of them touches a disk.

First lock: the bundle's verifier, which a bundle with a colour too many cannot pass. Second lock: does a
channel look like a photograph's grey rather than its gradients? That guards against mistakes, not against a
hostile client.
"""

from typing import Any

from sansface.capture import counted
from sansface.protect.bundle import decode
from sansface.protect.contents import Bundle, BundleError
from sansface.serve import second_lock


class Refused(BundleError):
    """A bundle that is not let in: one sentence for who sent it, and one word for the log.

    Attributes:
        kind: `verifier` or `second-lock`.
    """

    def __init__(self, sentence: str, kind: str) -> None:
        super().__init__(sentence)
        self.kind = kind


def admit(data: bytes) -> Bundle:
    """Verify what was sent.

    Raises:
        Refused: it is no bundle, or a sensitive channel looks like an intensity picture.
    """
    try:
        bundle = decode(data)
    except BundleError as error:
        raise Refused(f"The bundle is refused: {error}", "verifier") from error
    try:
        second_lock.check(bundle)
    except BundleError as error:
        raise Refused(f"The bundle is refused: {error}", "second-lock") from error
    return bundle


def about(bundle: Bundle) -> dict[str, Any]:
    """What may be shown of a bundle without opening it."""
    neutral, sensitive = counted(frame.role for frame in bundle.frames)
    return {
        "frames": len(bundle.frames),
        "sensitive": sensitive,
        "neutral": neutral,
        "resolution": bundle.resolution,
        "operator": bundle.operator.name,
        "bits": bundle.bits,
        "share": bundle.share.value,
        "masks": any(frame.mask is not None for frame in bundle.frames),
    }
