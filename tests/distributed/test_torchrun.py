"""A loop of one's own under torchrun: two processes that it starts take the very steps of one."""

import os
import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

SCRIPT = """
import sys

import torch
from safetensors.torch import save_file
from torch import nn

from sslkit import gradient, train
from sslkit.distributed.batch_norm import with_global_norm
from sslkit.distributed.ranks import group, rank, share
from sslkit.loader import Batch
from sslkit.losses.nt_xent import NTXent
from sslkit.methods.siamese import Siamese


def batch(step):
    drawn = torch.Generator().manual_seed(step)
    rows = share(slice(0, 7))
    views = [torch.randn(7, 3, 4, 4, generator=drawn, dtype=torch.float64)[rows] for _ in range(2)]
    return Batch(views, None, torch.arange(7)[rows])


torch.set_num_threads(1)
with group(timeout_seconds=60):
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten())
    method = with_global_norm(Siamese(backbone, nn.Linear(32, 4), NTXent(temperature=0.5)).double())
    train.train(
        method,
        torch.optim.SGD(method.parameters(), momentum=0.9),
        batches=map(batch, range(4)),
        schedule=lambda step: 0.1,
        steps=4,
        backward=lambda *at: gradient.whole(*at, seed=0, device=torch.device("cpu"), precision="fp32"),
        check=lambda step, loss, scalars: None,
    )
    save_file(method.state_dict(), f"{sys.argv[1]}/rank{rank()}.safetensors")
"""


def trained(folder: Path, *launcher: str) -> None:
    folder.mkdir()
    script = folder / "loop.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, *launcher, str(script), str(folder)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def test_two_processes_of_torchrun_train_as_one(tmp_path: Path) -> None:
    trained(tmp_path / "one")
    trained(tmp_path / "two", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    alone = load_file(tmp_path / "one" / "rank0.safetensors")
    for rank in (0, 1):
        together = load_file(tmp_path / "two" / f"rank{rank}.safetensors")
        assert together.keys() == alone.keys()
        for name, expected in alone.items():
            assert torch.allclose(together[name].double(), expected.double(), rtol=1e-10, atol=1e-12), name
