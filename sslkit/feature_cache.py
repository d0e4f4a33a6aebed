"""Feature cache: each split is embedded once for all evaluations of a network, and for those that are asked for later."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

import sslkit
from sslkit import checkpoint
from sslkit.checkpoint_folder import refuse_link
from sslkit.datasets.contents import contents_of
from sslkit.embedding import Split, embed
from sslkit.errors import CheckpointError
from sslkit.evaluations.features import Features
from sslkit.features_file import read_features
from sslkit.progress import Reporter


class FeatureCache:
    """Features in files of a folder, by what they depend on: weights, layer, images, the view they are seen in, and by what.

    Another version of sslkit or torch, or another kind of device, embeds anew: what reads, crops or computes may have changed.

    There is one file for each encoder, split and layer; what other weights or other images give takes the place of what lay
    there. How far other images are noticed is said at `sslkit.datasets.contents`. The folder may be deleted at any time.

    Args:
        folder: where the files lie.
        data: what says which images a split has.
        view: the evaluation view, as recipe sections.
        device: where networks lie.
        report: where progress is shown.
    """

    def __init__(self, folder: Path, *, data: Any, view: Any, device: torch.device, report: Reporter) -> None:
        self.folder = folder
        self.device = device
        self.report = report
        made_with = {"sslkit": sslkit.__version__, "torch": torch.__version__, "device": str(device)}
        self._common = {"data": data, "view": view, **made_with}

    def features(self, network: nn.Module, split: Split, *, encoder: str, layer: str) -> Features:
        """The features that a network gives of a split; `encoder` and `layer` say what it is in words."""
        path = self.folder / f"{encoder}-{split.name}-{layer}.safetensors".replace("/", "_")
        key = self._key(network, split, layer=layer)
        if path.exists():
            try:
                features, facts = read_features(path)
            except CheckpointError as error:
                self.report.say(f"{error} The images are embedded again.")
            else:
                if facts.get("key") == key:
                    return features
        with self.report.work(f"{encoder}: features of {split.name}", len(split.images)) as advance:
            return embed(network, split, device=self.device, progress=advance, into=path, facts={"key": key, "layer": layer})

    def forget(self, encoder: str) -> None:
        """Delete the files of an encoder that won't be asked for again."""
        refuse_link(self.folder)
        for path in self.folder.glob(f"{encoder}-*.safetensors"):
            path.unlink()

    def _key(self, network: nn.Module, split: Split, *, layer: str) -> str:
        labels = split.images.labels
        images: Mapping[str, Any] = {
            "split": split.name,
            "num_images": len(split.images),
            "contents": contents_of(split.images),
            "labels": None if labels is None else hashlib.sha256(labels.tobytes()).hexdigest(),
            "classes": split.images.classes,
        }
        facts = {
            **self._common,
            **images,
            "weights": checkpoint.digest(network.state_dict(), {"network": str(network)}),
            "layer": layer,
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
