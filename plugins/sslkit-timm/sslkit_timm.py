"""timm: every model of the library timm (PyTorch Image Models) as a backbone."""

import difflib
from typing import Annotated, Any

from annotated_types import Ge, Gt, Lt
from torch import Tensor, nn

from sslkit import UserError


class Timm(nn.Module):
    """A model of timm without its classifier (https://github.com/huggingface/pytorch-image-models).

    h is what the classifier would have seen. Models are named as timm names them, with a tag of their weights if need be:
    `vit_small_patch16_224`, `resnet50.a1_in1k`. Weights that were trained on ImageNet want images normalised as there; put
    `normalize` behind the other augmentations.

    Args:
        in_channels: of the images; weights for three are adapted to others by timm.
        model: its name.
        pretrained: begin with timm's weights, which are downloaded, and not at random.
        image_size: height and width for a model that is built for one size, such as a vision transformer; its own by default.
        drop_path: share of residual branches that are left out while training (arXiv:1603.09382), for models that know it.

    Raises:
        UserError: there is no such model, or it can't be built so.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        model: str,
        pretrained: bool = False,
        image_size: Annotated[int, Gt(0)] | None = None,
        drop_path: Annotated[float, Ge(0), Lt(1)] = 0.0,
    ) -> None:
        super().__init__()
        import timm  # takes a second, and listing components should not

        if not timm.is_model(model):
            near = difflib.get_close_matches(model, timm.list_models(), n=1)
            more = f" Did you mean {near[0]!r}?" if near else " timm.list_models() names them all."
            raise UserError(f"model: timm has no {model!r}.{more}")
        given: dict[str, Any] = {
            **({} if image_size is None else {"img_size": image_size}),
            **({"drop_path_rate": drop_path} if drop_path else {}),
        }
        try:
            self.model = timm.create_model(model, pretrained=pretrained, in_chans=in_channels, num_classes=0, **given)
        except TypeError as error:
            raise UserError(f"model: {model!r} can't be built so: {error}. Leave image_size or drop_path out.") from error
        except (RuntimeError, OSError) as error:
            raise UserError(f"model: {model!r} can't be had: {error}") from error
        self.out_dim = int(self.model.head_hidden_size)

    def forward(self, images: Tensor) -> Tensor:
        """Representations `h (n, d)` of images `(n, c, h, w)`."""
        h: Tensor = self.model(images)
        return h
