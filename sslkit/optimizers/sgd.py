"""SGD with momentum, which doesn't decay norms and biases.

Not the fused kernel of torch, although it is faster: in torch 2.14 on the CPU that one is silently wrong where a parameter, its
gradient and its buffer don't share one memory layout, and with channels-last convolutions they need not.
"""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge, Lt
from torch.optim.optimizer import ParamsT

from sslkit.errors import UserError
from sslkit.optimizers.exclusion import Role, exempt


class SGD(torch.optim.SGD):
    """Torch's SGD, told by the roles of the parameters what not to decay.

    With gradient g, weight decay c (0 for the excluded roles) and momentum m: `v <- m v + g + c w`, `w <- w - lr v`; with
    Nesterov's rule `w <- w - lr (g + c w + m v)`. The first step starts from v = 0. Momentum is Polyak's of 1964, and the look
    ahead as in Sutskever et al. (ICML 2013).

    Args:
        groups: dicts `{params, names, role, lr_scale}`, or plain parameters, which all count as weights.
        lr: learning rate; the loop sets it anew before every step.
        momentum: share of the velocity that is kept.
        weight_decay: strength of the pull towards zero, part of the gradient (not decoupled).
        nesterov: look ahead along the velocity, as the official SimCLR code does in linear evaluation.
        exclude: roles that are not decayed.

    Raises:
        UserError: no parameter, an unknown role, or Nesterov's rule without momentum.
    """

    def __init__(
        self,
        groups: ParamsT,
        lr: float,
        *,
        momentum: Annotated[float, Ge(0), Lt(1)] = 0.9,
        weight_decay: Annotated[float, Ge(0)] = 0.0,
        nesterov: bool = False,
        exclude: tuple[Role, ...] = ("norm", "bias"),
    ) -> None:
        if nesterov and momentum == 0:
            raise UserError("nesterov: needs a momentum greater than 0; set one, or leave nesterov false.")
        settled = exempt(groups, exclude, given={"weight_decay": 0.0})
        super().__init__(settled, lr, momentum, weight_decay=weight_decay, nesterov=nesterov, foreach=True)
