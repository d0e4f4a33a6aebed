"""Stored size: a network is built only if it is of the size of the weights that lie there for it.

A stranger's file of a hundred bytes may name a network of terabytes. So what it names is built without memory for its weights
first, and its shapes are compared with those of the tensors in the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn


def refuse_another_size(build: Callable[[], nn.Module], tensors: Mapping[str, Tensor]) -> None:
    """Build a network without its weights, and compare it.

    One that can't be built so, as it computes with its weights while it is built, is not compared.

    Args:
        build: makes the network.
        tensors: name -> what is stored for it.

    Raises:
        ValueError: a name is missing, is not the network's, or has another shape.
    """
    try:
        with torch.device("meta"):
            shapes = {name: tensor.shape for name, tensor in build().state_dict().items()}
    except (RuntimeError, NotImplementedError):  # "meta" tensors have no numbers
        return
    if strange := sorted(shapes.keys() ^ tensors.keys()):
        where = (
            "the network that is named, and not stored" if strange[0] in shapes else "what is stored, and not in the network"
        )
        raise ValueError(f"{strange[0]!r:.80} is in {where}")
    for name, shape in shapes.items():
        if tensors[name].shape != shape:
            raise ValueError(f"{name!r:.80} is stored as {tuple(tensors[name].shape)}, and is {tuple(shape)} in the network")
