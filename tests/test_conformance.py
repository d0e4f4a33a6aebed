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
}

for kind in KINDS:
    for name in registry_of(kind).builtins:
        globals()[f"test_{kind}_{name}"] = conformance(kind, name, **NEEDED.get((kind, name), {}))
