"""Encoding: images -> h by a frozen encoder, computed where its weights are."""

from __future__ import annotations

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from sslkit.errors import UserError


@torch.no_grad()
def encode(encoder: nn.Module, x: Float32[Tensor, "b c h w"]) -> Float32[Tensor, "b d"]:
    """Representations, in the layout in which convolutions are fastest."""
    device = next((parameter.device for parameter in encoder.parameters()), x.device)
    h: Tensor = encoder(x.to(device, memory_format=torch.channels_last))
    return h


def require_frozen(encoder: nn.Module, evaluation: str) -> None:
    """Raise UserError if the encoder is in training mode."""
    if any(module.training for module in encoder.modules()):
        raise UserError(
            f"{evaluation}: the encoder is in training mode, so its batch norm would move. Call encoder.eval() first."
        )
