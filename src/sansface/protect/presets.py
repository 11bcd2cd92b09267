"""Three named ways to protect, chosen by measurement: docs/audit.md, "The frontier".

What lies between a face's outlines is worth a fifth of the surface's error, and is what attackers read.
Drowned in noise until they cannot, it is worth nothing any more: so the two stronger ways share none of it.
"""

from sansface.protect.contents import Share

PRESETS: dict[str, Share] = {
    "standard": Share.MODULUS,  # the paper's: σ of 64 pixels, and the outline
    "strict": Share.OUTLINE,
    "paranoid": Share.CAMERA,
}
"""What leaves of a sensitive photograph; everything else is `ProtectSettings`' default."""
