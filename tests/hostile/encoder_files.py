"""Hostile encoders: files with a right digest that name what is not good to build."""

import torch
from cases import Case, directory, evil_pickle, pipe, put
from checkpoint_files import signed

from sslkit import encoder
from sslkit.registry import registry_of

NAME = "encoder.safetensors"
BACKBONE = {"name": "resnet", "depth": 18, "width": 0.125, "stem": "small"}
VIEW = [{"name": "center_crop", "size": 4, "p": 1.0}]


def net():
    torch.manual_seed(0)
    parameters, _ = registry_of("backbones").filled("resnet", {key: BACKBONE[key] for key in ("depth", "width", "stem")})
    return registry_of("backbones").build("resnet", parameters, in_channels=3).eval()


def good(folder):
    encoder.save(folder / NAME, net(), facts={"backbone": BACKBONE, "view": VIEW, "channels": 3})
    return folder / NAME


def with_facts(weights=None, **facts):
    said = {"kind": "encoder", "format": 1, "backbone": BACKBONE, "view": VIEW, "channels": 3, **facts}
    said = {key: value for key, value in said.items() if value is not ...}

    def make(_):
        state = net().state_dict()
        for name, tensor in (weights or {}).items():
            state[name] = tensor
        return signed({key: tensor.contiguous() for key, tensor in state.items()}, said)

    return put(NAME, make)


def backbone(**changes):
    return with_facts(backbone={**BACKBONE, **changes})


CASES = {
    "good": Case(good, None),
    "made by hand": Case(with_facts(), None),
    "pickle": Case(put(NAME, evil_pickle), "it is a pickle"),
    "terabytes of weights": Case(backbone(width=4096.0), "can't be put together: 'bn1.bias' is stored as|is stored as"),
    "more layers than it has weights for": Case(backbone(depth=152), "is in the network that is named, and not stored"),
    "depth of 10^9": Case(backbone(depth=10**9), "can't be put together"),
    "width of 10^300": Case(backbone(width=1e300), "can't be put together"),
    "width of 10^308": Case(backbone(width=1e308), "can't be put together: cannot convert float infinity"),
    "width NaN": Case(backbone(width=float("nan")), "can't be put together"),
    "module as a name": Case(with_facts(backbone={"name": "os:system"}), "no backbone is called 'os:system'"),
    "module with a path as a name": Case(with_facts(backbone={"name": "../../evil"}), "no backbone is called"),
    "_target_": Case(backbone(_target_="os.system"), "_target_"),
    "backbone that is a word": Case(with_facts(backbone="resnet"), "can't be put together"),
    "no backbone": Case(with_facts(backbone=...), "'backbone' is missing"),
    "channels of 10^12": Case(with_facts(channels=10**12), "1 or 3 channels, not 1000000000000"),
    "channels of true": Case(with_facts(channels=True), "can't be put together"),
    "view that is no list": Case(with_facts(view=3), "can't be put together"),
    "view without its p": Case(with_facts(view=[{"name": "center_crop", "size": 4}]), "'p' is missing"),
    "view of an unknown name": Case(with_facts(view=[{"name": "\x1b[31m", "p": 1.0}]), r"no augmentation is called '\\x1b\[31m'"),
    "NaN weight": Case(with_facts({"stem.0.weight": torch.full((3,), torch.nan)}), "holds NaN or infinity"),
    "weight of another shape": Case(with_facts({"extra": torch.ones(3)}), "'extra' is in what is stored, and not in the network"),
    "pipe": Case(pipe(NAME), "it is a pipe, not a file"),
    "folder": Case(directory("other.safetensors"), "there is no encoder here"),
}  # fmt: skip
