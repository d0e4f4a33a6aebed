"""Heads: representations `h (n, d)` -> projections `z (n, k)`, on which the loss acts and which are thrown away after training.

A head is a torch module; `in_dim`, the `d` of its input, comes from the framework if it declares it, and it has `.out_dim`.
Optional: `layers`, its layers in order, so that `layer = "head.1"` can evaluate what the first of them gives.
"""

from sslkit.registry import Registry

registry = Registry(
    kind="heads",
    one="head",
    builtins={
        "identity": "sslkit.heads.identity:Identity",
        "linear": "sslkit.heads.linear:LinearHead",
        "mlp": "sslkit.heads.mlp:MLP",
    },
    offered=("in_dim",),
    takes={"__call__": 1},
)
