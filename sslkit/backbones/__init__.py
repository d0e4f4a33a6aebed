"""Backbones: a batch of images `(n, c, h, w)` in [0, 1] -> representations `h (n, d)`.

A backbone is a torch module; `in_channels` comes from the framework if it declares it, and it has `.out_dim`, the `d` of its
output.
"""

from sslkit.registry import Registry

registry = Registry(
    kind="backbones",
    one="backbone",
    builtins={
        "resnet": "sslkit.backbones.resnet:ResNet",
        "torchvision": "sslkit.backbones.torchvision:Torchvision",
    },
    offered=("in_channels",),
    takes={"__call__": 1},
)
