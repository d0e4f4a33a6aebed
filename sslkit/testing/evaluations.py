"""What is asked of an evaluation."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from sslkit import signatures
from sslkit.augmentations.center_crop import CenterCrop
from sslkit.datasets.shapes import Shapes
from sslkit.embedding import Pair, Split, embed
from sslkit.evaluations.features import Features
from sslkit.selection import for_last_training, for_selection
from sslkit.testing.every_kind import cites_a_source
from sslkit.testing.failures import no_error
from sslkit.testing.subject import Subject
from sslkit.views import View

_TRAIN, _TEST = 48, 24


class _Setting:
    """A small encoder, and images of simple shapes, as evaluations see them."""

    def __init__(self, folder: Path) -> None:
        torch.manual_seed(0)
        convolution = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.encoder = convolution.eval()
        self.head = nn.Linear(32, 8).eval()
        view = View([CenterCrop(size=12)])
        self.train, self.test = (
            Split(Shapes(name, num_images=n, size=12), name, view=view) for name, n in (("train", _TRAIN), ("test", _TEST))
        )
        self.features = [embed(self.encoder, split) for split in (self.train, self.test)]
        self.folder = folder

    def offered(self) -> dict[str, Any]:
        """All that the framework offers."""
        train, test = self.features
        num_classes = len(train.classes or ())
        return {
            "train": train,
            "test": test,
            "validation": None,
            "encoder": self.encoder,
            "head": self.head,
            "online": nn.Linear(32, num_classes).eval(),
            "images": Pair(self.train, self.test),
            "selection": for_selection(self.train, None),
            "final": for_last_training(self.train, None, self.test),
            "folder": self.folder,
            "seed": 0,
        }


def _found(subject: Subject, setting: _Setting) -> list[Any]:
    evaluation = subject.make()
    called = signatures.written(type(evaluation), "__call__")
    assert called is not None
    return list(evaluation(**signatures.declared(called, setting.offered())))


def gives_named_numbers(subject: Subject) -> None:
    """It gives pairs of a name and a value, a finite number or an array; it gives none only if it draws something."""
    with tempfile.TemporaryDirectory() as folder:
        pairs = _found(subject, _Setting(Path(folder)))
        assert pairs or any(Path(folder).iterdir()), "it gives nothing, and its folder is empty."
        for pair in pairs:
            assert isinstance(pair, tuple), f"{pair!r} is no pair."
            name, value = pair
            assert isinstance(name, str), f"{name!r} is no name."
            if not isinstance(value, np.ndarray):
                with no_error(f"{name} is {value!r}"):
                    assert np.isfinite(float(value)), f"{name} is {value}."


def same_seed_same_numbers(subject: Subject) -> None:
    """The same features, images and seed give the same numbers and files: all chance comes from the seed."""
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        found = [_found(subject, _Setting(Path(folder))) for folder in (one, other)]
        first_files, second_files = (_files(Path(folder)) for folder in (one, other))
    names = [[name for name, _ in pairs] for pairs in found]
    assert names[0] == names[1], f"it gives {names[0]} and then {names[1]}."
    for (name, first), (_, second) in zip(*found, strict=True):
        assert np.array_equal(np.asarray(first), np.asarray(second)), f"{name} is {first} and then {second}."
    differing = [name for name in {**first_files, **second_files} if first_files.get(name) != second_files.get(name)]
    assert not differing, f"{differing[0]} is another file the second time."


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def nothing_is_changed(subject: Subject) -> None:
    """It leaves features, encoder and head as they are: the next evaluation uses them."""
    with tempfile.TemporaryDirectory() as folder:
        setting = _Setting(Path(folder))
        before = _state(setting)
        _found(subject, setting)
        for name, value in _state(setting).items():
            assert np.array_equal(before[name], value), f"{name} changed."
        assert not setting.encoder.training, "the encoder was left in train mode."


def _state(setting: _Setting) -> dict[str, Any]:
    networks = {"encoder": setting.encoder, "head": setting.head}
    weights = {f"{key}.{name}": one.numpy().copy() for key, net in networks.items() for name, one in net.state_dict().items()}
    return {**weights, "features of train": setting.features[0].h.copy(), "features of test": setting.features[1].h.copy()}


def protocol_can_be_written_down(subject: Subject) -> None:
    """What it says of itself, `law` and `settings(num_images)`, is words and JSON: they stand with each number."""
    evaluation = subject.make()
    assert isinstance(getattr(evaluation, "law", ""), str), f"law is {evaluation.law!r}."
    settings = getattr(evaluation, "settings", None)
    if settings is not None:
        found = settings(_TRAIN)
        with no_error(f"settings({_TRAIN}) is {found!r}"):
            assert json.loads(json.dumps(found)).keys() == found.keys(), f"settings({_TRAIN}) is {found!r}."


def labels_are_looked_at_beforehand(subject: Subject) -> None:
    """`check`, if there is one, passes what can be evaluated, as features of width 0; it costs no training then."""
    evaluation = subject.make()
    check = getattr(evaluation, "check", None)
    if check is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        train, test = (
            Features(np.zeros((len(one.h), 0), np.float32), one.labels, one.classes, one.split)
            for one in _Setting(Path(folder)).features
        )
    with no_error(f"check refuses {_TRAIN} labelled images"):
        offered = {"validation": None, "seed": 0, "channels": 3, "baselines": ()}
        check(train, test, **signatures.declared(check, offered))


CHECKS = (
    gives_named_numbers,
    same_seed_same_numbers,
    nothing_is_changed,
    protocol_can_be_written_down,
    labels_are_looked_at_beforehand,
    cites_a_source,
)
