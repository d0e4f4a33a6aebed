"""The peers of `views.py`, each given the same list in its own words; one that is not installed raises ImportError."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from view_cases import AREA, BLUR_P, FLIP_P, GRAY_P, JITTER_P, SIGMA, Case, Run

BOTH = ("torchvision, PIL", "torchvision, tensor")  # the slower one is not shown


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
