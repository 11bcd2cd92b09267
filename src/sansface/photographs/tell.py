"""What became of a folder of photographs, in words."""

from pathlib import Path

from sansface.capture import Role
from sansface.photographs.pipeline import Made


def told(made: Made, out: Path) -> str:
    """What was made, what was left out and why, and what comes next: lines without a final line end."""
    frames = made.capture.frames
    neutral = sum(frame.role is Role.NEUTRAL for frame in frames)
    lines = [f"{len(frames)} photographs placed, mean reprojection error {made.error:.2f} pixels."]
    lines += [f"Left out, for its camera could not be found: {name}." for name in made.lost]
    lines += [f"Left out, for it is the same picture as {stays}: {gone}." for gone, stays in made.twins]
    if made.others:
        lines.append(f"Left alone, for they are no photographs: {', '.join(made.others)}.")
    if made.scale is None:
        lines.append("Unit unknown: give --pupil-distance-mm or --marker-mm for millimetres.")
    else:
        lines.append(
            f"Unit: millimetres, measured in {made.scale.views} photographs, which agree to "
            f"{100 * made.scale.spread:.1f} %."
        )
    lines.append(
        "Up is +y, and the face looks along +z."
        if made.front
        else "Up is +y; where the face looks is unknown: give --front NAME-of-photograph."
    )
    masks = sum(frame.mask is not None for frame in frames)
    lines.append(f"Masks: {masks} of {len(frames)}. Roles: {neutral} neutral, the others sensitive.")
    lines += list(made.notes)
    if masks < len(frames):
        lines.append(f"Next: sansface masks {out}, or draw masks; then sansface roles {out}.")
    else:
        lines.append(
            f"Next: look at sansface roles {out} and sansface check {out}, then sansface protect {out}."
        )
    return "\n".join(lines)
