"""Ranks whose disks hold other images: the message names the rank, the files, and how many they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from small import TEXT

from sslkit.distributed.ranks import rank
from sslkit.errors import SslkitError
from sslkit.progress import Lines
from sslkit.recipe import Recipe
from sslkit.run import run
from sslkit.testing.ranks import on_ranks


def photos(root: Path) -> None:
    (root / "train").mkdir(parents=True)
    for i in range(8):
        pixels = np.random.default_rng(i).integers(256, size=(12, 12, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "train" / f"{i}.bmp")


@pytest.fixture
def disks(tmp_path: Path) -> Path:
    """A folder of images for each of three ranks; the last one lacks an image, and has another instead."""
    for number in range(3):
        photos(tmp_path / str(number))
    (tmp_path / "2" / "train" / "3.bmp").rename(tmp_path / "2" / "train" / "x.bmp")
    return tmp_path


def said(disks: Path) -> str:
    overrides = [f'data={{ name = "image_folder", root = "{disks / str(rank())}" }}', "train.epochs=1", "train.batch_size=4"]
    recipe = Recipe.parse(TEXT, name="small", overrides=[*overrides, "train.warmup_epochs=0", "evaluate=[]"])
    try:
        run(recipe, disks / "run", report=Lines(Console(quiet=True)))
    except SslkitError as error:
        return f"{type(error).__name__} {error.exit_status}: {error}"
    return "done"


@pytest.mark.fault(
    "ranks that see different images",
    injected="a folder of its own for one rank",
    expected="refused, with the rank and its files",
    theme="several processes",
)
def test_the_rank_and_its_files_are_named(disks: Path) -> None:
    found = on_ranks(3, said, disks)
    assert found[0].startswith("UserError 2: rank 2: its images are not those of rank 0:\n")
    assert "\n  added: 1, 'x.bmp'\n  removed: 1, '3.bmp'\n" in found[0]
    assert found[1:] == ["OtherRankFailed 2: "] * 2
    assert not (disks / "run").exists()
    assert on_ranks(2, said, disks) == ["done"] * 2


def test_a_resume_on_other_images_is_refused_by_the_leader_for_all(disks: Path) -> None:
    assert on_ranks(2, said, disks) == ["done"] * 2
    (disks / "run" / "results.json").unlink()
    for number in range(2):
        (disks / str(number) / "train" / "5.bmp").unlink()
    found = on_ranks(2, said, disks)
    assert "RunFolderError 2: " in found[0]
    assert "began with 8 images, and there are 7 now:\n  removed: 1, '5.bmp'\n" in found[0]
    assert found[1] == "OtherRankFailed 2: "
