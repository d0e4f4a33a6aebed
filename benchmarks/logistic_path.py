"""The l2 path of the logistic evaluation beside fits with scikit-learn, one thread each: CPU time, exactness, choice of l2.

Features are overlapping clusters on principal axes of very different variance, behind a ReLU. All minimise the same objective
for the same 45 l2, in turns, l2 after l2; "warm" begins each fit at the one before. `tol` is scikit-learn's bound on the
largest entry of the gradient, 1e-4 by default. The lowest objective is that of a path with a tolerance of 1e-10.

    python benchmarks/logistic_path.py
    python benchmarks/logistic_path.py --write docs/benchmarks.md
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import page
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from sslkit.evaluations.l2_path import L2Path
from sslkit.evaluations.score_losses import SoftmaxLoss

N, D, CLASSES, N_VALIDATION = 10_000, 512, 10, 2_000
L2S = np.geomspace(1e5, 1e-6, 45)
CPU = torch.device("cpu")
ROUNDS = 3
VERSIONS = ("torch", "numpy", "scikit-learn")


class Fit(NamedTuple):
    """Weights and biases, what they took, and how many evaluations or iterations that were."""

    weight: np.ndarray
    bias: np.ndarray
    seconds: float
    count: int


class Data(NamedTuple):
    """Features and labels to learn from and to choose on."""

    h: np.ndarray
    labels: np.ndarray
    validation: np.ndarray
    validation_labels: np.ndarray


Candidate = Callable[[Data], Iterator[Fit]]


class Row(NamedTuple):
    """One candidate over the whole path, in each round."""

    name: str
    seconds: list[float]
    count: int
    above: float
    chosen: float
    top1: float


def data() -> Data:
    """Class means, and noise on axes whose spread falls by e every hundred; what is negative becomes 0."""
    rng = np.random.default_rng(0)
    labels = rng.integers(CLASSES, size=N + N_VALIDATION)
    means = 0.3 / D**0.5 * rng.standard_normal((CLASSES, D))
    axes = np.exp(-np.arange(D) / 100)[:, None] * rng.standard_normal((D, D)) / D**0.5
    noise = rng.standard_normal((N + N_VALIDATION, D)) @ axes
    h = np.maximum(0.3 + means[labels] + noise, 0).astype(np.float32)
    return Data(h[:N], labels[:N], h[N:], labels[N:])


def ours(given: Data, *, tolerance: float = 1e-5) -> Iterator[Fit]:
    began = time.process_time()
    loss = SoftmaxLoss(given.labels, num_classes=CLASSES, device=CPU)
    path = L2Path(given.h, loss, device=CPU, tolerance=tolerance, max_steps=1000)
    fits, before = path.fits(L2S), 0
    for found in fits:
        yield Fit(found.weight, found.bias, time.process_time() - began, path.num_evaluations - before)
        before, began = path.num_evaluations, time.process_time()


def scikit_learn(tol: float, *, warm: bool = False, dtype: type = np.float64) -> Candidate:
    """Cold fits, or each begun at the one before."""

    def fits(given: Data) -> Iterator[Fit]:
        h = given.h.astype(dtype)
        model = LogisticRegression(tol=tol, max_iter=10_000, warm_start=warm)
        for l2 in L2S:
            model.C = 1 / (N * l2)
            began = time.process_time()
            model.fit(h, given.labels)
            yield Fit(model.coef_, model.intercept_, time.process_time() - began, int(model.n_iter_[0]))

    return fits


CANDIDATES: dict[str, Candidate] = {
    "sslkit": ours,
    "scikit-learn, tol 1e-4": scikit_learn(1e-4),
    "scikit-learn, tol 1e-4, float32": scikit_learn(1e-4, dtype=np.float32),
    "scikit-learn, tol 1e-6": scikit_learn(1e-6),
    "scikit-learn, tol 1e-6, warm": scikit_learn(1e-6, warm=True),
}


def objective(fit: Fit, given: Data, l2: float) -> float:
    scores = given.h.astype(np.float64) @ fit.weight.T.astype(np.float64) + fit.bias
    top = scores.max(axis=1, keepdims=True)
    log_sum = top[:, 0] + np.log(np.exp(scores - top).sum(axis=1))
    return float((log_sum - scores[np.arange(N), given.labels]).mean() + l2 / 2 * (fit.weight.astype(np.float64) ** 2).sum())


def top1(fit: Fit, given: Data) -> float:
    scores = given.validation.astype(np.float64) @ fit.weight.T + fit.bias
    return float((scores.argmax(axis=1) == given.validation_labels).mean())


def measured(rounds: int) -> list[Row]:
    given = data()
    lowest = [objective(fit, given, l2) for l2, fit in zip(L2S, ours(given, tolerance=1e-10), strict=True)]
    seconds: dict[str, list[float]] = {name: [0.0] * rounds for name in CANDIDATES}
    fits: dict[str, list[Fit]] = {}
    for turn in range(rounds):
        fits = {name: [] for name in CANDIDATES}
        for in_turn in zip(*(one(given) for one in CANDIDATES.values()), strict=True):
            for name, fit in zip(CANDIDATES, in_turn, strict=True):
                fits[name].append(fit)
                seconds[name][turn] += fit.seconds
    rows = []
    for name, path in fits.items():
        above = [objective(fit, given, l2) / low - 1 for l2, fit, low in zip(L2S, path, lowest, strict=True)]
        found = [top1(fit, given) for fit in path]
        best = int(np.argmax(found))
        rows.append(Row(name, seconds[name], sum(fit.count for fit in path), max(above), float(L2S[best]), found[best]))
    return rows


def table(rows: list[Row]) -> str:
    head = "| | CPU seconds, 45 l2 | of sslkit's time | evaluations | objective above the lowest | chosen l2 | its top-1 |"
    lines = [head, "|---|--:|--:|--:|--:|--:|--:|"]
    for row in rows:
        ratios = sorted(one / own for one, own in zip(row.seconds, rows[0].seconds, strict=True))
        ratio = f"{statistics.median(ratios):.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f})"
        cells = (row.name, f"{statistics.median(row.seconds):.1f}", ratio, f"{row.count:,}")
        lines.append(f"| {' | '.join(cells)} | {row.above:.0e} | {row.chosen:.1e} | {row.top1:.4f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, help="a page to be written to")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    capability = torch.backends.cpu.get_cpu_capability()
    header = f"One thread of {platform.machine()}, {capability}; {page.versions(*VERSIONS)}; {N:,} x {D}, {CLASSES} classes; "
    header += f"medians of {given.rounds} rounds."
    print(header)
    if given.write:
        page.check(given.write, "logistic_path.py")  # before the work, not after it
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ConvergenceWarning)
    with threadpool_limits(1):
        rows = measured(given.rounds)
    print(table(rows))
    if given.write:
        page.write(given.write, "logistic_path.py", f"{header}\n\n{table(rows)}")


if __name__ == "__main__":
    main()
