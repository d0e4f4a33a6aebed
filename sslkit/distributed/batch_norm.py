"""Global batch norm: mean and variance over the images of all ranks, on CPU and GPU alike."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase

from sslkit.distributed.ranks import num_ranks
from sslkit.errors import ContractError

_Norm = TypeVar("_Norm", bound=_NormBase)


class GlobalBatchNorm(_NormBase):
    """Batch norm whose statistics are those of the global batch, and whose gradient goes through all ranks' statistics.

    With local statistics two views of an image, which lie on one rank, could be matched by what their rank's statistics say of
    them (arXiv:2002.05709, section 2.2). torch's SyncBatchNorm does the same and refuses the CPU. Statistics of ranks are put
    together from their means and variances, not from sums of squares, which lose digits. Running statistics move alike on all
    ranks. Its state is that of torch's batch norm, so a checkpoint does not tell with how many ranks it was written.
    """

    local: type[_BatchNorm] = nn.BatchNorm2d  # whose place it takes

    def forward(self, x: Float[Tensor, "n c ..."]) -> Float[Tensor, "n c ..."]:
        """Normalise; in eval mode by the running statistics."""
        if not self.training and self.running_mean is not None:
            return nn.functional.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, training=False, eps=self.eps
            )
        y, mean, var, count = _Normalise.apply(x, self.weight, self.bias, self.eps)
        if self.training and self.running_mean is not None:
            self._move(mean, var, count=count)
        normalised: Tensor = y
        return normalised

    def _move(self, mean: Tensor, var: Tensor, *, count: int) -> None:
        """Move the running statistics, with the unbiased variance, as torch does."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        step = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), step)
        self.running_var.lerp_((var * (count / (count - 1))).to(self.running_var.dtype), step)


def with_global_norm(module: nn.Module) -> nn.Module:
    """The module with every batch norm in it made global, in place; as it is if there is one process.

    Raises:
        ContractError: it holds a batch norm of a class of its own, whose statistics would stay local.
    """
    if num_ranks() == 1:
        return module
    for name, child in module.named_modules(remove_duplicate=False):
        if type(child) in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d):
            made = _with_state_of(child, GlobalBatchNorm)
            made.local = type(child)
            module = _replaced(module, name, made)
        elif isinstance(child, _BatchNorm) and not isinstance(child, nn.SyncBatchNorm):
            raise ContractError(
                f"{name}: {type(child).__name__} is a batch norm of its own kind, and its statistics would be those of one "
                f"rank. Train it in one process, or use torch.nn.BatchNorm2d."
            )
    return module


def with_own_norm(module: nn.Module) -> nn.Module:
    """The module with every global batch norm in it made torch's own again, in place: for what one process does alone."""
    for name, child in module.named_modules(remove_duplicate=False):
        if isinstance(child, GlobalBatchNorm):
            module = _replaced(module, name, _with_state_of(child, child.local))
    return module


def _replaced(module: nn.Module, name: str, by: nn.Module) -> nn.Module:
    if not name:
        return by
    module.set_submodule(name, by)
    return module


def _with_state_of(norm: _NormBase, kind: type[_Norm]) -> _Norm:
    """A norm of this kind that has the very parameters and buffers of another."""
    made = kind(norm.num_features, norm.eps, norm.momentum, affine=False, track_running_stats=norm.track_running_stats)
    made.affine = norm.affine
    for name, parameter in norm.named_parameters():
        made.register_parameter(name, parameter)
    for name, buffer in norm.named_buffers():
        made.register_buffer(name, buffer)
    return made.train(norm.training)


class _Normalise(torch.autograd.Function):
    """Each pass is one kernel of torch's own batch norm, so that it costs what the local one costs."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, int]:
        mean, var, count = _statistics(x)
        inverse = (var + eps).rsqrt()
        y = torch.native_batch_norm(x, weight, bias, mean, var, False, 0.0, eps)[0]
        ctx.save_for_backward(x, weight, mean, inverse)
        ctx.eps, ctx.count = eps, count
        ctx.mark_non_differentiable(mean, var)
        return y, mean, var, count

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        dy = gradients[0]
        x, weight, mean, inverse = ctx.saved_tensors
        _, by_weight, by_bias = torch.ops.aten.native_batch_norm_backward(
            dy,
            x,
            torch.ones_like(mean) if weight is None else weight,
            None,
            None,
            mean,
            inverse,
            True,
            ctx.eps,
            [False, True, True],
        )  # sums over this rank's rows of dy * normalised x, and of dy
        dx = None
        if ctx.needs_input_grad[0]:
            sums = torch.stack([by_weight, by_bias])
            dist.all_reduce(sums)
            with_x, alone = sums / ctx.count
            # dx = weight / std * (dy - mean of dy - normalised x * mean of dy * normalised x), as a line in dy and one in x
            scale = inverse if weight is None else inverse * weight
            slope = -scale * inverse * with_x
            dx = _line(dy, scale, -scale * alone - slope * mean).add_(_line(x, slope, torch.zeros_like(slope)))
        return dx, by_weight if ctx.needs_input_grad[1] else None, by_bias if ctx.needs_input_grad[2] else None, None


def _statistics(x: Tensor) -> tuple[Tensor, Tensor, int]:
    """Mean and biased variance `(c,)` of every channel over all ranks, and of how many values they are."""
    exact = torch.promote_types(x.dtype, torch.float32)  # bf16 has too few digits for them
    moved = torch.zeros(2, x.shape[1], dtype=exact, device=x.device)  # running statistics of that type make the kernel take it
    local_mean, local_var = torch.batch_norm_update_stats(x, moved[0], moved[1], 0.0)
    count = x.numel() // x.shape[1]
    said = torch.cat([local_mean, local_var, local_mean.new_tensor([count])]).double()
    found = said.new_empty(num_ranks(), len(said))
    dist.all_gather(list(found), said)
    counts = found[:, -1:]  # (ranks, 1)
    means, variances = found[:, :-1].chunk(2, dim=1)  # (ranks, c)
    weights = counts / counts.sum()
    mean = (weights * means).sum(0)
    var = (weights * (variances + (means - mean) ** 2)).sum(0)
    return mean.to(local_mean.dtype), var.to(local_var.dtype), int(counts.sum())


def _line(x: Tensor, slope: Tensor, shift: Tensor) -> Tensor:
    """A line for each channel, slope * x + shift; in eval mode batch norm's kernel is that."""
    zero, one = torch.zeros_like(slope), torch.ones_like(slope)
    return torch.native_batch_norm(x, slope, shift, zero, one, False, 0.0, 0.0)[0]
