"""Block search: the nearest of some rows for each query, by faiss or by torch, on a GPU where there is one for them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from sslkit.errors import UserError
from sslkit.evaluations.blocks import slices
from sslkit.evaluations.nearness import Compared

Backend = Literal["faiss", "torch"]
Found = tuple[Float32[np.ndarray, "b k"], Int64[np.ndarray, "b k"]]  # scores, the largest first, and the numbers of the rows
BlockSearch = Callable[[Float32[np.ndarray, "b d"], Float32[np.ndarray, "m d"], int], Found]

_GPU_MOST = 2048  # neighbours that faiss finds on a GPU
_SCORES = 2**24  # that torch holds at a time, 64 MB


def block_search(backend: Backend, *, compared: Compared) -> BlockSearch:
    """A function of queries, rows and k; a score is the inner product, or for "distance" minus the squared Euclidean distance.

    Both backends give the same but for rounding, about 1e-6 of the product of two lengths, and so for ties.

    Raises:
        UserError: faiss is asked for and can't be imported.
    """
    if backend == "torch":
        return partial(_by_torch, scores_of=_products if compared == "product" else _distances)
    faiss = load_faiss()
    gpu = faiss.StandardGpuResources() if faiss.get_num_gpus() > 0 else None
    return partial(_by_faiss, faiss=faiss, gpu=gpu, compared=compared)


def require_backend(backend: Backend) -> None:
    """Raise UserError if faiss is asked for and not installed; it is not imported yet."""
    if backend == "faiss" and find_spec("faiss") is None:
        raise _no_faiss("it is not installed")


def load_faiss() -> Any:
    """The module; imported here because it is slow to load and starts threads.

    Raises:
        UserError: it can't be imported.
    """
    try:
        import faiss
    except ImportError as error:
        raise _no_faiss(str(error)) from error
    return faiss


def _no_faiss(reason: str) -> UserError:
    return UserError(
        f"evaluate: 'knn' can't import faiss: {reason}. Install faiss-cpu, or set backend = \"torch\", which finds the same "
        f"neighbours but for ties."
    )


def _by_faiss(
    queries: Float32[np.ndarray, "b d"],
    rows: Float32[np.ndarray, "m d"],
    k: int,
    *,
    faiss: Any,
    gpu: Any,
    compared: Compared,
) -> Found:
    """What faiss's flat index finds, without its copy of the rows."""
    metric, sign = (faiss.METRIC_INNER_PRODUCT, 1) if compared == "product" else (faiss.METRIC_L2, -1)
    knn = partial(faiss.knn_gpu, gpu) if gpu is not None and k <= _GPU_MOST else faiss.knn
    scores, found = knn(queries, rows, k, metric=metric)
    return sign * scores, found


def _by_torch(
    queries: Float32[np.ndarray, "b d"],
    rows: Float32[np.ndarray, "m d"],
    k: int,
    *,
    scores_of: Callable[[Tensor, Tensor], Tensor],
) -> Found:
    """All scores and their top k."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    bank = torch.from_numpy(rows).to(device)
    scores, found = np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)
    for part in slices(len(queries), max(1, _SCORES // len(rows))):
        best = scores_of(torch.from_numpy(queries[part]).to(device), bank).topk(k, dim=1)
        scores[part], found[part] = best.values.cpu().numpy(), best.indices.cpu().numpy()
    return scores, found


def _products(asked: Float32[Tensor, "b d"], bank: Float32[Tensor, "m d"]) -> Float32[Tensor, "b m"]:
    return asked @ bank.T


def _distances(asked: Float32[Tensor, "b d"], bank: Float32[Tensor, "m d"]) -> Float32[Tensor, "b m"]:
    """Minus the squared ones: `-d^2 = 2 q . r - |r|^2 - |q|^2`."""
    return (asked @ bank.T).mul_(2).sub_(bank.square().sum(1)).sub_(asked.square().sum(1, keepdim=True))
