"""Losses: projections of the views -> one scalar.

A loss is called with `z1, z2`, each `(n, k)`, row i of both from image i; one that declares `zs` instead gets the list of all
views; the least number of them that it takes is its class attribute `min_views`, by default 1. It may declare `labels (n,)` and
`indices (n,)`. It sees the whole global batch and returns a scalar, or `(scalar, {name: detached scalar})` to have more numbers
logged. A loss with parameters of its own is a torch module.
"""

from sslkit import signatures
from sslkit.registry import Registry


def _all_views(loss: type) -> str:
    """A loss that leaves a view out would be called with one that it does not take."""
    called = signatures.written(loss, "__call__")
    taken = signatures.declared(called, dict.fromkeys(("z1", "z2", "zs"))) if called else {}
    return "" if set(taken) in ({"z1", "z2"}, {"zs"}) else "a loss declares z1 and z2, or zs alone."


registry = Registry(
    kind="losses",
    one="loss",
    builtins={
        "dcl": "sslkit.losses.dcl:DCL",
        "margin": "sslkit.losses.margin:Margin",
        "nt_logistic": "sslkit.losses.nt_logistic:NTLogistic",
        "nt_xent": "sslkit.losses.nt_xent:NTXent",
        "sup_con": "sslkit.losses.sup_con:SupCon",
    },
    calls={"__call__": ("z1", "z2", "zs", "labels", "indices")},
    needs=_all_views,
)
