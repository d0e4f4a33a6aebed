"""tensorboard: every number that is logged, as TensorBoard shows it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from annotated_types import Gt


class TensorBoard:
    """Writes event files into `tensorboard/` of the run folder (https://www.tensorflow.org/tensorboard).

    A run that goes on after a stop writes one more file, which takes the place of what was logged behind its beginning.

    Args:
        folder: the run folder.
        step: steps done already.
        flush_seconds: how long numbers may wait before they are written.
    """

    def __init__(self, folder: Path, step: int, *, flush_seconds: Annotated[int, Gt(0)] = 30) -> None:
        from torch.utils.tensorboard import SummaryWriter  # takes seconds, and listing components should not

        again = {"purge_step": step + 1} if step else {}
        self.writer = SummaryWriter(str(folder / "tensorboard"), flush_secs=flush_seconds, **again)

    def __call__(self, step: int, numbers: Mapping[str, float]) -> None:
        """Add the numbers of a step."""
        for name, value in numbers.items():
            self.writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Write what still waits."""
        self.writer.close()
