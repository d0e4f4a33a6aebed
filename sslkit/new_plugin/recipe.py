"""Recipe: the one that a new package comes with, SimCLR on drawn images with the new component in its place."""

from __future__ import annotations

_SECTIONS = {
    "method": '{ name = "siamese" }',
    "backbone": '{ name = "resnet", depth = 18, width = 0.25, stem = "small" }',
    "head": '{ name = "mlp", out_dim = 64 }',
    "loss": '{ name = "nt_xent", temperature = 0.2 }',
    "optimizer": '{ name = "lars" }',
}
_ONE = {"methods": "method", "backbones": "backbone", "heads": "head", "losses": "loss", "optimizers": "optimizer"}
_BASE_LR = {"optimizers": 0.0003}  # steps of the size of the rate want a small one; LARS a large one

_TEXT = """\
# {component}: SimCLR on drawn images, with the {one} of {distribution}
# Cost: about a minute on two cores. Edit it, and say here what it gives.
{sections}

augmentations = [
  {{ name = "random_resized_crop", size = 24, area = [0.3, 1.0] }},
  {{ name = "horizontal_flip" }},
  {{ name = "color_distortion", strength = 0.5 }},{operation}
]

[data]
{data}

[train]
epochs = 5
batch_size = 128
base_lr = {base_lr}
warmup_epochs = 1
seed = 0

[[evaluate]]
name = "knn"
k = 20
baselines = ["untrained"]
{more}"""


def recipe_text(kind: str, *, component: str, distribution: str, one: str) -> str:
    """A recipe as TOML that names the component.

    Args:
        kind: the plural, `losses`.
        component: as recipes name it.
        distribution: the package that brings it.
        one: the kind in the singular, `loss`.
    """
    mine = f'{{ name = "{component}" }}'
    sections = {**_SECTIONS, **({_ONE[kind]: mine} if kind in _ONE else {})}
    if kind == "methods":
        del sections["loss"]  # it has its own
    width = max(map(len, sections))
    more = {"evaluations": f'\n[[evaluate]]\nname = "{component}"\n', "trackers": f'\n[[track]]\nname = "{component}"\n'}
    return _TEXT.format(
        component=component,
        one=one,
        distribution=distribution,
        sections="\n".join(f"{key:{width}} = {value}" for key, value in sections.items()),
        operation=f"\n  {mine}," if kind == "augmentations" else "",
        data=f'name = "{component}"' if kind == "datasets" else 'name = "shapes"\nnum_images = 2000\nsize = 24',
        base_lr=_BASE_LR.get(kind, 4.0),
        more=more.get(kind, ""),
    )
