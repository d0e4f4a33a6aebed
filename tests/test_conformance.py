"""Every built-in passes the checks of its kind."""

from typing import Any

from sslkit.registry import KINDS, registry_of
from sslkit.testing import conformance

CROP, SOME = {"size": 13}, {"operations": [{"name": "cutout", "p": 1.0}]}
NEEDED: dict[tuple[str, str], dict[str, Any]] = {
    ("augmentations", "all_of"): {"parameters": SOME},
    ("augmentations", "one_of"): {"parameters": SOME},
    ("augmentations", "center_crop"): {"parameters": CROP},
    ("augmentations", "random_resized_crop"): {"parameters": CROP},
    ("backbones", "resnet"): {"parameters": {"depth": 18, "width": 0.25}},
    ("evaluations", "linear_cached"): {"parameters": {"epochs": 2}},
    ("evaluations", "linear"): {"parameters": {"epochs": 2}},
}
# The others train for long by default, or need files; their own tests say the same of them.
QUICK = {"datasets": {"shapes"}, "evaluations": {"health", "knn", "linear", "linear_cached"}, "backbones": {"resnet"}}

for kind in KINDS:
    for name in registry_of(kind).builtins:
        if name in QUICK.get(kind, {name}) and name != "normalize":  # whose default is for three channels alone
            globals()[f"test_{kind}_{name}"] = conformance(kind, name, **NEEDED.get((kind, name), {}))
