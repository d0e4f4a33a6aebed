"""AdamW, which doesn't decay norms and biases."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge, Gt, Lt
from torch.optim.optimizer import ParamsT

from sslkit.optimizers.exclusion import Role, exempt

Beta = Annotated[float, Ge(0), Lt(1)]


class AdamW(torch.optim.AdamW):
    """Torch's AdamW (arXiv:1711.05101), told by the roles of the parameters what not to decay.

    With gradient g, decay c (0 for the excluded roles) and step t: `m <- b1 m + (1 - b1) g`, `s <- b2 s + (1 - b2) g^2`,
    `w <- (1 - lr c) w - lr (m / (1 - b1^t)) / (sqrt(s / (1 - b2^t)) + eps)`. As in torch, and other than in the paper, the
    decay is multiplied by the learning rate. The defaults are torch's.

    Args:
        groups: dicts `{params, names, role, lr_scale}`, or plain parameters, which all count as weights.
        lr: learning rate; the loop sets it anew before every step.
        betas: shares of the running means of g and of g squared that are kept.
        eps: added to the root, so that a tiny gradient makes no large step.
        weight_decay: strength of the decoupled pull towards zero.
        exclude: roles that are not decayed.

    Raises:
        UserError: no parameter, or an unknown role.
    """

    def __init__(
        self,
        groups: ParamsT,
        lr: float,
        *,
        betas: tuple[Beta, Beta] = (0.9, 0.999),
        eps: Annotated[float, Gt(0)] = 1e-8,
        weight_decay: Annotated[float, Ge(0)] = 0.01,
        exclude: tuple[Role, ...] = ("norm", "bias"),
    ) -> None:
        settled = exempt(groups, exclude, given={"weight_decay": 0.0})
        super().__init__(settled, lr, betas, eps=eps, weight_decay=weight_decay, foreach=True)
