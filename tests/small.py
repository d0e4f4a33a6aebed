"""A recipe that trains in a second, and the runs that tests make of it."""

import os
import subprocess
import sys
from pathlib import Path

TEXT = """\
# A recipe for tests
backbone  = { name = "resnet", depth = 18, width = 0.125, stem = "small" }
head      = { name = "mlp", out_dim = 8 }
loss      = { name = "nt_xent", temperature = 0.2 }
optimizer = { name = "lars" }
augmentations = [
  { name = "random_resized_crop", size = 12, area = [0.3, 1.0] },
  { name = "horizontal_flip" },
  { name = "color_distortion" },
]

[data]
name = "shapes"
num_images = 60
size = 12

[train]
epochs = 3
batch_size = 16
base_lr = 0.5
warmup_epochs = 1
log_every = 1

[[evaluate]]
name = "knn"
k = 3
every_epochs = 1
baselines = ["pixels", "untrained"]

[[evaluate]]
name = "linear_cached"
epochs = 2
"""
STEPS = 9


def sslkit(*arguments, cwd: Path, check: int | None = 0, **options) -> subprocess.CompletedProcess:
    """Run the command as a user does; one thread, so that tests do not fight for cores."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **options.pop("env", {})}
    done = subprocess.run(
        [sys.executable, "-m", "sslkit", *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert check is None or done.returncode == check, (done.returncode, done.stdout, done.stderr)
    return done


def recipe_file(folder: Path, text: str = TEXT) -> Path:
    path = folder / "small.toml"
    path.write_text(text)
    return path


def tops(found):
    """The top-1 and top-5 of what an evaluation gives, without what else it counted."""
    return [(name, value) for name, value in found if name.endswith(("_top1", "_top5"))]
