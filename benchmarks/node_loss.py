"""What the loss of a node costs: of two elastic agents on this machine one is killed with all it started, and brought back.

The job goes on with the one that is left, from the last checkpoint and with the same batch, and with both again once the other
is back. Prints when each happened. Two agents on one machine are not two machines: the network between them does not fail here.

    python benchmarks/node_loss.py
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RECIPE = """
backbone  = { name = "resnet", depth = 18, width = 0.25 }
head      = { name = "mlp", out_dim = 64 }
loss      = { name = "nt_xent", temperature = 0.2 }
optimizer = { name = "lars" }
augmentations = [{ name = "random_resized_crop", size = 48, area = [0.5, 1.0] }, { name = "color_distortion" }]
data = { name = "shapes", num_images = 1000, size = 48 }

[train]
epochs = 30
batch_size = 128
base_lr = 4.0
warmup_epochs = 1
log_every = 1
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def agent(folder: Path, port: int, *, host: bool) -> subprocess.Popen[bytes]:
    """One node: an agent of torchrun with one process, in a process group of its own."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "1:2", "--nproc-per-node", "1", "--max-restarts", "5"]
    command += ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{port}", "--rdzv-id", "job"]
    keep_alive = "keep_alive_interval=1,keep_alive_max_attempt=3,last_call_timeout=5"
    command += ["--rdzv-conf", f"is_host={int(host)},{keep_alive}", "--local-addr", "127.0.0.1"]
    command += ["-m", "sslkit", "run", str(folder / "job.toml"), "-o", str(folder / "run")]
    settings = {"OMP_NUM_THREADS": "1", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1", "GLOO_SOCKET_IFNAME": "lo"}
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, env={**os.environ, **settings}, start_new_session=True, stdout=quiet, stderr=quiet)


def steps(folder: Path) -> int:
    """Steps that were logged so far."""
    path = folder / "run/metrics.jsonl"
    return len(path.read_text().splitlines()) if path.exists() else 0


def await_progress(folder: Path, *, from_step: int, by: int, patience: float = 300) -> float:
    """Seconds until so many steps more than `from_step` were done."""
    began = time.perf_counter()
    while steps(folder) < from_step + by:
        if time.perf_counter() - began > patience:
            raise SystemExit(f"no step after {patience} s")
        time.sleep(0.1)
    return time.perf_counter() - began


def ranks_of(folder: Path) -> str:
    """How many processes train together, as the resolved recipe says."""
    lines = (folder / "run/resolved.toml").read_text().splitlines()
    return next((line for line in lines if line.startswith("processes")), "processes: not said")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "job.toml").write_text(RECIPE)
        port = free_port()
        first, second = agent(folder, port, host=True), agent(folder, port, host=False)
        try:
            print(f"both nodes: {await_progress(folder, from_step=0, by=40):.1f} s to step 40; {ranks_of(folder)}")
            os.killpg(second.pid, signal.SIGKILL)
            killed = steps(folder)
            saved = sorted(path.name for path in (folder / "run/checkpoints").glob("*.safetensors"))
            print(f"the second node is killed at step {killed}; there are {saved}")
            took = await_progress(folder, from_step=killed, by=1)
            print(f"alone: the next new step {took:.1f} s after the kill; {ranks_of(folder)}")
            await_progress(folder, from_step=killed, by=20)
            second = agent(folder, port, host=False)
            back = steps(folder)
            began = time.perf_counter()
            print(f"the second node is back at step {back}")
            first.wait(timeout=900)
            print(f"finished {time.perf_counter() - began:.1f} s later, exit status {first.returncode}; {ranks_of(folder)}")
            results = json.loads((folder / "run/results.json").read_text())
            lines = [json.loads(line)["step"] for line in (folder / "run/metrics.jsonl").read_text().splitlines()]
            in_order = lines == list(range(1, len(lines) + 1))
            print(f"finished: {results['finished']}; steps logged once each, in order: {in_order}")
        finally:
            for one in (first, second):
                if one.poll() is None:
                    os.killpg(one.pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
