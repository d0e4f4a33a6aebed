"""Every built-in passes the checks of its kind."""

from typing import Any

import cv2
import numpy as np
import pytest

from sslkit.registry import KINDS, registry_of
from sslkit.testing import conformance
from sslkit.testing.conformance import checks_of, run
from sslkit.testing.subject import Subject

CROP, SOME = {"size": 13}, {"operations": [{"name": "cutout", "p": 1.0}]}
# What has no default, or costs minutes by default.
PARAMETERS: dict[tuple[str, str], dict[str, Any]] = {
    ("augmentations", "all_of"): SOME,
    ("augmentations", "one_of"): SOME,
    ("augmentations", "center_crop"): CROP,
    ("augmentations", "random_resized_crop"): CROP,
    ("backbones", "resnet"): {"depth": 18, "width": 0.25},
    ("backbones", "torchvision"): {"model": "shufflenet_v2_x0_5"},
    ("evaluations", "linear_cached"): {"epochs": 2},
    ("evaluations", "linear"): {"epochs": 2},
    ("evaluations", "finetune"): {"epochs": 2},
    ("evaluations", "finetune_grid"): {"steps": 2, "num_lrs": 2, "num_weight_decays": 1},
    ("evaluations", "logistic"): {"num_l2": 3},
    ("evaluations", "neighbours_picture"): {"num_queries": 4, "k": 3},
    ("evaluations", "probe_transform"): {"epochs": 1, "hidden_dim": 16},
}
EXCEPTIONS: dict[tuple[str, str], dict[str, str]] = {
    ("evaluations", "neighbours_picture"): {"cites_a_source": "it shows what is there, and nobody invented that"},
}
# The others need files that are not there; how they are read, their own tests say.
QUICK = {"datasets": {"shapes"}}

for kind in KINDS:
    for name in registry_of(kind).builtins:
        if name in QUICK.get(kind, {name}):
            given, declared = PARAMETERS.get((kind, name), {}), EXCEPTIONS.get((kind, name), {})
            globals()[f"test_{kind}_{name}"] = conformance(kind, name, parameters=given, exceptions=declared)

test_augmentations_normalize_of_gray = conformance("augmentations", "normalize", parameters={"mean": [0.5], "std": [0.25]})
test_augmentations_normalize_of_any = conformance("augmentations", "normalize", parameters={"mean": 0.5, "std": [0.2]})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three splits of photos of two classes, none of them square."""
    root = tmp_path_factory.mktemp("photos")
    drawn = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for number in range(6):
            path = root / split / f"class_{number % 2}" / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), drawn.integers(0, 256, (24 + 8 * number, 40, 3), dtype=np.uint8))
    return root


@pytest.mark.parametrize("held", [True, False], ids=["in_memory", "as_files"])
@pytest.mark.parametrize("check", checks_of("datasets").values(), ids=lambda check: check.__name__)
def test_datasets_image_folder(check, held, folder):
    run(check, Subject("datasets", "image_folder", {"root": str(folder), "memory_gib": 1.0 if held else 0.0}))
