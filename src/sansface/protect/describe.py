"""What a bundle holds, in words: all of it for `sansface inspect`, in short for `sansface protect`."""

from sansface.capture import Role, counted
from sansface.protect.bundle import bundle_bytes
from sansface.protect.contents import Bundle, Share
from sansface.protect.frame import NORMALISED


def describe(bundle: Bundle) -> str:
    """A table of everything in a bundle, and a list of what is in it and what is not.

    Returns:
        Lines of text without a final line end.
    """
    neutral = [frame for frame in bundle.frames if frame.role is Role.NEUTRAL]
    sensitive = [frame for frame in bundle.frames if frame.role is Role.SENSITIVE]
    masks = any(frame.mask is not None for frame in sensitive)
    withheld = 1 - sum(frame.shared().mean() for frame in sensitive) / len(sensitive)
    sizes = sorted({(frame.camera.width, frame.camera.height) for frame in bundle.frames})
    rows = [
        ("schema", f"{bundle.schema}"),
        ("frames", f"{len(neutral)} neutral (colour), {len(sensitive)} sensitive ({_SHARED[bundle.share]})"),
        ("resolution", f"{bundle.resolution} (" + ", ".join(f"{w} x {h}" for w, h in sizes) + ")"),
        ("operator", f"{_operator(bundle)}, {bundle.operator.modulus.replace('-', ' ')}, on sRGB in [0, 1]"),
        ("bits", f"{bundle.bits} a value, σ from 0 to {bundle.scale:g} a pixel"),
        ("noise", f"{bundle.noise:g} a pixel" if bundle.noise else "none"),
        ("gain", "a random one for each sensitive picture, not told" if bundle.gain else "none"),
        ("withheld", f"{100 * withheld:.1f} % of the sensitive pixels ({_WITHHELD[bundle.share]})"),
        ("masks", _masks(bundle)),
        ("sphere", f"{_place(bundle)}, from {_SOURCES[bundle.sphere_source]}"),
        ("unit", "not told" if bundle.unit == NORMALISED else bundle.unit),
        ("size", f"{len(bundle_bytes(bundle)):,} bytes"),
    ]
    if masks:
        outline = "masks, which show the outline"
    elif bundle.share is Share.MODULUS:
        outline = "the outline to within a pixel or two, though no mask: it is where values begin"
    else:
        outline = "no outline of theirs"
    of_sensitive = {Share.MODULUS: "σ", Share.OUTLINE: "no picture", Share.CAMERA: "nothing but the cameras"}
    return "\n".join(
        [
            *(f"{name:<11} {text}" for name, text in rows),
            "",
            f"In it: colours of the {len(neutral)} neutral photographs without background; "
            f"{of_sensitive[bundle.share]} of the {len(sensitive)} sensitive ones; {outline}; cameras.",
            "Not in it: colours of the sensitive photographs, backgrounds, file names, EXIF, thumbnails.",
            "What is in it remains personal data: it can still tell whose head it is. Text in it, a plate's "
            "say, can be read by a program from some three pixels a letter on.",
        ]
    )


def summary(bundle: Bundle) -> str:
    """What is shared and what that means, in four lines."""
    neutral, sensitive = counted(frame.role for frame in bundle.frames)
    sigma = f"{_operator(bundle)}, {bundle.resolution} pixels, {bundle.bits} bits"
    sigma += f", noise {bundle.noise:g}" if bundle.noise else ""
    sigma += ", random gains" if bundle.gain else ""
    shared = {
        Share.MODULUS: f"gradient magnitudes only ({sigma}), withheld at the outline",
        Share.OUTLINE: f"the outline only, at {bundle.resolution} pixels",
        Share.CAMERA: "nothing but their cameras; the face will be a mean one",
    }
    return "\n".join(
        [
            f"{sensitive} sensitive photographs: {shared[bundle.share]}.",
            f"{neutral} neutral photographs: colours at {bundle.resolution} pixels, without background. "
            f"Masks: {_masks(bundle)}.",
            f"Bounding sphere: {_place(bundle)}, from {_SOURCES[bundle.sphere_source]}.",
            "Protected is not anonymous: what is shared remains personal, likely biometric data.",
        ]
    )


def _masks(bundle: Bundle) -> str:
    if all(frame.mask is None for frame in bundle.frames):
        return "not shared"
    whose = " of the neutral photographs" if bundle.share is Share.CAMERA else ""
    return f"shared{whose}, at {bundle.resolution} pixels"


def _operator(bundle: Bundle) -> str:
    blur = bundle.operator.blur
    return f"{bundle.operator.name} after a blur of {blur:g}" if blur else bundle.operator.name


def _place(bundle: Bundle) -> str:
    """Where the sphere is in the user's world, as far as the bundle tells."""
    if bundle.unit == NORMALISED:
        return "normalised: its place, size and direction in your world are not told"
    center = ", ".join(f"{value:.4g}" for value in bundle.center)
    return f"center ({center}), radius {bundle.radius:.4g}, unit {bundle.unit}"


_SHARED = {Share.MODULUS: "σ only", Share.OUTLINE: "outline only", Share.CAMERA: "camera only"}
_WITHHELD = {
    Share.MODULUS: "background and outline",
    Share.OUTLINE: "all that is not outline",
    Share.CAMERA: "everything",
}
_SOURCES = {
    "masks": "the masks' visual hull",
    "cameras": "the cameras' common view",
    "given": "what was given",
}
