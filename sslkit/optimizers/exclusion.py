"""Which parameters an optimizer treats gently: norms and biases are usually not decayed.

What a parameter is to its module, its *role*, comes with its group; here a role is turned into settings of that group.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

from torch.optim.optimizer import ParamsT

from sslkit.errors import UserError, did_you_mean, listed

Role = Literal["weight", "norm", "bias", "other"]
ROLES: tuple[Role, ...] = get_args(Role)


def exempt(groups: ParamsT, exclude: Iterable[Role], *, given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Copies of the groups, in which those with an excluded role have the settings `given`, whatever they had before.

    Args:
        groups: dicts `{params, names, role, lr_scale}`, or plain parameters. A group that doesn't say gets the role weight
            and the lr_scale 1: nothing is guessed from a name or a shape.
        exclude: the roles to exempt.
        given: settings of an exempt group, such as `{"weight_decay": 0.0}`.

    Raises:
        UserError: there is no parameter, or a role is none of weight, norm, bias, other.
    """
    entries: list[Any] = list(groups)
    if not entries:
        raise UserError("groups: there is no parameter to train; is every one of them frozen?")
    excluded = [_role(role, place="exclude") for role in exclude]
    settled = []
    for entry in entries if isinstance(entries[0], dict) else [{"params": entries}]:
        group = {"role": "weight", "lr_scale": 1.0, **entry}
        role = _role(group["role"], place="groups")
        settled.append({**group, **given} if role in excluded else group)
    return settled


def _role(role: Any, *, place: str) -> Role:
    for known in ROLES:
        if role == known:
            return known
    raise UserError(f"{place}: there is no role {role!r}.{did_you_mean(str(role), ROLES)} Known: {listed(ROLES)}.")
