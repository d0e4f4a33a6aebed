"""What each parameter is to its module: a weight, a bias, part of a norm, or something else.

Optimizers treat these differently: SimCLR neither decays nor adapts norms and biases. A role is found by walking the modules,
never from a parameter's name or shape: a table of class tokens with one axis is no bias, and a norm with four is still a norm.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

from torch import nn
from torch.nn.modules.batchnorm import _NormBase  # of every batch and instance norm
from torch.nn.modules.conv import _ConvNd

from sslkit.errors import ContractError, did_you_mean, listed
from sslkit.optimizers.exclusion import ROLES, Role

_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
_LAYERS = (nn.Linear, _ConvNd, nn.Bilinear, nn.Embedding, nn.EmbeddingBag)
_LAYER: dict[str, Role] = {"weight": "weight", "bias": "bias"}
_ATTENTION: dict[str, Role] = {
    "in_proj_weight": "weight",
    "q_proj_weight": "weight",
    "k_proj_weight": "weight",
    "v_proj_weight": "weight",
    "in_proj_bias": "bias",
}


@runtime_checkable
class SaysRoles(Protocol):
    """A module that knows better what its parameters are."""

    def parameter_roles(self) -> dict[str, Role]:
        """Role by parameter name, as `module.named_parameters()` gives it; those left out are found by walking."""
        ...


def parameter_groups(module: nn.Module) -> list[dict[str, Any]]:
    """Groups `{params, names, role, lr_scale}` of all trainable parameters, one for each role that occurs.

    The groups stand in the order weight, norm, bias, other, the parameters in the order of the walk; names are full and dotted.
    A parameter that several modules share appears once, with the name and the role of the first. A module may have a method
    `parameter_roles() -> {name: role}` for its own and its children's parameters; an outer module's word counts before an inner
    one's. `lr_scale` is 1.

    Args:
        module: a method with all that it trains; parameters that don't require a gradient are left out.

    Raises:
        ContractError: a `parameter_roles()` names a parameter or a role that doesn't exist.
    """
    found: dict[Role, dict[str, nn.Parameter]] = {role: {} for role in ROLES}
    for name, parameter, role in _walk(module):
        if parameter.requires_grad:
            found[role][name] = parameter
    return [
        {"params": list(named.values()), "names": list(named), "role": role, "lr_scale": 1.0}
        for role, named in found.items()
        if named
    ]


def _walk(module: nn.Module) -> Iterator[tuple[str, nn.Parameter, Role]]:
    """Every parameter once; parents come before their children."""
    said: dict[nn.Parameter, Role] = {}
    seen: set[nn.Parameter] = set()
    for prefix, owner in module.named_modules():
        said = {**_said(owner, prefix=prefix), **said}
        for name, parameter in owner.named_parameters(prefix, recurse=False):
            if parameter not in seen:
                seen.add(parameter)
                yield name, parameter, said.get(parameter, _role(owner, name.rpartition(".")[2]))


def _role(owner: nn.Module, name: str) -> Role:
    """What a parameter is to the module that owns it; the meaning of the attribute `name` is the owner's class's."""
    if isinstance(owner, _NORMS):
        return "norm"
    if isinstance(owner, _LAYERS):
        return _LAYER.get(name, "other")
    if isinstance(owner, nn.MultiheadAttention):
        return _ATTENTION.get(name, "other")
    return "other"


def _said(owner: nn.Module, *, prefix: str) -> dict[nn.Parameter, Role]:
    """What a module says about its parameters, checked."""
    if not isinstance(owner, SaysRoles):
        return {}
    place = f"{prefix or 'module'} ({type(owner).__name__}): parameter_roles()"
    roles = owner.parameter_roles()
    if not isinstance(roles, dict):
        raise ContractError(f"{place}: must give a dict of parameter name to role, gave {roles!r}.")
    known = dict(owner.named_parameters(remove_duplicate=False))
    for name, role in roles.items():
        if name not in known:
            raise ContractError(f"{place}: has no parameter {name!r}.{did_you_mean(str(name), known)} Known: {listed(known)}.")
        if role not in ROLES:
            raise ContractError(f"{place}: {name!r} can't be {role!r}.{did_you_mean(str(role), ROLES)} Known: {listed(ROLES)}.")
    return {known[name]: role for name, role in roles.items()}
