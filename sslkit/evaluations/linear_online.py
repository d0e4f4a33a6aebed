"""Linear evaluation of the classifier that learnt beside the pretraining: no further training."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from sslkit.errors import DataError, NonFiniteError, UserError
from sslkit.evaluations.accuracy import Found, accuracies, guesses
from sslkit.evaluations.features import Features, labelled_features


class LinearOnline:
    """The accuracy of the classifier that `[train] online_probe = true` trained on stop-gradient(h).

    The paper reports that it is comparable to a classifier trained afterwards (arXiv:2002.05709, appendix B.6). It saw the
    augmented views of the pretraining, not crops and flips alone, under the optimizer and schedule of the pretraining; and h
    moved while it learnt. solo-learn's published numbers are of this kind, the paper's are not.

    Gives `linear_online_top1`, and for more than ten classes `linear_online_top5`.
    """

    law = "stop-gradient classifier of the pretraining"

    def check(self, train: Features, test: Features) -> None:
        """Raise DataError if labels are missing; features may still be of width 0."""
        labelled_features(train, test, "linear_online")

    def __call__(self, train: Features, test: Features, online: nn.Module | None) -> Found:
        """Accuracies on `test`; of `train` the labels alone are looked at.

        Raises:
            DataError: labels are missing, classes differ, features are not finite, or a label is of no class that was learnt.
            NonFiniteError: the classifier has diverged.
            UserError: no classifier was trained, or the encoder is a baseline, which has none.
        """
        if online is None:
            raise UserError(
                "linear_online: no classifier learnt beside this encoder. Set train.online_probe = true; baselines have none."
            )
        labels = labelled_features(train, test, "linear_online")
        device = next(online.parameters()).device
        with torch.no_grad():
            scores = online(torch.tensor(test.h).to(device)).cpu().numpy()
        if num_wrong := int(np.count_nonzero(~np.isfinite(scores).all(axis=1))):
            raise NonFiniteError(
                f"linear_online: the classifier beside the pretraining gives scores that are not finite for {num_wrong} of "
                f"{len(scores)} images. It has diverged; lower train.base_lr."
            )
        num_classes = scores.shape[1]  # what was learnt; the labels of these splits may stop before it
        if (highest := int(labels.test.max())) >= num_classes:
            raise DataError(f"linear_online: there is a label {highest}, and the classifier learnt {num_classes} classes.")
        return accuracies(guesses(scores, labels.test), labels.test, prefix="linear_online", num_classes=num_classes)
