"""NT-Xent forward and backward over the number of images: time and memory, beside plain torch, two peers and a bound.

All run in turns in one process, so that a noisy machine slows all; memory is the highest resident size over that before, of a
process that does nothing else. The bound is what no exact method without symmetry can undercut: the full matrix product
forward, again backward, and its product with the projections, tile by tile in memory that is used again. Peers that are not
installed, or whose matrices would not fit, are left out.

    python benchmarks/contrastive_loss.py
    python benchmarks/contrastive_loss.py --write docs/benchmarks.md   # writes the page and its picture, too (matplotlib)
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import page
import torch
from torch import Tensor
from torch.nn import functional as F

from sslkit.losses.nt_xent import NTXent
from sslkit.losses.tiles import slices, tile_side

SIZES = (256, 512, 1024, 2048, 4096, 8192, 16384, 32768)
PICTURE = "contrastive_loss.svg"
WIDTH = 128
VERSIONS = ("torch", "lightly", "pytorch-metric-learning")
TEMPERATURE = 0.1
LARGEST = {"torch, dense": 4096, "lightly": 4096, "pytorch-metric-learning": 256}  # images; beyond, memory or patience end
CUBIC = "pytorch-metric-learning"
Loss = Callable[[Tensor, Tensor], Tensor]


class Row(NamedTuple):
    """One loss at one size."""

    n: int
    name: str
    seconds: float
    of_ours: float
    of_products: float
    extra: int
    steps: int

    def __str__(self) -> str:
        cells = (f"{self.n:,}", self.name, f"{1e3 * self.seconds:,.1f}", f"{self.of_ours:,.2f}", f"{self.of_products:,.2f}")
        return f"| {' | '.join(cells)} | {self.extra / 1e6:,.0f} | {self.steps} |"


def ours(z1: Tensor, z2: Tensor) -> Tensor:
    loss: Tensor = NTXent(temperature=TEMPERATURE)((z1, z2))[0]
    return loss


def dense(z1: Tensor, z2: Tensor) -> Tensor:
    u = F.normalize(torch.cat((z1, z2)))
    logits = (u @ u.T / TEMPERATURE).fill_diagonal_(-torch.inf)
    return F.cross_entropy(logits, torch.arange(len(u)).roll(len(z1)))


def lightly() -> Loss:
    from lightly.loss import NTXentLoss

    found: Loss = NTXentLoss(temperature=TEMPERATURE)
    return found


def metric_learning() -> Loss:
    from pytorch_metric_learning.losses import NTXentLoss

    loss = NTXentLoss(temperature=TEMPERATURE)
    return lambda z1, z2: loss(torch.cat((z1, z2)), torch.arange(len(z1)).repeat(2))


def products(z: Tensor) -> None:
    """The bound."""
    side = tile_side(z.device, 4)
    out, tile = torch.zeros_like(z), torch.empty(min(side, len(z)) ** 2)
    for backward in (False, True):
        for rows in slices(len(z), side):
            for columns in slices(len(z), side):
                shape = (rows.stop - rows.start, columns.stop - columns.start)
                similarities = torch.mm(z[rows], z[columns].T, out=tile[: shape[0] * shape[1]].view(shape))
                if backward:
                    out[rows].addmm_(similarities, z[columns])


def candidates() -> dict[str, Loss]:
    found: dict[str, Loss] = {"sslkit": ours, "torch, dense": dense}
    for name, make in (("lightly", lightly), ("pytorch-metric-learning", metric_learning)):
        try:
            found[name] = make()
        except ImportError as error:
            print(f"{name}: left out, {error}", file=sys.stderr)
    return found


def step(loss: Loss, z1: Tensor, z2: Tensor) -> float:
    z1.grad = z2.grad = None
    began = time.perf_counter()
    loss(z1, z2).backward()
    return time.perf_counter() - began


def projections(n: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    z1 = torch.randn(n, WIDTH, generator=generator)
    return z1.requires_grad_(), (z1.detach() + torch.randn(n, WIDTH, generator=generator)).requires_grad_()


def times(n: int) -> dict[str, list[float]]:
    """Seconds of each, in turns."""
    z1, z2 = projections(n)
    both = torch.cat((z1, z2)).detach()
    run = {name: partial(step, loss, z1, z2) for name, loss in candidates().items() if n <= LARGEST.get(name, n)}
    last = run.pop(CUBIC, None)  # not in turns: it would leave the others neither caches nor memory
    found: dict[str, list[float]] = {name: [] for name in ("products", *run)}
    rounds = max(3, min(60, 30_000 // n))
    for turn in range(-1 if n < 10_000 else 0, rounds):
        began = time.perf_counter()
        products(both)
        seconds = {"products": time.perf_counter() - began} | {name: one() for name, one in run.items()}
        if turn >= 0:  # the first warms up
            for name, value in seconds.items():
                found[name].append(value)
    return found if last is None else found | {CUBIC: [last() for _ in range(3)]}


def peak(name: str, n: int) -> int:
    """Bytes that a step takes beside its projections and their gradients; Linux."""
    loss = candidates()[name]
    step(loss, *projections(64))
    z1, z2 = projections(n)
    z1.grad, z2.grad = torch.ones_like(z1), torch.ones_like(z2)
    Path("/proc/self/clear_refs").write_text("5")  # forget the highest size so far
    before = resident("VmHWM")
    loss(z1, z2).backward()
    return resident("VmHWM") - before


def resident(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(key))


def child(*arguments: str) -> object:
    done = subprocess.run([sys.executable, __file__, *arguments], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def measured() -> list[Row]:
    rows = []
    for n in SIZES:
        seconds = child("--times", str(n))
        assert isinstance(seconds, dict)
        medians = {name: statistics.median(values) for name, values in seconds.items()}
        for name in (name for name in medians if name != "products"):
            extra = child("--peak", name, str(n))
            assert isinstance(extra, int)
            median = medians[name]
            row = Row(n, name, median, median / medians["sslkit"], median / medians["products"], extra, len(seconds[name]))
            rows.append(row)
            print(row, flush=True)
    return rows


def table(rows: list[Row]) -> str:
    head = "| images | loss | ms, median | of sslkit's time | of the products' time | peak extra MB | steps |"
    return "\n".join([head, "|--:|---|--:|--:|--:|--:|--:|", *map(str, rows)])


def draw(rows: list[Row], path: Path) -> None:
    """Time and memory over the number of images, both logarithmic."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, label, value in zip(
        figure.subplots(1, 2), ("ms, forward and backward", "peak extra MB"), (_milliseconds, _megabytes), strict=True
    ):
        for name in dict.fromkeys(row.name for row in rows):
            own = [row for row in rows if row.name == name]
            axes.plot([row.n for row in own], [value(row) for row in own], marker="o", markersize=4, label=name)
        axes.set(xscale="log", yscale="log", xlabel="images", ylabel=label, xticks=SIZES, xticklabels=[f"{n:,}" for n in SIZES])
        axes.tick_params(axis="x", rotation=45, which="major")
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    handles, names = axes.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=len(names), frameon=False)
    figure.savefig(path, metadata={"Date": None})


def _milliseconds(row: Row) -> float:
    return 1e3 * row.seconds


def _megabytes(row: Row) -> float:
    return row.extra / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, help="a page to be written to")
    parser.add_argument("--times", type=int, metavar="N", help=argparse.SUPPRESS)
    parser.add_argument("--peak", nargs=2, metavar=("NAME", "N"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.times:
        print(json.dumps(times(given.times)))
    elif given.peak:
        print(peak(given.peak[0], int(given.peak[1])))
    else:
        cores = f"{torch.get_num_threads()} threads of {platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"
        header = f"{cores}; {page.versions(*VERSIONS)}; width {WIDTH}, temperature {TEMPERATURE}, float32."
        print(header)
        if given.write:
            page.check(given.write, "contrastive_loss.py")  # before the work, not after it
        rows = measured()
        if given.write:
            draw(rows, given.write.parent / PICTURE)
            picture = f"![Time and memory over the number of images]({PICTURE})"
            page.write(given.write, "contrastive_loss.py", f"{header}\n\n{table(rows)}\n\n{picture}")


if __name__ == "__main__":
    main()
