"""Frozen: representations by an encoder that stands still."""

from __future__ import annotations

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from sslkit.errors import UserError


def require_frozen(encoder: nn.Module, evaluation: str) -> None:
    """Raise UserError if any part of an encoder is in training mode."""
    if any(module.training for module in encoder.modules()):
        raise UserError(
            f"{evaluation}: the encoder is in training mode, so its batch norm would move. Call encoder.eval() first."
        )


def device_of(encoder: nn.Module, x: Tensor) -> torch.device:
    """Where an encoder's weights lie; without weights, where its input lies."""
    return next((parameter.device for parameter in encoder.parameters()), x.device)


@torch.no_grad()
def encode(encoder: nn.Module, x: Float32[Tensor, "b c h w"]) -> Float32[Tensor, "b d"]:
    """Representations, computed where the encoder's weights are, in the layout in which convolutions are fastest."""
    h: Tensor = encoder(x.to(device_of(encoder, x), memory_format=torch.channels_last))
    return h
