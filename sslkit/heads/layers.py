"""Linear layers with batch norm as the SimCLR authors' heads use them: a small random start, and no shift at the very end."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn


def linear(in_dim: int, out_dim: int, *, bias: bool) -> nn.Linear:
    """A linear map whose weights start as N(0, 0.01^2) and whose biases, if any, start at 0."""
    made = nn.Linear(in_dim, out_dim, bias=bias)
    nn.init.normal_(made.weight, std=0.01)
    if bias:
        nn.init.zeros_(made.bias)
    return made


def hidden_layer(in_dim: int, out_dim: int, *, batch_norm: bool) -> nn.Sequential:
    """Linear, batch norm, ReLU; without batch norm, whose shift is a bias, the linear map has one itself."""
    layers = OrderedDict[str, nn.Module](linear=linear(in_dim, out_dim, bias=not batch_norm))
    if batch_norm:
        layers["norm"] = nn.BatchNorm1d(out_dim, eps=1e-5, momentum=0.1)
    layers["relu"] = nn.ReLU(inplace=True)
    return nn.Sequential(layers)


def output_layer(in_dim: int, out_dim: int, *, batch_norm: bool) -> nn.Sequential:
    """Linear, and batch norm with a scale but no shift; without batch norm the linear map has a bias."""
    layers = OrderedDict[str, nn.Module](linear=linear(in_dim, out_dim, bias=not batch_norm))
    if batch_norm:
        norm = nn.BatchNorm1d(out_dim, eps=1e-5, momentum=0.1)
        norm.register_parameter("bias", None)  # what `bias=False` does in newer torch
        layers["norm"] = norm
    return nn.Sequential(layers)
