"""Layer: which layer of a trained network is evaluated: h, z, or one inside of the head."""

from __future__ import annotations

import re

from torch import nn

from sslkit.errors import UserError
from sslkit.evaluations import LAYER


def at_layer(encoder: nn.Module, head: nn.Module, layer: str) -> nn.Module:
    """The network up to a layer; it shares the weights of both.

    The paper finds h better than z by more than 10 % (arXiv:2002.05709, section 4.2); fine-tuning with few labels does best
    from the first layer of a head of three (arXiv:2006.10029, section 2).

    Args:
        encoder: f, images -> h.
        head: g, h -> z.
        layer: "h"; "z"; or "head.N", what the N-th layer of the head gives, its nonlinearity included.

    Raises:
        UserError: there is no layer of this name, or the head has no such layer, or does not tell its layers.
    """
    layers = list(getattr(head, "layers", []))
    known = ["h", *(f"head.{one + 1}" for one in range(len(layers))), "z"]
    if layer == "h":
        return encoder
    if layer == "z":
        return nn.Sequential(encoder, head)
    if not re.fullmatch(LAYER, layer):
        raise UserError(f"layer: there is no layer {layer!r}. Known: {', '.join(known)}.")
    number = int(layer.removeprefix("head."))
    if number > len(layers):
        raise UserError(f"layer: the head {type(head).__name__} has no layer {number}. Known: {', '.join(known)}.")
    return nn.Sequential(encoder, *layers[:number])
