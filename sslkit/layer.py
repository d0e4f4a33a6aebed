"""Layer: which layer of a trained network is evaluated: h, z, or one inside of the head."""

from __future__ import annotations

from torch import nn

from sslkit.errors import UserError


def at_layer(encoder: nn.Module, head: nn.Module, layer: str) -> nn.Module:
    """The network up to a layer; it shares the weights of both.

    The paper finds h better than z by more than 10 % (arXiv:2002.05709, section 4.2); fine-tuning with few labels does best
    from the first layer of a head of three (arXiv:2006.10029, section 2).

    Args:
        encoder: f, images -> h.
        head: g, h -> z.
        layer: "h"; "z"; or "head.N", what the N-th layer of the head gives, its nonlinearity included.

    Raises:
        UserError: the head has no such layer, or does not tell its layers.
    """
    if layer == "h":
        return encoder
    if layer == "z":
        return nn.Sequential(encoder, head)
    number, layers = int(layer.removeprefix("head.")), list(getattr(head, "layers", []))
    if number > len(layers):
        known = ", ".join(["h", *(f"head.{one + 1}" for one in range(len(layers))), "z"])
        raise UserError(f"layer: the head {type(head).__name__} has no layer {number}. Known: {known}.")
    return nn.Sequential(encoder, *layers[:number])
