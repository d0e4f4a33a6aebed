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
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import page
import torch
from view_cases import AREA, BLUR_P, CASES, FLIP_P, GRAY_P, JITTER_P, SIGMA, Case, Run, pixels_of, written
from view_peers import BOTH, albumentations, kornia, lightly, torchvision

from sslkit import machine
from sslkit.augmentations.color_distortion import ColorDistortion
from sslkit.augmentations.gaussian_blur import GaussianBlur
from sslkit.augmentations.horizontal_flip import HorizontalFlip
from sslkit.augmentations.random_resized_crop import RandomResizedCrop
from sslkit.datasets.arrays import ArrayImages
from sslkit.datasets.image_folder import ImageFolder
from sslkit.views import View, prepare

VERSIONS = ("torch", "opencv-python-headless", "lightly", "torchvision", "kornia", "albumentations", "pillow")


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


def table(rows: list[Row]) -> str:
    head = "| case | candidate | ms an image (two views) | images/s a core | time / sslkit's, median (lowest to highest) |"
    return "\n".join([head, "|---|---|--:|--:|--:|", *map(str, rows)])


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
            f"One thread of {platform.machine()}, {torch.backends.cpu.get_cpu_capability()}; {page.versions(*VERSIONS)}; "
            f"medians of {given.rounds} rounds."
        )
        print(header)
        if given.write:
            page.check(given.write, "views.py")  # before the work, not after it
        rows = measured(names, given.rounds)
        if given.write:
            page.write(given.write, "views.py", f"{header}\n\n{table(rows)}")


if __name__ == "__main__":
    main()
