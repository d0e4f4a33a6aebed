"""k nearest neighbours: time beside bare faiss, lightly and scikit-learn, and memory for a bank on disk.

All run in turns in one process with the same threads, so that a noisy machine slows all, and what is quoted is the median of
the ratios of each turn. Bare faiss searches a flat index and counts no vote; the others begin with features of length 1 and end
with a class for each query. lightly is given chunks of 256 queries, as its users do. Where lightly is installed its classes are
compared with sslkit's: they must be the same but for rounding. Memory is the highest of a process of its own, beside what it
had before and without the pages of the map; Linux.

    python benchmarks/knn.py
    python benchmarks/knn.py --write docs/benchmarks.md
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import page
import torch

from sslkit.evaluations.features import Features
from sslkit.evaluations.knn import KNN

WIDTH, BANK, QUERIES, CLASSES, K, TEMPERATURE = 512, 50_000, 10_000, 10, 200, 0.1
CHUNK = 256  # queries that lightly is given at a time
MAPPED, FEW = 1_000_000, 1_000
VERSIONS = ("faiss-cpu", "torch", "lightly", "scikit-learn")
ONCE = "scikit-learn"  # in the first turn only: it takes as long as all others
Candidate = Callable[[], Any]


def unit_features(seed: int, n: int) -> np.ndarray:
    h = np.random.default_rng(seed).standard_normal((n, WIDTH), dtype=np.float32)
    return h / np.linalg.norm(h, axis=1, keepdims=True)


def features(seed: int, n: int, split: str) -> Features:
    return Features(unit_features(seed, n), np.random.default_rng(seed + 10).integers(CLASSES, size=n), None, split)


def bare_faiss(bank: np.ndarray, queries: np.ndarray) -> None:
    index = faiss.IndexFlatIP(WIDTH)
    index.add(bank)
    index.search(queries, K)


def ours(train: Features, test: Features, backend: str) -> np.ndarray:
    found = dict(KNN(k=K, temperature=TEMPERATURE, backend=backend)(train, test))  # type: ignore[arg-type]
    predicted = found["knn_predicted"]
    assert isinstance(predicted, np.ndarray)
    return predicted


def lightly(train: Features, test: Features) -> Candidate:
    from lightly.utils.benchmarking import knn_predict

    bank, labels = torch.from_numpy(train.h).T.contiguous(), torch.from_numpy(train.labels)
    parts = torch.from_numpy(test.h).split(CHUNK)

    def run() -> np.ndarray:
        found = [knn_predict(part, bank, labels, CLASSES, knn_k=K, knn_t=TEMPERATURE)[:, 0] for part in parts]
        return torch.cat(found).numpy()

    return run


def scikit_learn(train: Features, test: Features) -> Candidate:
    from sklearn.neighbors import KNeighborsClassifier

    weights = {"weights": lambda distances: np.exp((1 - distances) / TEMPERATURE)}
    classifier = KNeighborsClassifier(K, metric="cosine", algorithm="brute", n_jobs=-1, **weights)
    return lambda: classifier.fit(train.h, train.labels).predict(test.h)


def candidates() -> dict[str, Candidate]:
    train, test = features(0, BANK, "train"), features(1, QUERIES, "test")
    found: dict[str, Candidate] = {
        "sslkit": lambda: ours(train, test, "faiss"),
        "bare faiss": lambda: bare_faiss(train.h, test.h),
        "sslkit, torch": lambda: ours(train, test, "torch"),
    }
    for name, make in (("lightly", lightly), (ONCE, scikit_learn)):
        try:
            found[name] = make(train, test)
        except ImportError as error:
            print(f"{name}: left out, {error}", file=sys.stderr)
    return found


def times(rounds: int) -> dict[str, list[float]]:
    """Seconds of each, in turns; the first turn warms up all but the one that has no other."""
    run = candidates()
    classes: dict[str, np.ndarray] = {}
    found: dict[str, list[float]] = {name: [] for name in run}
    for turn in range(rounds + 1):
        for name, one in run.items():
            if name != ONCE or turn == 1:
                began = time.perf_counter()
                classes[name] = one()
                if turn:
                    found[name].append(time.perf_counter() - began)
    for name in classes.keys() - {"sslkit", "bare faiss"}:
        same = float(np.mean(classes[name] == classes["sslkit"]))
        print(f"{name}: {same:.2%} of the classes are sslkit's", file=sys.stderr)
        if same < 0.999:
            raise SystemExit(f"{name}: the rules differ.")
    return found


def peak(name: str, path: str) -> tuple[int, float]:
    """(bytes beside the map and what was there before, seconds) for a bank on disk."""
    bank = np.memmap(path, np.float32, mode="r", shape=(MAPPED, WIDTH))
    labels = np.random.default_rng(2).integers(CLASSES, size=MAPPED)
    test = features(1, FEW, "test")
    run: dict[str, Candidate] = {
        "sslkit": lambda: ours(Features(bank, labels, None, "train"), test, "faiss"),
        "bare faiss": lambda: bare_faiss(bank, test.h),
    }
    ours(features(0, 2 * K, "train"), test, "faiss")  # what it imports and starts is no part of it
    before, seen, done = anonymous(), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.002):
            seen[0] = max(seen[0], anonymous())

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.perf_counter()
    run[name]()
    seconds = time.perf_counter() - began
    done.set()
    watcher.join()
    return seen[0] - before, seconds


def anonymous() -> int:
    """Bytes of this process that are no file's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


def child(*arguments: str) -> Any:
    done = subprocess.run([sys.executable, __file__, *arguments], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def time_table(rounds: int) -> str:
    seconds: dict[str, list[float]] = child("--times", str(rounds))
    rows = ["| candidate | seconds, median | time / sslkit's, median (lowest to highest) | turns |", "|---|--:|--:|--:|"]
    for name, values in seconds.items():
        ratios = [value / own for value, own in zip(values, seconds["sslkit"], strict=False)]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        rows.append(f"| {name} | {statistics.median(values):.2f} | {spread} | {len(values)} |")
    return "\n".join(rows)


def memory_table() -> str:
    rows = ["| candidate | peak MB beside the map | seconds |", "|---|--:|--:|"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bank"
        with path.open("wb") as file:
            for first in range(0, MAPPED, BANK):
                file.write(unit_features(first, BANK).data)
        for name in ("sslkit", "bare faiss"):
            extra, seconds = child("--peak", name, str(path))
            rows.append(f"| {name} | {extra / 1e6:,.0f} | {seconds:.1f} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="turns that are measured")
    parser.add_argument("--write", type=Path, help="a page to be written to")
    parser.add_argument("--times", type=int, metavar="ROUNDS", help=argparse.SUPPRESS)
    parser.add_argument("--peak", nargs=2, metavar=("NAME", "PATH"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.times:
        print(json.dumps(times(given.times)))
        return
    if given.peak:
        print(json.dumps(peak(*given.peak)))
        return
    if given.write:
        page.check(given.write, "knn.py")  # before the work, not after it
    threads = f"{faiss.omp_get_max_threads()} threads of {platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"
    header = f"{threads}; {page.versions(*VERSIONS)}; width {WIDTH}, {CLASSES} classes, k = {K}, float32."
    print(header, flush=True)
    first = f"Bank {BANK:,}, {QUERIES:,} queries:\n\n{time_table(given.rounds)}"
    print(first, flush=True)
    second = f"Bank {MAPPED:,} on disk, {MAPPED * WIDTH * 4 / 1e6:,.0f} MB, {FEW:,} queries:\n\n{memory_table()}"
    print(second, flush=True)
    if given.write:
        page.write(given.write, "knn.py", f"{header}\n\n{first}\n\n{second}")


if __name__ == "__main__":
    main()
