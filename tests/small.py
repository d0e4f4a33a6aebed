"""A recipe that trains in a second, and the runs that tests make of it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from sslkit.checkpoint_folder import newest_first
from sslkit.draws import shuffled

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


def newest_checkpoint(folder: Path) -> Path:
    """The last checkpoint of a run folder."""
    return newest_first(folder / "checkpoints")[0]


def tops(found):
    """The top-1 and top-5 of what an evaluation gives, without what else it counted."""
    return [(name, value) for name, value in found if name.endswith(("_top1", "_top5"))]


class FakeImages:
    """Images around one colour a class; no crops, so that the features of an image are the same in every epoch."""

    classes = ("red", "green", "blue")
    size = 4

    def __init__(self, n=60, m=30, seed=0):
        self.seed = seed
        self.train_labels, self.test_labels = np.arange(n) % 3, np.arange(m) % 3
        rng = np.random.default_rng(0)
        self.train, self.test = (
            (np.eye(3)[labels][:, :, None, None] + 0.3 * rng.standard_normal((len(labels), 3, 4, 4))).astype(np.float32)
            for labels in (self.train_labels, self.test_labels)
        )
        self.epochs = []

    def train_batches(self, epoch, batch_size):
        self.epochs.append(epoch)
        order = shuffled(len(self.train), self.seed, "linear", epoch)
        for first in range(0, len(order), batch_size):
            rows = order[first : first + batch_size]
            yield torch.from_numpy(self.train[rows]), torch.from_numpy(self.train_labels[rows])

    def train_views(self, epoch, batch_size):
        return (x for x, _ in self.train_batches(epoch, batch_size))

    def test_batches(self, batch_size):
        for first in range(0, len(self.test), batch_size):
            yield torch.from_numpy(self.test[first : first + batch_size])

    def test_pairs(self, rows, batch_size):
        raise NotImplementedError

    train_image = test_image = test_pairs

    @property
    def before_last(self):
        return self

    def last(self, images, at):
        return images


def convolutional():
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten())
    encoder(torch.randn(16, 3, 4, 4))  # running statistics that a batch of images would move
    return encoder.eval()
