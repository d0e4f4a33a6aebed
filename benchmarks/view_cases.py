"""What `views.py` prepares: the cases, the numbers of the list of operations, and the images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

AREA, FLIP_P, JITTER_P, GRAY_P, BLUR_P, SIGMA = (0.08, 1.0), 0.5, 0.8, 0.2, 0.5, (0.1, 2.0)
QUALITY = 90  # of the JPEG files
Run = Callable[[int], object]  # prepares all images once; the number of the round


class Case(NamedTuple):
    """What is prepared: `num_images` of `height` x `width` pixels, to views of `size` pixels."""

    title: str
    size: int
    height: int
    width: int
    num_images: int
    strength: float
    blur: bool
    files: bool = False

    @property
    def jitter(self) -> dict[str, float]:
        """The changes of the colour distortion, by the names that all peers give them."""
        change = 0.8 * self.strength
        return {"brightness": change, "contrast": change, "saturation": change, "hue": 0.2 * self.strength}

    @property
    def taps(self) -> int:
        """Of the blur's kernel: sslkit's law."""
        return 2 * (int(0.1 * self.size + 1e-9) // 2) + 1


CASES = {
    "32": Case("32 px from memory", 32, 32, 32, num_images=256, strength=0.5, blur=False),
    "96": Case("96 px from memory", 96, 96, 96, num_images=128, strength=0.5, blur=True),
    "224": Case("224 px from a decoded photo", 224, 375, 500, num_images=32, strength=1.0, blur=True),
    "jpeg": Case("224 px from JPEG files", 224, 375, 500, num_images=32, strength=1.0, blur=True, files=True),
}


def pixels_of(case: Case) -> np.ndarray:
    """Noise whose amplitude falls as 1 / frequency, as that of photos does; channels differ less than pixels."""
    random = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(case.height)[:, None], np.fft.rfftfreq(case.width)[None])
    frequency[0, 0] = np.inf
    found = np.empty((case.num_images, case.height, case.width, 3), dtype=np.uint8)
    for image in found:
        gray, *colors = np.fft.irfft2(
            np.fft.rfft2(random.standard_normal((4, case.height, case.width))) / frequency, s=(case.height, case.width)
        )
        channels = np.stack([gray + 0.4 * color for color in colors], axis=2)
        image[:] = np.clip(118 + 60 * channels / channels.std(), 0, 255)  # ImageNet's mean and spread
    return found


def written(pixels: np.ndarray, folder: Path) -> list[Path]:
    """The same as JPEG files."""
    (folder / "train").mkdir()
    paths = [folder / "train" / f"{number:04}.jpg" for number in range(len(pixels))]
    for path, image in zip(paths, pixels, strict=True):
        Image.fromarray(image).save(path, quality=QUALITY)
    return paths
