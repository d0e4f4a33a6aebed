"""The encoder file: f alone, with what is needed to build it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor, nn

from sslkit import checkpoint
from sslkit.draws import Draws
from sslkit.errors import CheckpointError, DataError, UnknownName, UserError
from sslkit.origin import origin
from sslkit.registry import registry_of
from sslkit.stored_size import refuse_another_size
from sslkit.views import View


class Transform:
    """The evaluation view of a recipe: uint8 images -> what the encoder takes."""

    def __init__(self, view: View, *, channels: int) -> None:
        self.view = view
        self.channels = channels

    def __call__(self, images: Sequence[np.ndarray] | np.ndarray) -> Float32[Tensor, "n c s s"]:
        """One image `(h, w, c)`, or a list of them, uint8 RGB (or grey, c = 1) -> float32 in [0, 1].

        Raises:
            DataError: an image is of another type or number of channels.
        """
        listed = [images] if isinstance(images, np.ndarray) else list(images)
        for image in listed:
            if not isinstance(image, np.ndarray):
                raise DataError(f"transform: an image must be a numpy array, for instance of cv2.imread, is {image!r:.60}.")
            if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != self.channels:
                wanted = f"uint8 of shape (height, width, {self.channels})"
                raise DataError(f"transform: an image must be {wanted}, is {image.dtype} {image.shape}.")
        sizes = np.array([image.shape[:2] for image in listed], dtype=np.int64)
        samples = np.arange(len(listed), dtype=np.int64)
        at = Draws(samples, "evaluate")
        pixels = self.view.apply(listed, self.view.boxes(sizes, at), at)
        return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def save(path: Path, encoder: nn.Module, *, facts: Mapping[str, Any]) -> None:
    """Write an encoder; `facts` holds `backbone` and `view` as recipe sections, and `channels`."""
    checkpoint.save(path, encoder.state_dict(), {"kind": "encoder", **facts})


def load_encoder(path: str | Path) -> tuple[nn.Module, Transform]:
    """The encoder of a run folder or of an `encoder.safetensors`, in eval mode, and its evaluation transform.

    >>> encoder, transform = load_encoder("runs/quickstart")  # doctest: +SKIP
    >>> h = encoder(transform(image))  # uint8 (height, width, 3) -> (1, d)  # doctest: +SKIP

    Raises:
        CheckpointError: the file is missing, damaged, or holds something else.
        UnknownName: it was made with a component that is not installed.
    """
    file = Path(path) / "encoder.safetensors" if Path(path).is_dir() else Path(path)
    if not file.exists():
        raise CheckpointError(f"{file}: there is no encoder here. A finished `sslkit run` leaves one in its run folder.")
    stored = checkpoint.load(file)
    if stored.facts.get("kind") != "encoder":
        raise CheckpointError(f"{file}: is no encoder file; give the run folder, or its encoder.safetensors.")
    try:
        return _rebuilt(stored)
    except UnknownName as error:
        raise UnknownName(f"{file}: {error} {origin(file.parent)}") from error
    except (KeyError, TypeError, AttributeError, ValueError, ArithmeticError, RuntimeError, UserError) as error:
        # pydantic's ValidationError is a ValueError
        raise CheckpointError(f"{file}: can't be put together: {_reason(error)}. {origin(file.parent)}") from error


def _reason(error: Exception) -> str:
    """The first thing that is wrong; torch's and pydantic's first line only says of what."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    missing = f"{lines[0]} is missing" if isinstance(error, KeyError) else " ".join(lines[:2])
    return missing.rstrip(".") or type(error).__name__


def _rebuilt(stored: checkpoint.Checkpoint) -> tuple[nn.Module, Transform]:
    channels = stored.facts["channels"]
    if type(channels) is not int or channels not in (1, 3):
        raise ValueError(f"its images have 1 or 3 channels, not {channels!r:.40}")
    build = partial(_built, "backbones", stored.facts["backbone"], in_channels=channels)
    refuse_another_size(build, stored.tensors)
    encoder: nn.Module = build()
    encoder.load_state_dict(stored.tensors)
    view = View([(section["name"], _built("augmentations", section), section["p"]) for section in stored.facts["view"]])
    return encoder.to(memory_format=torch.channels_last).eval(), Transform(view, channels=channels)


def _built(kind: str, section: Mapping[str, Any], **offered: Any) -> Any:
    """A component from its section, checked like a recipe's: the file may come from a stranger."""
    registry = registry_of(kind)
    given = {key: value for key, value in section.items() if key != "name"}
    parameters, _ = registry.filled(section["name"], given)
    if "pretrained" in parameters:
        parameters["pretrained"] = False  # the weights are in the file; nothing has to be downloaded
    return registry.build(section["name"], parameters, **offered)
