"""Trained: what a finished run left behind, put together again: its recipe, its encoder and its head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import nn

from sslkit import build, checkpoint
from sslkit.checkpoint import Checkpoint
from sslkit.checkpoint_folder import newest
from sslkit.datasets.images import Images
from sslkit.encoder import Transform, load_encoder
from sslkit.errors import CheckpointError, DataError, UserError
from sslkit.folder import RunFolder, existing
from sslkit.origin import origin
from sslkit.recipe import Recipe
from sslkit.stored_size import refuse_another_size
from sslkit.toml_writer import inline


@dataclass(frozen=True)
class Trained:
    """A run: `folder`; `recipe`, with overrides; `encoder` and `head` in eval mode; `transform`, its view; `online`.

    `digest` is that of the recipe which was trained, whatever the overrides say of images and views.
    """

    folder: RunFolder
    recipe: Recipe
    encoder: nn.Module
    head: nn.Module
    transform: Transform
    digest: str
    online: nn.Module | None = None

    @classmethod
    def load(cls, folder: Path, overrides: Sequence[str] = ()) -> Trained:
        """A run from its folder; `overrides` are `KEY=VALUE` over its resolved recipe.

        Raises:
            CheckpointError: the encoder, or the last checkpoint, is missing, damaged, or another version's.
            UserError: the folder holds no run, or another version wrote its recipe or its results.
        """
        target = existing(folder)
        recipe = Recipe.load(target.resolved, overrides)
        trained, transform = load_encoder(folder)
        last = _last(target)
        target.read_results()  # a mistake in them shows before hours of evaluation
        classifier = last.tensors.get("method/classifier.bias")
        num_classes = None if classifier is None else len(classifier)
        make = partial(build.method, recipe, in_channels=transform.channels, num_classes=num_classes)
        try:
            refuse_another_size(make, last.weights())
            method = make()
            checkpoint.restore_weights(last, method)
        except (ValueError, ArithmeticError) as error:
            raise CheckpointError(f"{last.path}: holds another network: {error}. {origin(folder)}") from error
        except CheckpointError as error:
            raise CheckpointError(f"{error}. {origin(folder)}") from error
        digest = target.read_resolved().get("resolved", {}).get("recipe") or Recipe.load(target.resolved).digest()
        return cls(target, recipe, trained, method.head.eval(), transform, str(digest), getattr(method, "classifier", None))

    def check_channels(self, images: Images) -> None:
        """Raise DataError if the encoder does not take images of so many channels."""
        if images.channels != self.transform.channels:
            other = inline({"name": "image_folder", "root": ".", "channels": self.transform.channels})
            raise DataError(
                f"has images of {images.channels} channel{'s' * (images.channels > 1)}, and the encoder takes "
                f"{self.transform.channels}. A folder of images can be read so: --data '{other}'."
            )


def _last(folder: RunFolder) -> Checkpoint:
    """The checkpoint that the encoder was taken from; an older one's head would be another."""
    steps = folder.read_resolved().get("resolved", {}).get("steps")
    found = newest(folder.checkpoints)
    if found is None or checkpoint.step_of(found) != steps:
        after = "there is none" if found is None else f"the newest, {found.path.name}, is of step {found.facts['step']}"
        raise CheckpointError(
            f"{folder.checkpoints}: the checkpoint after the last step, {steps}, is missing; {after}. The head that was "
            f"trained with the encoder is in it."
        )
    return found


def dataset(text: str) -> str:
    """What `--data` says, as an override of a recipe: a folder of images, or a table `{ name = "cifar10", root = "." }`."""
    if text.lstrip().startswith("{"):
        return f"data={text}"
    if not Path(text).is_dir():
        raise UserError(
            f"--data {text}: there is no such folder. Give a folder of images with one folder a class, or a dataset as a "
            f'recipe names it: --data \'{{ name = "cifar10", root = "data" }}\'.'
        )
    return "data=" + inline({"name": "image_folder", "root": text})
