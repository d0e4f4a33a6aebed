"""Observed: one backward pass looked at from inside, to see what each layer gives, and what each image does to the loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn


@dataclass
class Layer:
    """What a layer gave, in all of its calls together; `low` and `high` are of the finite values, NaN where there is none."""

    name: str
    shape: tuple[int, ...]  # of its last call
    low: float = math.nan
    high: float = math.nan
    num_wrong: int = 0  # values that are not finite
    num_values: int = 0

    def take(self, x: Tensor) -> int:
        """Take in the output of one call; gives how many of its values are not finite."""
        fine = x.detach()[torch.isfinite(x.detach())].float()
        wrong = x.numel() - fine.numel()
        if fine.numel():
            low, high = (float(one) for one in fine.aminmax())
            self.low, self.high = (low, high) if math.isnan(self.low) else (min(self.low, low), max(self.high, high))
        self.shape, self.num_wrong, self.num_values = tuple(x.shape), self.num_wrong + wrong, self.num_values + x.numel()
        return wrong


@dataclass
class Rows:
    """What the images of a batch were like, one value an image, in their order."""

    wrong: list[Tensor] = field(default_factory=list)  # (n,) each: whether a view or an output is not finite
    squares: list[Tensor] = field(default_factory=list)  # (n,) each: squared norm of the gradient of the loss by the outputs

    def slopes(self) -> Tensor:
        """The norm of that gradient, `(n,)`; of an image that the loss does not look at it is 0."""
        return torch.cat(self.squares).sqrt()

    def not_finite(self) -> Tensor:
        """Whether something in the forward pass of an image is not finite, `(n,)`."""
        return torch.cat(self.wrong)


class Observed:
    """A method, to be handed to a backward pass in its place, that notes what goes through it; it computes the same bits.

    Layers are those without layers of their own, in the order in which they first gave something, the views before them and the
    loss, where it is a module, after them. Of the others only the first one whose output is not finite is noted, if no layer in
    it is to blame: a sum of two branches, for instance, can overflow.
    """

    def __init__(self, method: Any) -> None:
        self._method = method
        self.objective, self.parameters, self.buffers = method.objective, method.parameters, method.buffers
        self.layers: dict[str, Layer] = {}
        self.first = ""  # the name of the first layer whose output is not finite
        self.rows = Rows()

    @contextmanager
    def noted(self) -> Iterator[Observed]:
        """The block in which the layers are looked at."""
        modules = [(name, one) for name, one in self._method.named_modules() if name]
        hooks = [one.register_forward_hook(partial(self._see, name, not any(one.children()))) for name, one in modules]
        try:
            yield self
        finally:
            for hook in hooks:
                hook.remove()

    def project(self, views: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """What the method gives."""
        for number, view in enumerate(views, start=1):
            self._take(f"view {number}", view, keep=True)
        outputs: tuple[Tensor, ...] = self._method.project(views)
        if torch.is_grad_enabled():  # micro-batches are projected twice, first without a graph
            self._take_rows(len(views[0]), [*views, *outputs])
        return outputs

    def _take_rows(self, num_images: int, tensors: Sequence[Tensor]) -> None:
        fine = [torch.isfinite(one.detach()).flatten(1).all(dim=1).cpu() for one in tensors if one.ndim > 1]
        self.rows.wrong.append(~torch.stack(fine).all(dim=0))
        squares = torch.zeros(num_images, dtype=torch.float64)
        self.rows.squares.append(squares)
        for one in tensors:
            if one.requires_grad:
                one.register_hook(_adding_to(squares))  # type: ignore[no-untyped-call]

    def _see(self, name: str, is_leaf: bool, _module: nn.Module, _inputs: Any, output: Any) -> None:
        given = output[0] if isinstance(output, tuple) else output
        if isinstance(given, Tensor) and given.is_floating_point():
            self._take(name, given, keep=is_leaf)

    def _take(self, name: str, x: Tensor, *, keep: bool) -> None:
        layer = self.layers.get(name) or Layer(name, tuple(x.shape))
        if layer.take(x) and not self.first:
            self.first, keep = name, True
        if keep:
            self.layers[name] = layer


def _adding_to(squares: Tensor) -> Callable[[Tensor], None]:
    def add(gradient: Tensor) -> None:
        squares.add_(gradient.detach().double().flatten(1).square().sum(dim=1).cpu())

    return add
