"""wandb: every number that is logged, to Weights & Biases."""

import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class WandB:
    """Sends the numbers and the resolved recipe of a run to Weights & Biases (https://docs.wandb.ai).

    A run that goes on after a stop goes on in the same run there: its identity lies in `wandb_id` of the run folder. Steps that
    are done a second time keep the numbers of the first; they are the same.

    Args:
        folder: the run folder, whose name the run has there.
        step: steps done already.
        project: where the run is put.
        entity: the user or team; by default the one that is logged in.
        mode: send the numbers, keep them in `wandb/` of the run folder for `wandb sync`, or do nothing.
    """

    def __init__(
        self,
        folder: Path,
        step: int,  # noqa: ARG002  the run there knows it
        *,
        project: str = "sslkit",
        entity: str | None = None,
        mode: Literal["online", "offline", "disabled"] = "online",
    ) -> None:
        import wandb  # takes seconds, and listing components should not

        self.run = wandb.init(
            dir=folder,
            project=project,
            entity=entity,
            mode=mode,
            name=folder.name,
            id=_identity(folder / "wandb_id"),
            resume="allow",
            config=_recipe(folder / "resolved.toml"),
            settings=wandb.Settings(silent=True, console="off"),
        )

    def __call__(self, step: int, numbers: Mapping[str, float]) -> None:
        """Add the numbers of a step."""
        self.run.log(dict(numbers), step=step)

    def close(self) -> None:
        """Send what still waits."""
        self.run.finish()


def _identity(path: Path) -> str:
    if not path.exists():
        path.write_text(uuid.uuid4().hex, encoding="utf-8")
    return path.read_text(encoding="utf-8").strip()


def _recipe(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
