"""sslkit: self-supervised learning from recipes, with numbers to trust.

The public names; each is imported when it is first used, so that `import sslkit` is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sslkit.augmentations.all_of import AllOf as AllOf
    from sslkit.augmentations.auto_augment import AutoAugment as AutoAugment
    from sslkit.augmentations.autocontrast import Autocontrast as Autocontrast
    from sslkit.augmentations.center_crop import CenterCrop as CenterCrop
    from sslkit.augmentations.color_distortion import ColorDistortion as ColorDistortion
    from sslkit.augmentations.color_jitter import ColorJitter as ColorJitter
    from sslkit.augmentations.cutout import Cutout as Cutout
    from sslkit.augmentations.equalize import Equalize as Equalize
    from sslkit.augmentations.gaussian_blur import GaussianBlur as GaussianBlur
    from sslkit.augmentations.gaussian_noise import GaussianNoise as GaussianNoise
    from sslkit.augmentations.grayscale import Grayscale as Grayscale
    from sslkit.augmentations.horizontal_flip import HorizontalFlip as HorizontalFlip
    from sslkit.augmentations.motion_blur import MotionBlur as MotionBlur
    from sslkit.augmentations.normalize import Normalize as Normalize
    from sslkit.augmentations.one_of import OneOf as OneOf
    from sslkit.augmentations.posterize import Posterize as Posterize
    from sslkit.augmentations.rand_augment import RandAugment as RandAugment
    from sslkit.augmentations.random_resized_crop import RandomResizedCrop as RandomResizedCrop
    from sslkit.augmentations.rotate import Rotate as Rotate
    from sslkit.augmentations.sobel import Sobel as Sobel
    from sslkit.augmentations.solarize import Solarize as Solarize
    from sslkit.augmentations.vertical_flip import VerticalFlip as VerticalFlip
    from sslkit.backbones.resnet import ResNet as ResNet
    from sslkit.backbones.torchvision import Torchvision as Torchvision
    from sslkit.datasets.caltech101 import Caltech101 as Caltech101
    from sslkit.datasets.cifar10 import CIFAR10 as CIFAR10
    from sslkit.datasets.cifar100 import CIFAR100 as CIFAR100
    from sslkit.datasets.dtd import DTD as DTD
    from sslkit.datasets.fashion_mnist import FashionMNIST as FashionMNIST
    from sslkit.datasets.fgvc_aircraft import FGVCAircraft as FGVCAircraft
    from sslkit.datasets.flowers102 import Flowers102 as Flowers102
    from sslkit.datasets.food101 import Food101 as Food101
    from sslkit.datasets.image_folder import ImageFolder as ImageFolder
    from sslkit.datasets.imagenet import ImageNet as ImageNet
    from sslkit.datasets.mnist import MNIST as MNIST
    from sslkit.datasets.oxford_pets import OxfordPets as OxfordPets
    from sslkit.datasets.shapes import Shapes as Shapes
    from sslkit.datasets.stanford_cars import StanfordCars as StanfordCars
    from sslkit.datasets.stl10 import STL10 as STL10
    from sslkit.datasets.sun397 import SUN397 as SUN397
    from sslkit.datasets.voc2007 import VOC2007 as VOC2007
    from sslkit.draws import Draw as Draw
    from sslkit.draws import Draws as Draws
    from sslkit.embedding import Split as Split
    from sslkit.embedding import embed as embed
    from sslkit.encoder import load_encoder as load_encoder
    from sslkit.errors import SslkitError as SslkitError
    from sslkit.errors import UserError as UserError
    from sslkit.evaluations.features import Features as Features
    from sslkit.evaluations.finetune import FineTune as FineTune
    from sslkit.evaluations.finetune_grid import FineTuneGrid as FineTuneGrid
    from sslkit.evaluations.health import Health as Health
    from sslkit.evaluations.knn import KNN as KNN
    from sslkit.evaluations.linear import LinearProbe as LinearProbe
    from sslkit.evaluations.linear_cached import LinearProbeCached as LinearProbeCached
    from sslkit.evaluations.linear_online import LinearOnline as LinearOnline
    from sslkit.evaluations.logistic import LogisticProbe as LogisticProbe
    from sslkit.evaluations.map_picture import MapPicture as MapPicture
    from sslkit.evaluations.neighbours_picture import NeighboursPicture as NeighboursPicture
    from sslkit.evaluations.probe_transform import TransformProbe as TransformProbe
    from sslkit.heads.identity import Identity as Identity
    from sslkit.heads.linear import LinearHead as LinearHead
    from sslkit.heads.mlp import MLP as MLP
    from sslkit.loader import Loader as Loader
    from sslkit.loader import Plan as Plan
    from sslkit.losses.dcl import DCL as DCL
    from sslkit.losses.margin import Margin as Margin
    from sslkit.losses.nt_logistic import NTLogistic as NTLogistic
    from sslkit.losses.nt_xent import NTXent as NTXent
    from sslkit.losses.sup_con import SupCon as SupCon
    from sslkit.methods.siamese import Siamese as Siamese
    from sslkit.optimizers.adamw import AdamW as AdamW
    from sslkit.optimizers.lars import LARS as LARS
    from sslkit.optimizers.sgd import SGD as SGD
    from sslkit.paired import bootstrap_interval as bootstrap_interval
    from sslkit.paired import holm as holm
    from sslkit.paired import mcnemar as mcnemar
    from sslkit.recipe import Recipe as Recipe
    from sslkit.registry import register as register
    from sslkit.registry import registry_of as registry_of
    from sslkit.roles import parameter_groups as parameter_groups
    from sslkit.trackers.csv import CSV as CSV
    from sslkit.views import View as View

_PUBLIC = {
    "AdamW": "sslkit.optimizers.adamw",
    "AllOf": "sslkit.augmentations.all_of",
    "AutoAugment": "sslkit.augmentations.auto_augment",
    "Autocontrast": "sslkit.augmentations.autocontrast",
    "CIFAR10": "sslkit.datasets.cifar10",
    "CIFAR100": "sslkit.datasets.cifar100",
    "CSV": "sslkit.trackers.csv",
    "Caltech101": "sslkit.datasets.caltech101",
    "CenterCrop": "sslkit.augmentations.center_crop",
    "ColorDistortion": "sslkit.augmentations.color_distortion",
    "ColorJitter": "sslkit.augmentations.color_jitter",
    "Cutout": "sslkit.augmentations.cutout",
    "DCL": "sslkit.losses.dcl",
    "DTD": "sslkit.datasets.dtd",
    "Draw": "sslkit.draws",
    "Draws": "sslkit.draws",
    "Equalize": "sslkit.augmentations.equalize",
    "FGVCAircraft": "sslkit.datasets.fgvc_aircraft",
    "FashionMNIST": "sslkit.datasets.fashion_mnist",
    "Features": "sslkit.evaluations.features",
    "FineTune": "sslkit.evaluations.finetune",
    "FineTuneGrid": "sslkit.evaluations.finetune_grid",
    "Flowers102": "sslkit.datasets.flowers102",
    "Food101": "sslkit.datasets.food101",
    "GaussianBlur": "sslkit.augmentations.gaussian_blur",
    "GaussianNoise": "sslkit.augmentations.gaussian_noise",
    "Grayscale": "sslkit.augmentations.grayscale",
    "Health": "sslkit.evaluations.health",
    "HorizontalFlip": "sslkit.augmentations.horizontal_flip",
    "Identity": "sslkit.heads.identity",
    "ImageFolder": "sslkit.datasets.image_folder",
    "ImageNet": "sslkit.datasets.imagenet",
    "KNN": "sslkit.evaluations.knn",
    "LARS": "sslkit.optimizers.lars",
    "LinearHead": "sslkit.heads.linear",
    "LinearOnline": "sslkit.evaluations.linear_online",
    "LinearProbe": "sslkit.evaluations.linear",
    "LinearProbeCached": "sslkit.evaluations.linear_cached",
    "Loader": "sslkit.loader",
    "LogisticProbe": "sslkit.evaluations.logistic",
    "MLP": "sslkit.heads.mlp",
    "MNIST": "sslkit.datasets.mnist",
    "MapPicture": "sslkit.evaluations.map_picture",
    "Margin": "sslkit.losses.margin",
    "MotionBlur": "sslkit.augmentations.motion_blur",
    "NTLogistic": "sslkit.losses.nt_logistic",
    "NTXent": "sslkit.losses.nt_xent",
    "NeighboursPicture": "sslkit.evaluations.neighbours_picture",
    "Normalize": "sslkit.augmentations.normalize",
    "OneOf": "sslkit.augmentations.one_of",
    "OxfordPets": "sslkit.datasets.oxford_pets",
    "Plan": "sslkit.loader",
    "Posterize": "sslkit.augmentations.posterize",
    "RandAugment": "sslkit.augmentations.rand_augment",
    "RandomResizedCrop": "sslkit.augmentations.random_resized_crop",
    "Recipe": "sslkit.recipe",
    "ResNet": "sslkit.backbones.resnet",
    "Rotate": "sslkit.augmentations.rotate",
    "SGD": "sslkit.optimizers.sgd",
    "STL10": "sslkit.datasets.stl10",
    "SUN397": "sslkit.datasets.sun397",
    "Shapes": "sslkit.datasets.shapes",
    "Siamese": "sslkit.methods.siamese",
    "Sobel": "sslkit.augmentations.sobel",
    "Solarize": "sslkit.augmentations.solarize",
    "Split": "sslkit.embedding",
    "SslkitError": "sslkit.errors",
    "StanfordCars": "sslkit.datasets.stanford_cars",
    "SupCon": "sslkit.losses.sup_con",
    "Torchvision": "sslkit.backbones.torchvision",
    "TransformProbe": "sslkit.evaluations.probe_transform",
    "UserError": "sslkit.errors",
    "VOC2007": "sslkit.datasets.voc2007",
    "VerticalFlip": "sslkit.augmentations.vertical_flip",
    "View": "sslkit.views",
    "bootstrap_interval": "sslkit.paired",
    "embed": "sslkit.embedding",
    "holm": "sslkit.paired",
    "load_encoder": "sslkit.encoder",
    "mcnemar": "sslkit.paired",
    "parameter_groups": "sslkit.roles",
    "register": "sslkit.registry",
    "registry_of": "sslkit.registry",
}
__all__ = [*_PUBLIC]  # noqa: PLE0604
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'sslkit' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted([*_PUBLIC, "__version__"])
