"""Optimizers: parameter groups -> a `torch.optim.Optimizer`.

The class *is* the torch optimizer. Its `groups` are dicts `{params, names, role, lr_scale}`, role one of weight, norm, bias or
other; `lr` is the peak learning rate. The loop sets each group's `lr` to `schedule(step) * lr_scale` before every step.
"""

from sslkit.registry import Registry

registry = Registry(
    kind="optimizers",
    one="optimizer",
    builtins={
        "adamw": "sslkit.optimizers.adamw:AdamW",
        "lars": "sslkit.optimizers.lars:LARS",
        "sgd": "sslkit.optimizers.sgd:SGD",
    },
    offered=("groups", "lr"),
)
