"""Rules: by what settings a classifier is trained on an encoder, or with it, under the names that they are known by."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from sslkit import schedule


class Rule(NamedTuple):
    """Settings of a training by SGD with momentum 0.9; numbers that were got by different rules can't be compared.

    Args:
        epochs: passes over the training images, unless there are `steps`.
        base_lr: learning rate for a batch of 256, to which it is scaled as `lr_scaling` says.
        batch_size: images a step; all of them where they are fewer.
        weight_decay: of weights and biases, not of the batch norm that `normalize` adds.
        nesterov: Nesterov's momentum, or the plain one.
        drops: the learning rate falls to a tenth after each of these fractions of the training; with none, as a cosine to 0.
        normalize: a batch norm stands before the classifier.
        lr_scaling: with "linear" the learning rate is `base_lr * batch / 256`, with "none" it is `base_lr`.
        steps: of the training, where they do not follow from the epochs.
        mixup: alpha of MixUp (arXiv:1710.09412), or 0 for none.
    """

    epochs: int
    base_lr: float
    batch_size: int = 256
    weight_decay: float = 0.0
    nesterov: bool = True
    drops: tuple[float, ...] = ()
    normalize: bool = False
    lr_scaling: Literal["linear", "none"] = "linear"
    steps: int | None = None
    mixup: float = 0.0

    def lr_at(self, step: int, *, steps: int, batch_size: int) -> float:
        """Learning rate of one of `steps` steps of `batch_size` images."""
        peak = schedule.peak_lr(self.base_lr, batch_size=batch_size, scaling=self.lr_scaling)
        if not self.drops:
            return schedule.lr_at(step, steps=steps, warmup_steps=0, peak=peak)
        return peak * 0.1 ** sum(step >= fraction * steps for fraction in self.drops)

    @property
    def settings(self) -> dict[str, Any]:
        """What stands beside a number; what few rules have only where they have it."""
        usual = ("epochs", "base_lr", "batch_size", "weight_decay", "nesterov")
        plain = {**self._asdict(), "drops": list(self.drops)}
        if self.steps is not None:
            del plain["epochs"]
        rare = Rule(epochs=0, base_lr=0)._asdict()
        return {name: value for name, value in plain.items() if name in usual or value not in (rare[name], [])}

    def but(self, **given: Any) -> Rule:
        """The same rule with those settings replaced that are not None."""
        return self._replace(**{name: value for name, value in given.items() if value is not None})


def bit_hyperrule(num_images: int) -> Rule:
    """BiT-HyperRule: one rule for all data sets, by their size (arXiv:1912.11370, section 3.3)."""
    steps = 500 if num_images < 20_000 else 10_000 if num_images < 500_000 else 20_000
    mixup = 0.1 if num_images >= 20_000 else 0.0
    return Rule(
        epochs=0,
        base_lr=0.003,
        batch_size=512,
        nesterov=False,
        drops=(0.3, 0.6, 0.9),
        lr_scaling="none",
        steps=steps,
        mixup=mixup,
    )


FINETUNE = Rule(epochs=30, base_lr=0.05)  # arXiv:2002.05709, appendix B.5, but for the batch of 4096

LINEAR = {
    "simclr": Rule(epochs=90, base_lr=0.1),  # arXiv:2002.05709, appendix B.6, but for the batch of 4096
    "lightly": Rule(epochs=90, base_lr=0.1, nesterov=False),  # its LinearClassifier
    "solo-learn": Rule(epochs=100, base_lr=1.0, nesterov=False, drops=(0.6, 0.8)),  # its linear/imagenet-100/simclr.yaml
    "vissl": Rule(  # its eval_resnet_8gpu_transfer_in1k_linear.yaml
        epochs=28, base_lr=0.01, weight_decay=5e-4, drops=(8 / 28, 16 / 28, 24 / 28), normalize=True
    ),
}
