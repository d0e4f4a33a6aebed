"""What users of the public names may hand in by mistake is said by one of our errors, and by no assert."""

import json

import numpy as np
import pytest
import torch
from jaxtyping import config
from safetensors.numpy import save_file
from small import FakeImages
from torch import nn

from sslkit import KNN, Features, LinearOnline, LinearProbeCached, Split, embed
from sslkit.augmentations.center_crop import CenterCrop
from sslkit.datasets.shapes import Shapes
from sslkit.errors import CheckpointError, DataError, NonFiniteError, UserError
from sslkit.features_file import read_features
from sslkit.views import View


def features(n=6, d=4, split="train"):
    h = np.random.default_rng(n).standard_normal((n, d)).astype(np.float32)
    return Features(h, np.arange(n) % 2, ("a", "b"), split)


def test_labels_and_indices_of_another_length_than_the_rows(monkeypatch):
    monkeypatch.setattr(config, "jaxtyping_disable", True)  # as it is for whoever does not run pytest
    h = np.zeros((4, 2), np.float32)
    with pytest.raises(DataError, match=r"^features of the split 'val': 3 labels for 4 rows; there must be one a row\.$"):
        Features(h, np.zeros(3, np.int64), None, "val")
    with pytest.raises(DataError, match="5 indices for 4 rows"):
        Features(h, None, None, "val", np.arange(5))


def test_a_file_of_rows_and_labels_of_different_number_is_damaged(tmp_path):
    arrays = {"h": np.zeros((4, 2), np.float32), "indices": np.arange(4), "labels": np.zeros(3, np.int64)}
    save_file(arrays, tmp_path / "f.safetensors", {"sslkit": json.dumps({"split": "val", "classes": None})})
    with pytest.raises(CheckpointError, match=r"is not a whole file of features .*different lengths"):
        read_features(tmp_path / "f.safetensors")


@pytest.mark.parametrize(("evaluation", "more"), [(KNN(k=1), {}), (LinearProbeCached(), {"seed": 0})])
def test_features_of_two_encoders(evaluation, more):
    with pytest.raises(DataError, match="'train' have 4 columns and those of 'test' 3; .* needs features of one encoder"):
        evaluation(features(), features(d=3, split="test"), **more)


def test_several_classes_of_two_encoders():
    train, test = (Features(np.ones((3, d), np.float32), np.eye(3, dtype=np.int64), None, "train") for d in (4, 3))
    with pytest.raises(DataError, match="needs features of one encoder"):
        LinearProbeCached()(train, test, seed=0)


@pytest.mark.parametrize("more", [{}, {"encoder": nn.Flatten().eval()}, {"images": FakeImages()}])
def test_augmented_passes_without_encoder_or_images(more):
    with pytest.raises(UserError, match=r"augmented_passes = 2 .* hand over `encoder` and `images`"):
        LinearProbeCached(augmented_passes=2)(features(), features(split="test"), seed=0, **more)


def test_scores_of_the_online_classifier_that_overflow():
    online = nn.Linear(4, 2)
    nn.init.constant_(online.weight, 3e38)
    train, test = features(), features(split="test")
    test = Features(np.abs(test.h) * 1e3, test.labels, test.classes, test.split)
    with pytest.raises(NonFiniteError, match=r"^linear_online: .* scores that are not finite for 6 of 6 images"):
        LinearOnline()(train, test, online)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_a_temperature_next_to_nothing_leaves_the_vote_to_the_nearest(metric):
    train, test = features(40), features(20, split="test")
    nearest = dict(KNN(k=1, metric=metric)(train, test))
    for temperature in (1e-300, 1e-310, 5e-324):
        found = dict(KNN(k=5, temperature=temperature, metric=metric)(train, test))
        assert found["knn_predicted"].tolist() == nearest["knn_predicted"].tolist()


def test_embedding_by_a_network_in_training_mode():
    split = Split(Shapes("train", num_images=4, size=12), "train", view=View([CenterCrop(size=12)]))
    with pytest.raises(UserError, match=r"^embed: the encoder is in training mode"):
        embed(nn.Flatten(), split)
    with torch.no_grad():
        assert embed(nn.Flatten().eval(), split).h.shape == (4, 432)
