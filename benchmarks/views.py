"""Two views an image: how many images a second one core prepares, beside lightly, torchvision, kornia and albumentations.

Every candidate gets the same list with the same numbers and bilinear crops, starts from the form of image that it likes best
(made before the clock starts, unless files are read) and fills two batches of float32 in [0, 1]. All run in turns in one
process a case, each on one thread. What counts is the time of the processor, so that other work on the machine matters less.
Freed memory is kept as in sslkit's runs, for all. Images are noise with the spectrum of photos. Peers that are not installed
are left out.

What differs: sslkit after the crop, and kornia throughout, keep fractions of a grey level, the others round after each
operation; albumentations can keep them too, which is a line of its own. Its blur would choose a kernel of seven taps or so, not
the list's tenth of the side: another line. PIL, and so lightly, always filters before it shrinks, to which "area" comes
nearest. kornia draws one order of the colour changes a batch. sslkit's colours follow TensorFlow's laws, its default, the
others torchvision's.

    python benchmarks/views.py
    python benchmarks/views.py --case 32 --rounds 3
    python benchmarks/views.py --case 224 --profile            # where sslkit's time goes
    python benchmarks/views.py --write docs/benchmarks.md      # between the page's two marks
"""

from __future__ import annotations

import argparse
import cProfile
import importlib.metadata
import json
import os
import platform
import pstats
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from PIL import Image

from sslkit import machine
from sslkit.augmentations.color_distortion import ColorDistortion
from sslkit.augmentations.gaussian_blur import GaussianBlur
from sslkit.augmentations.horizontal_flip import HorizontalFlip
from sslkit.augmentations.random_resized_crop import RandomResizedCrop
from sslkit.datasets.arrays import ArrayImages
from sslkit.datasets.image_folder import ImageFolder
from sslkit.views import View, prepare

FIRST, LAST = "<!-- views.py -->", "<!-- end views.py -->"
AREA, FLIP_P, JITTER_P, GRAY_P, BLUR_P, SIGMA = (0.08, 1.0), 0.5, 0.8, 0.2, 0.5, (0.1, 2.0)
QUALITY = 90  # of the JPEG files
BOTH = ("torchvision, PIL", "torchvision, tensor")  # the slower one is not shown
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


class Row(NamedTuple):
    """One candidate in one case; times in seconds of the processor an image."""

    case: str
    name: str
    seconds: float
    ratios: list[float]  # to sslkit, one a round

    def __str__(self) -> str:
        ratio = f"{statistics.median(self.ratios):,.2f} ({min(self.ratios):,.2f} to {max(self.ratios):,.2f})"
        return f"| {self.case} | {self.name} | {1e3 * self.seconds:,.3f} | {1 / self.seconds:,.0f} | {ratio} |"


class Photos(ArrayImages):
    """Images in memory, as CIFAR's are."""

    def __init__(self, pixels: np.ndarray) -> None:
        self._images, self.channels, self.labels, self.classes = pixels, 3, None, None


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


class Timed:
    """Anything, whose calls are timed under a name."""

    def __init__(self, inner: Any, name: str, seconds: dict[str, float]) -> None:
        self._inner, self._name, self._seconds = inner, name, seconds

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(self._inner, attribute)
        return Timed(value, self._name, self._seconds) if callable(value) else value

    def __call__(self, *given: Any, **named: Any) -> Any:
        began = time.process_time()
        try:
            return self._inner(*given, **named)
        finally:
            self._seconds[self._name] += time.process_time() - began


def ours(
    case: Case, pixels: np.ndarray, folder: Path, *, interpolation: Any = "bilinear", seconds: dict[str, float] | None = None
) -> Run:
    """Sslkit; with `seconds`, which parts took them is noted there."""
    images: Any = ImageFolder("train", root=folder, memory_gib=0) if case.files else Photos(pixels)
    operations: list[Any] = [
        ("random_resized_crop", RandomResizedCrop(size=case.size, area=AREA, interpolation=interpolation)),
        ("horizontal_flip", HorizontalFlip(p=FLIP_P)),
        ("color_distortion", ColorDistortion(strength=case.strength, jitter_p=JITTER_P, gray_p=GRAY_P)),
    ]
    if case.blur:
        operations.append(("gaussian_blur", GaussianBlur(p=BLUR_P, sigma=SIGMA)))
    if seconds is not None:
        images = Timed(images, "reading", seconds)
        operations = [(name, Timed(operation, name, seconds)) for name, operation in operations]
    views = [View(operations)] * 2
    indices = np.arange(len(pixels))
    out = [np.zeros((len(pixels), case.size, case.size, 3), dtype=np.float32) for _ in views]
    return lambda turn: prepare(images, views, indices, address=(0, "views", turn), out=out)


def one_by_one(
    images: list[Any], views: Callable[[Any], Sequence[np.ndarray | torch.Tensor]], read: Callable[[Any], Any] | None
) -> Run:
    """A peer that takes images one by one, reads a file once for both views, and fills two batches with them."""
    batches: list[Any] = []

    def run(_: int) -> None:
        for row, image in enumerate(images):
            for number, view in enumerate(views(read(image) if read else image)):
                if len(batches) <= number:
                    new = torch.zeros if isinstance(view, torch.Tensor) else np.zeros
                    batches.append(new((len(images), *view.shape), dtype=view.dtype))
                batches[number][row] = view

    return run


def twice(transform: Callable[[Any], Any]) -> Callable[[Any], Sequence[Any]]:
    return lambda image: (transform(image), transform(image))


def opened(path: Path) -> Image.Image:
    """As torchvision's and so lightly's folders do it."""
    with path.open("rb") as file:
        return Image.open(file).convert("RGB")


def lightly(case: Case, pixels: np.ndarray, paths: list[Path]) -> dict[str, Run]:
    from lightly.transforms import SimCLRTransform

    transform = SimCLRTransform(
        input_size=case.size,
        cj_prob=JITTER_P,
        cj_strength=case.strength,
        cj_bright=0.8,
        cj_contrast=0.8,
        cj_sat=0.8,
        cj_hue=0.2,
        min_scale=AREA[0],
        random_gray_scale=GRAY_P,
        gaussian_blur=BLUR_P if case.blur else 0.0,
        sigmas=SIGMA,
        hf_prob=FLIP_P,
        normalize=None,
    )
    images: list[Any] = paths or [Image.fromarray(image) for image in pixels]
    return {"lightly": one_by_one(images, transform, opened if paths else None)}


def torchvision(case: Case, pixels: np.ndarray, paths: list[Path]) -> dict[str, Run]:
    from torchvision.io import decode_jpeg, read_file
    from torchvision.transforms import v2

    def transform(*, antialias: bool) -> v2.Compose:
        blur = [v2.RandomApply([v2.GaussianBlur(case.taps, SIGMA)], p=BLUR_P)] if case.blur else []
        return v2.Compose(
            [
                v2.RandomResizedCrop(case.size, scale=AREA, antialias=antialias),
                v2.RandomHorizontalFlip(FLIP_P),
                v2.RandomApply([v2.ColorJitter(**case.jitter)], p=JITTER_P),
                v2.RandomGrayscale(GRAY_P),
                *blur,
                v2.ToImage(),
                v2.ToDtype(torch.float32, scale=True),
            ]
        )

    photos: list[Any] = paths or [Image.fromarray(image) for image in pixels]
    tensors: list[Any] = paths or [torch.from_numpy(image).permute(2, 0, 1).contiguous() for image in pixels]
    return {
        BOTH[0]: one_by_one(photos, twice(transform(antialias=True)), opened if paths else None),  # PIL has no other
        BOTH[1]: one_by_one(
            tensors, twice(transform(antialias=False)), (lambda path: decode_jpeg(read_file(str(path)))) if paths else None
        ),
    }


def kornia(case: Case, pixels: np.ndarray, paths: list[Path]) -> dict[str, Run]:
    import kornia.augmentation as K

    if paths:
        return {}  # it reads no files
    size = (case.size, case.size)
    blur = [K.RandomGaussianBlur((case.taps, case.taps), SIGMA, border_type="constant", p=BLUR_P)] if case.blur else []
    transform = K.AugmentationSequential(
        K.RandomResizedCrop(size, scale=AREA, align_corners=False, cropping_mode="slice"),  # the faster mode
        K.RandomHorizontalFlip(p=FLIP_P),
        K.ColorJitter(**case.jitter, p=JITTER_P),
        K.RandomGrayscale(p=GRAY_P),
        *blur,
        data_keys=["input"],
    )
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()

    def run(_: int) -> None:
        with torch.inference_mode():
            batch = images.float().div_(255)
            transform(batch)
            transform(batch)

    return {"kornia": run}


def albumentations(case: Case, pixels: np.ndarray, paths: list[Path]) -> dict[str, Run]:
    import albumentations as A

    def transform(*, area: str | None = None, taps: int = case.taps, exact: bool = False) -> Callable[[Any], object]:
        blur = [A.GaussianBlur(blur_limit=(taps, taps) if taps else 0, sigma_limit=SIGMA, p=BLUR_P)] if case.blur else []
        operations = [
            A.RandomResizedCrop((case.size, case.size), scale=AREA, interpolation=cv2.INTER_LINEAR, area_for_downscale=area),
            *([A.ToFloat(max_value=255)] if exact else []),
            A.HorizontalFlip(p=FLIP_P),
            A.ColorJitter(**case.jitter, p=JITTER_P),
            A.ToGray(p=GRAY_P),
            *blur,
            *([] if exact else [A.ToFloat(max_value=255)]),
        ]
        composed = A.Compose(operations, seed=0)
        return lambda image: composed(image=image)["image"]

    def read(path: Path) -> np.ndarray:
        pixels = cv2.imread(str(path))
        assert pixels is not None
        return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)

    images: list[Any] = paths or list(pixels)
    variants = {"albumentations": transform(), "albumentations, float32": transform(exact=True)}
    if case.blur:
        variants["albumentations, its own kernel"] = transform(taps=0)
    if case.size == 224:
        variants["albumentations, area"] = transform(area="image")
    return {name: one_by_one(images, twice(one), read if paths else None) for name, one in variants.items()}


def candidates(case: Case, folder: Path) -> dict[str, Run]:
    pixels = pixels_of(case)
    paths = written(pixels, folder) if case.files else []
    found = {"sslkit": ours(case, pixels, folder)}
    if case.size == 224:
        found["sslkit, area"] = ours(case, pixels, folder, interpolation="area")
    for make in (albumentations, kornia, lightly, torchvision):
        try:
            found |= make(case, pixels, paths)
        except ImportError as error:
            print(f"{make.__name__}: left out, {error}", file=sys.stderr)
    return found


def one_thread() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    machine.keep_freed_memory()
    torch.manual_seed(0)
    np.random.seed(0)  # lightly's blur draws from it


def times(case: Case, rounds: int) -> dict[str, list[float]]:
    """Seconds an image of each, in turns."""
    with tempfile.TemporaryDirectory() as folder:
        run = candidates(case, Path(folder))
        found: dict[str, list[float]] = {name: [] for name in run}
        for turn in range(-1, rounds):
            for name, one in run.items():
                began = time.process_time()
                one(turn)
                if turn >= 0:  # the first warms up
                    found[name].append((time.process_time() - began) / case.num_images)
    return found


def measured(names: list[str], rounds: int) -> list[Row]:
    rows = []
    environment = os.environ | {"OMP_NUM_THREADS": "1", "NO_ALBUMENTATIONS_UPDATE": "1"}
    for name in names:
        command = [sys.executable, __file__, "--times", "--case", name, "--rounds", str(rounds)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
        seconds: dict[str, list[float]] = json.loads(done.stdout)
        if BOTH[0] in seconds:
            del seconds[max(BOTH, key=lambda one: statistics.median(seconds[one]))]
        for candidate, values in seconds.items():
            ratios = [value / base for value, base in zip(values, seconds["sslkit"], strict=True)]
            rows.append(Row(CASES[name].title, candidate, statistics.median(values), ratios))
            print(rows[-1], flush=True)
    return rows


def profile(case: Case, rounds: int) -> None:
    """Print the share of each part of sslkit's time, then the functions that took most of it."""
    seconds: dict[str, float] = defaultdict(float)
    with tempfile.TemporaryDirectory() as folder:
        pixels = pixels_of(case)
        if case.files:
            written(pixels, Path(folder))
        run, timed = ours(case, pixels, Path(folder)), ours(case, pixels, Path(folder), seconds=seconds)
        run(0), timed(0)
        seconds.clear()
        began = time.process_time()
        for turn in range(rounds):
            timed(turn)
        whole = time.process_time() - began
        profiler = cProfile.Profile()
        profiler.enable()
        for turn in range(rounds):
            run(turn)
        profiler.disable()
    seconds["all else"] = whole - sum(seconds.values())
    count = rounds * case.num_images
    print(f"{case.title}: {1e3 * whole / count:.3f} ms an image\n")
    for name, value in sorted(seconds.items(), key=lambda part: -part[1]):
        print(f"{name:22} {1e3 * value / count:8.3f} ms  share {value / whole:.3f}")
    print("\nFunctions, each slowed by the profiler's own cost a call:")
    pstats.Stats(profiler).strip_dirs().sort_stats("tottime").print_stats(20)


def versions() -> str:
    found = []
    for name in ("torch", "opencv-python-headless", "lightly", "torchvision", "kornia", "albumentations", "pillow"):
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return ", ".join([f"Python {platform.python_version()}", *found])


def table(rows: list[Row]) -> str:
    head = "| case | candidate | ms an image (two views) | images/s a core | time / sslkit's, median (lowest to highest) |"
    return "\n".join([head, "|---|---|--:|--:|--:|", *map(str, rows)])


def around(page: Path) -> tuple[str, str]:
    """What stands before and behind the page's two marks."""
    before, first, rest = page.read_text().partition(FIRST)
    _, last, after = rest.partition(LAST)
    if not (first and last):
        raise SystemExit(f"{page}: has no marks {FIRST} and {LAST}.")
    return before, after


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=CASES, help="one case alone")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--profile", action="store_true", help="the parts of sslkit's time, and no peers")
    parser.add_argument("--write", type=Path, help="a page to be written to")
    parser.add_argument("--times", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    names = [given.case] if given.case else list(CASES)
    if given.times:
        one_thread()
        print(json.dumps(times(CASES[given.case], given.rounds)))
    elif given.profile:
        one_thread()
        for name in names:
            profile(CASES[name], given.rounds)
    else:
        header = (
            f"One thread of {platform.machine()}, {torch.backends.cpu.get_cpu_capability()}; {versions()}; "
            f"medians of {given.rounds} rounds."
        )
        print(header)
        if given.write:
            around(given.write)  # before the work, not after it
        rows = measured(names, given.rounds)
        if given.write:
            before, after = around(given.write)
            given.write.write_text(f"{before}{FIRST}\n{header}\n\n{table(rows)}\n{LAST}{after}")


if __name__ == "__main__":
    main()
