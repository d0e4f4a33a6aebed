"""The operations of AutoAugment and RandAugment by name, and what a magnitude means for each (arXiv:1805.09501, appendix).

A level is a magnitude over the largest: an exact fraction in [0, 1], so that nothing is lost where it becomes whole pixels or
bits. Signed amounts are negative for half of the images.

| operation | amount at level t | signed |
|---|---|---|
| `shear_x`, `shear_y` | slope 0.3 t | yes |
| `translate_x`, `translate_y` | 150/331 t of the side, cut to whole pixels | yes |
| `rotate` | 30 t degrees | yes |
| `color`, `contrast`, `brightness`, `sharpness` | 0.9 t, added to the factor 1 | yes |
| `posterize` | 8 - 4 t bits, rounded | no |
| `solarize` | threshold 1 - t | no |
| `autocontrast`, `equalize`, `invert`, `identity` | none | |

This is torchvision's table. TensorFlow's code (tensorflow/tpu, efficientnet/autoaugment.py) differs: the factors of colour are
0.1 + 1.8 t and have no sign; posterize keeps 4 t bits and solarize has the threshold t, so that both become weaker as the level
grows; translations are 250 t pixels (100 t in RandAugment) whatever the side; magnitudes are over 10 in both methods; its
contrast takes the number of pixels / 256 for the mean; and what comes from outside is gray (`fill = 0.5`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int64

from sslkit.augmentations import affine, color, sharpen, tone
from sslkit.augmentations.affine import Interpolation
from sslkit.augmentations.batch import Images, apply_to

_REACH = Fraction(150, 331)  # the search had images of 331 pixels, which moved by 150 at most


class Distortion(NamedTuple):
    """A law and its amounts.

    Args:
        law: writes into its images; takes one amount an image if there are amounts.
        amount: of the level, before the sign.
        signed: whether half of the amounts are negative.
        neutral: what the signed amount is added to.
    """

    law: Callable[..., None]
    amount: Callable[[Fraction], float] | None = None
    signed: bool = False
    neutral: float = 0.0


def operations(*, height: int, width: int, interpolation: Interpolation, fill: float) -> dict[str, Distortion]:
    """All of the operations by name.

    Args:
        height: of the images, for the translations.
        width: of the images.
        interpolation: of shear, translate and rotate.
        fill: what comes from outside of the image there.
    """

    def moving(law: Callable[..., None], amount: Callable[[Fraction], float]) -> Distortion:
        return Distortion(partial(law, interpolation=interpolation, fill=fill), amount, signed=True)

    def factor(law: Callable[..., None]) -> Distortion:
        return Distortion(law, lambda t: float(Fraction(9, 10) * t), signed=True, neutral=1.0)

    return {
        "identity": Distortion(_keep),
        "shear_x": moving(affine.shear_x, lambda t: float(Fraction(3, 10) * t)),
        "shear_y": moving(affine.shear_y, lambda t: float(Fraction(3, 10) * t)),
        "translate_x": moving(affine.translate_x, lambda t: float(int(_REACH * width * t))),
        "translate_y": moving(affine.translate_y, lambda t: float(int(_REACH * height * t))),
        "rotate": moving(affine.rotate, lambda t: float(30 * t)),
        "brightness": factor(color.multiply_brightness),
        "color": factor(color.saturation_by_luma),
        "contrast": factor(color.contrast_by_luma),
        "sharpness": factor(sharpen.sharpness),
        "posterize": Distortion(tone.posterize, lambda t: float(8 - round(4 * t))),
        "solarize": Distortion(tone.solarize, lambda t: float(1 - t)),
        "autocontrast": Distortion(tone.autocontrast),
        "equalize": Distortion(tone.equalize),
        "invert": Distortion(tone.invert),
    }


def distort(
    images: Images,
    *,
    table: dict[str, Distortion],
    choices: Sequence[tuple[str, Fraction]],
    chosen: Int64[np.ndarray, " n"],
    rows: Bool[np.ndarray, " n"],
    negative: Bool[np.ndarray, " n"],
) -> None:
    """Apply to each image the operation of its choice, in place; those of one operation are worked on at once.

    Args:
        images: all of them.
        table: the operations by name.
        choices: (operation, level), of which `chosen` gives the index.
        chosen: each image's choice.
        rows: which images are changed; the others stay as they are.
        negative: which images have a negative amount, if their operation is signed.
    """
    names = np.array([name for name, _ in choices])[chosen]
    for name in sorted({name for name, _ in choices}):
        law, amount, signed, neutral = table[name]
        if amount is None:
            apply_to(rows & (names == name), law, images)
            continue
        sizes = np.array([amount(level) if other == name else 0.0 for other, level in choices])[chosen]
        amounts = np.where(negative & signed, neutral - sizes, neutral + sizes)
        apply_to(rows & (names == name), law, images, amounts)


def _keep(images: Images) -> None:
    """Leave the images as they are."""
