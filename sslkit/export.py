"""Export: the features of a split by the encoder of a run, in a file for other programs."""

from __future__ import annotations

from pathlib import Path

from sslkit import build, checkpoint, machine
from sslkit.datasets.stand_in import skipped
from sslkit.embedding import Split, embed
from sslkit.errors import UserError
from sslkit.evaluations.features import Features
from sslkit.layer import at_layer
from sslkit.progress import Reporter
from sslkit.signals import stop_request
from sslkit.trained import Trained


def embed_run(run: Trained, split: str, *, layer: str, into: Path, report: Reporter) -> Features:
    """Embed a split of a run's data, in its evaluation view, and write the features to a safetensors file.

    Args:
        run: a finished run; its recipe says which dataset.
        split: such as "test".
        layer: "h", "z" or "head.N".
        into: the file; its tensors are `h (n, d)`, `indices (n,)` and, where there are, `labels`.
        report: where progress is shown.

    Raises:
        DataError: the data or the split is not there.
        UserError: the head has no such layer; images have another number of channels; or the file is no `.safetensors`.
    """
    if into.suffix != ".safetensors":
        raise UserError(f"--output: must end in .safetensors, is {str(into)!r}.")
    network = at_layer(run.encoder, run.head, layer).to(machine.device()).eval()
    images = build.images(run.recipe, split)
    if images.channels != run.transform.channels:
        raise UserError(f"--data: has images of {images.channels} channels, and the encoder takes {run.transform.channels}.")
    facts = {
        "encoder": str(run.folder.path),
        "recipe": run.recipe.digest(),
        "layer": layer,
        "view": [part.to_dict() for part in run.recipe.evaluation_augmentations],
        "weights": checkpoint.digest(network.state_dict()),
    }
    with stop_request() as stop:
        workers = machine.num_workers(run.recipe.data.options["workers"])
        seen = Split(images, split, view=run.transform.view, workers=workers, poll=stop.poll)
        with stop.at_once(), report.work(f"features of {split}", len(images)) as advance:
            features = embed(network, seen, device=machine.device(), progress=advance, into=into, facts=facts)
    for line in skipped([images]):
        report.say(line)
    return features
