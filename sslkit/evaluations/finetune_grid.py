"""Fine-tuning with a grid: learning rate and weight decay are chosen on validation images, then all images are learnt."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Gt, Lt
from torch import nn

from sslkit.datasets.images import Metric
from sslkit.errors import NonFiniteError
from sslkit.evaluations import targets
from sslkit.evaluations.accuracy import Found, Setting
from sslkit.evaluations.bounds import Bounds, in_order
from sslkit.evaluations.features import EvaluationImages, Features
from sslkit.evaluations.held_out import check_validation
from sslkit.evaluations.rules import Rule
from sslkit.evaluations.whole_network import fine_tuned, refuse_pixels


class FineTuneGrid:
    """Fine-tunes the whole network once for each pair of a grid, and with the best pair on all labelled images.

    SGD with Nesterov momentum 0.9, batches of 256, 20,000 steps; learning rates log-spaced in [1e-4, 1e-1]; weight decays
    log-spaced in [1e-6, 1e-3], divided by the learning rate, and 0; the momentum of batch norm's statistics is max(1 - 10 / s,
    0.9) with s steps an epoch; training images cropped and flipped at random, test images seen in the evaluation view
    (arXiv:2002.05709, appendix B.8). The pair that is best on the validation images is taken, by the dataset's own metric; of
    equal ones the smaller learning rate, then the smaller decay, and trained anew on training and validation images together.

    The paper does not say how the rate falls, nor by which metric a pair is chosen; we take the cosine to 0 of its other
    trainings. From random weights it takes 40,000 steps and other bounds: lrs in [1e-3, 1], decays in [1e-5, 10^-1.5].

    Gives `finetune_grid_top1` and what goes with it, `finetune_grid_lr`, `finetune_grid_weight_decay`,
    `finetune_grid_validation_top1` or `..._mean_per_class`, by which it was chosen, and the array `finetune_grid_validation
    (lrs, decays)`, NaN where the training diverged. `finetune_grid_diverged` is how many did; `finetune_grid_lr_at_end` is 1
    where the smallest or the largest rate was taken, and `finetune_grid_weight_decay_at_end` where the largest decay was, else
    0: the grid was too narrow then.

    Args:
        steps: of each training; the grid costs (num_lrs x (num_weight_decays + 1) + 1) times as many.
        batch_size: images a step.
        lrs: lowest and highest learning rate, not scaled by the batch.
        num_lrs: how many.
        weight_decays: lowest and highest, before they are divided by the learning rate.
        num_weight_decays: how many; 0 comes beside them.
        validation_fraction: share of each class of `train` that is held out to choose the pair, by the seed, where the recipe
            names no split for `validation`.

    Raises:
        UserError: `lrs` or `weight_decays` are not (low, high).
    """

    law = "the whole network learns; lr and decay chosen on validation"

    def __init__(
        self,
        *,
        steps: Annotated[int, Gt(0)] = 20_000,
        batch_size: Annotated[int, Gt(0)] = 256,
        lrs: Bounds = (1e-4, 1e-1),
        num_lrs: Annotated[int, Gt(0)] = 7,
        weight_decays: Bounds = (1e-6, 1e-3),
        num_weight_decays: Annotated[int, Ge(0)] = 7,
        validation_fraction: Annotated[float, Gt(0), Lt(1)] = 0.1,
    ) -> None:
        self.validation_fraction = validation_fraction
        self.rule = Rule(epochs=0, base_lr=0.0, batch_size=batch_size, steps=steps, lr_scaling="none")
        self.lrs: list[float] = np.geomspace(*in_order("lrs", lrs), num_lrs).tolist()
        decays = np.geomspace(*in_order("weight_decays", weight_decays), num_weight_decays)
        self.weight_decays: list[float] = [0.0, *decays.tolist()]

    def settings(self, num_images: int, metric: Metric = "top1") -> dict[str, Any]:  # noqa: ARG002 - the same for any number
        """What stands beside a number."""
        chosen = ("epochs", "steps", "batch_size", "base_lr", "weight_decay")  # parameters, or found by the grid
        return {**{key: value for key, value in self.rule.settings.items() if key not in chosen}, "chosen_by": metric}

    def check(self, train: Features, test: Features, validation: Features | None = None, baselines: Sequence[str] = ()) -> None:
        """See that the splits have labels by which to learn, to choose and to test; features may still be of width 0.

        Raw pixels have nothing to learn, and can't be a baseline.
        """
        refuse_pixels(baselines)
        targets.of_features(train, test, "finetune_grid")
        if validation is not None:
            targets.of_features(train, validation, "finetune_grid")
            check_validation(train, validation, test=test, evaluation="finetune_grid")

    def __call__(
        self,
        encoder: nn.Module,
        selection: EvaluationImages,
        final: EvaluationImages,
        seed: int,
        metric: Metric = "top1",
    ) -> Found:
        """Accuracies on the test images of `final`; the pair is chosen on the test images of `selection`, by the `metric`.

        Raises:
            DataError: labels are missing.
            NonFiniteError: every training of the grid diverged, or the last one.
        """
        validation = np.full((len(self.lrs), len(self.weight_decays)), np.nan)  # as it stays where a training diverges
        for i, lr in enumerate(self.lrs):
            for j, decay in enumerate(self.weight_decays):
                with contextlib.suppress(NonFiniteError):
                    chosen_by, validation[i, j] = self._trained(encoder, selection, lr, decay, seed=seed).measured(metric)
        if np.isnan(validation).all():
            raise NonFiniteError("finetune_grid: every training of the grid diverged. Lower lrs.")
        i, j = divmod(int(np.nanargmax(validation)), validation.shape[1])
        lr, decay = self.lrs[i], self.weight_decays[j]
        return [
            *self._trained(encoder, final, lr, decay, seed=seed).found("finetune_grid"),
            ("finetune_grid_lr", Setting(lr)),
            ("finetune_grid_lr_at_end", float(lr in (self.lrs[0], self.lrs[-1]))),
            ("finetune_grid_weight_decay", Setting(decay / lr)),
            ("finetune_grid_weight_decay_at_end", float(decay == self.weight_decays[-1])),
            ("finetune_grid_diverged", float(np.isnan(validation).sum())),
            (f"finetune_grid_validation_{chosen_by}", float(np.nanmax(validation))),
            ("finetune_grid_validation", validation),
        ]

    def _trained(
        self, encoder: nn.Module, images: EvaluationImages, lr: float, decay: float, *, seed: int
    ) -> targets.Guessed | targets.Ranked:
        rule = self.rule.but(base_lr=lr, weight_decay=decay / lr)
        num_images = 0 if images.train_labels is None else len(images.train_labels)
        steps_per_epoch = max(1, -(-num_images // rule.batch_size))
        momentum = min(10 / steps_per_epoch, 0.1)  # torch's is 1 minus the paper's
        return fine_tuned(encoder, images, rule=rule, evaluation="finetune_grid", seed=seed, norm_momentum=momentum)
