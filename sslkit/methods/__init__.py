"""Methods: views -> loss.

A method is a torch module built from `backbone`, `head` and `loss`, and keeps the first two under these names.
`project(views)` gives a tuple of tensors, local, one row an image; `objective(*outputs, labels=None, indices=None)` sees the
outputs of the *global* batch and gives `(scalar, {name: detached scalar})`. Optional: `after_step(progress)`, with progress in
(0, 1], `num_views`, the number of views it needs, and `min_views`, the least number if it takes any. State changes only in
`objective` and `after_step`.
"""

from sslkit.registry import Registry

registry = Registry(
    kind="methods",
    one="method",
    builtins={"siamese": "sslkit.methods.siamese:Siamese"},
    offered=("backbone", "head", "loss"),
    calls={"objective": ("*", "labels", "indices")},
    takes={"project": 1},
)
