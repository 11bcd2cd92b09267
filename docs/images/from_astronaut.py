"""docs/images/deidentified.png: scikit-image's astronaut (NASA, public domain), and others in her place.

    python docs/images/from_astronaut.py

From the left: the photograph, two draws of `sansface deidentify`, and `sansface anonymize` with two keys. The
keys are made for this picture and thrown away.
"""

from pathlib import Path

import numpy as np
import skimage.data

from sansface.deidentify.faces import Tools
from sansface.deidentify.ideudemon import deidentify
from sansface.deidentify.kfaar import subjects
from sansface.evaluate.pictures import side_by_side
from sansface.evaluate.png import write_png

PART = slice(15, 235), slice(120, 330)
OUT = Path(__file__).with_name("deidentified.png")


def main() -> None:
    photograph, tools = skimage.data.astronaut(), Tools()
    shown = [photograph]
    for seed in (3, 5):
        shown.append(deidentify(photograph, tools, np.random.default_rng(seed)).photograph)
    ready, (subject,) = subjects(photograph, tools, np.random.default_rng(0))
    for seed in (11, 12):
        numbers = np.random.default_rng(seed).normal(size=subject.count).astype(np.float32)
        shown.append(subject.change(ready, numbers))
    write_png(OUT, side_by_side([np.ascontiguousarray(one[PART]) for one in shown], gap=4))


if __name__ == "__main__":
    main()
