"""Export: the features of a split by the encoder of a run, in a file for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from sslkit import build, checkpoint, machine
from sslkit.datasets.stand_in import skipped
from sslkit.embedding import Split, embed
from sslkit.errors import DataError, UnknownSplit, UserError
from sslkit.evaluations.features import Features
from sslkit.layer import at_layer
from sslkit.progress import Reporter
from sslkit.protocol import which_images
from sslkit.recipe import Recipe
from sslkit.signals import stop_request
from sslkit.toml_writer import inline
from sslkit.trained import Trained


def embed_run(run: Trained, split: str, *, layer: str, into: Path, report: Reporter) -> Features:
    """Embed a split of a run's data, in its evaluation view, and write the features to a safetensors file.

    Overrides of the run may say other images and another evaluation view; the file notes what was used.

    Args:
        run: a finished run; its recipe says which dataset, and the view.
        split: such as "test".
        layer: "h", "z" or "head.N".
        into: the file; its tensors are `h (n, d)`, `indices (n,)` and, where there are, `labels`.
        report: where progress is shown.

    Raises:
        DataError: the data or the split is not there, or images have another number of channels.
        UserError: the head has no such layer; an override would make it another encoder; or the file is no `.safetensors`.
    """
    if into.suffix != ".safetensors":
        raise UserError(f"--output: must end in .safetensors, is {str(into)!r}.")
    _refuse_another_encoder(run)
    network = at_layer(run.encoder, run.head, layer).to(machine.device()).eval()
    try:
        images = build.images(run.recipe, split)
    except UnknownSplit as error:
        raise UnknownSplit(f"--split {split}: {error}") from error
    try:
        run.check_channels(images)
    except DataError as error:
        raise DataError(f"--data: {error}") from error
    facts = _facts(run, network, layer=layer)
    with stop_request() as stop:
        workers = machine.num_workers(run.recipe.data.options["workers"])
        view = build.view(run.recipe.evaluation_augmentations)
        seen = Split(images, split, view=view, workers=workers, poll=stop.poll)
        with stop.at_once(), report.work(f"features of {split}", len(images)) as advance:
            features = embed(network, seen, device=machine.device(), progress=advance, into=into, facts=facts)
    for line in skipped([images]):
        report.say(line)
    return features


def _refuse_another_encoder(run: Trained) -> None:
    """Raise UserError if an override changes more than images and view."""
    as_trained = Recipe.load(run.folder.resolved, ["data=" + inline(run.recipe.data.to_dict())])
    if changed := run.recipe.differences(as_trained.to_dict()):
        raise UserError("--set: embedding can't change what was trained:\n" + "\n".join(f"  {line}" for line in changed))


def _facts(run: Trained, network: nn.Module, *, layer: str) -> dict[str, Any]:
    """What the file notes of where its features are from."""
    return {
        "encoder": str(run.folder.path),
        "recipe": run.digest,
        "layer": layer,
        "data": which_images(run.recipe.data),
        "view": [part.to_dict() for part in run.recipe.evaluation_augmentations],
        "weights": checkpoint.digest(network.state_dict()),
    }
