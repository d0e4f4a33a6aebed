"""timm's models: what sslkit asks of every backbone, and mistakes in their names."""

import pytest
import timm
import torch
from sslkit_timm import Timm

from sslkit import UserError
from sslkit.testing import conformance

test_a_resnet = conformance("backbones", "timm", parameters={"model": "resnet10t"})
test_a_vision_transformer = conformance("backbones", "timm", parameters={"model": "test_vit", "image_size": 32})


@pytest.mark.parametrize("name", ["test_convnext", "test_efficientnet", "test_vit", "mobilenetv3_small_050", "test_resnet"])
def test_h_is_what_the_classifier_would_have_seen(name):
    """Families disagree on what a model without a classifier gives; the width that is declared is the one that comes."""
    images = torch.rand(2, 3, 160, 160)
    backbone = Timm(3, model=name).eval()
    h = backbone(images)
    assert h.shape == (2, backbone.out_dim)
    whole = timm.create_model(name).eval()
    whole.load_state_dict(backbone.model.state_dict(), strict=False)
    assert torch.allclose(whole.forward_head(whole.forward_features(images), pre_logits=True), h, atol=1e-5)


def test_mistakes():
    with pytest.raises(UserError, match=r"model: timm has no 'vit_smal_patch16_224'\. Did you mean 'vit_small_patch16_224'"):
        Timm(3, model="vit_smal_patch16_224")
    with pytest.raises(
        UserError, match=r"model: 'test_resnet' can't be built so: .*img_size.* Leave image_size or drop_path out"
    ):
        Timm(3, model="test_resnet", image_size=32)


def test_one_channel_and_drop_path():
    backbone = Timm(1, model="test_vit", image_size=32, drop_path=0.2)
    assert backbone(torch.rand(2, 1, 32, 32)).shape == (2, backbone.out_dim)
