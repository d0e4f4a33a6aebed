"""The run folder: what a run leaves behind, and whether a new run may use it.

recipe.toml  resolved.toml
images.json.gz              name and size of each image file, to tell which changed; nothing where images are no files
metrics.jsonl               a line a logged step: functions of recipe, seed and step only
timing.jsonl                what depends on the clock
results.json                every evaluation with its protocol, and which images were skipped
stopped.json                at which step a number was not finite, until the run goes on
checkpoints/                step_0000123.safetensors, the newest two; epoch_0100.safetensors, which stays; damaged/
encoder.safetensors         f alone
evaluations/                what each evaluation said of each test image
neighbours.png  map.png     what evaluations draw; of baselines and other layers in untrained/, z/, untrained/z/, ...;
                            of a second section of the name in neighbours_picture-2/
features/                   features of the encoder, kept for further evaluations; may be deleted
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sslkit import bounded, json_text, toml
from sslkit.checkpoint_folder import newest_first, refuse_link
from sslkit.errors import ResourceError, RunFolderError, UserError, did_you_mean, listed
from sslkit.origin import origin, other_versions
from sslkit.results_form import complaint_of
from sslkit.whole_files import temporary, write

MOST_RESULTS = 2**26  # bytes of results.json; an evaluation takes a thousand
PIECES = 2**20  # commas, colons and brackets in it
MOST_LINES = 2**32  # bytes of a .jsonl file; a logged step takes 150


@dataclass(frozen=True)
class RunFolder:
    """Paths of a run folder, and the small files in it."""

    path: Path

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints lie."""
        return self.path / "checkpoints"

    def checkpoint_names(self) -> list[tuple[str, int]]:
        """The checkpoints that lie here, with the times of their writing: what changes as a run gets on."""
        return sorted((path.name, path.stat().st_mtime_ns) for path in self.checkpoints.glob("*.safetensors"))

    @property
    def last(self) -> Path | None:
        """The newest checkpoint, whole or not; None without any."""
        return next(iter(newest_first(self.checkpoints)), None)

    @property
    def encoder(self) -> Path:
        """The trained encoder."""
        return self.path / "encoder.safetensors"

    @property
    def results(self) -> Path:
        """Every evaluation."""
        return self.path / "results.json"

    @property
    def stopped(self) -> Path:
        """At which step a number was not finite, and which; not there otherwise."""
        return self.path / "stopped.json"

    @property
    def resolved(self) -> Path:
        """The resolved recipe; a folder with this file is a run folder."""
        return self.path / "resolved.toml"

    @property
    def images(self) -> Path:
        """The list of the image files, if the images are files."""
        return self.path / "images.json.gz"

    def claim(self, *, differences: Callable[[Mapping[str, Any]], list[str]]) -> dict[str, Any] | None:
        """The resolved recipe of this very run, if the folder holds it already; RunFolderError if it holds something else.

        `differences` compares the resolved recipe that lies here with the one that is about to run.
        """
        if not self.path.exists():
            return None
        if not self.resolved.exists():
            # A run that was killed while it made its folder leaves a recipe.toml, and files that begin with a dot, as its lock.
            if any(path.name != "recipe.toml" and not path.name.startswith(".") for path in self.path.iterdir()):
                raise RunFolderError(f"{self.path}: is not empty and no run of sslkit. Name another folder with -o FOLDER.")
            return None
        theirs = self.read_resolved()
        if differing := differences(theirs):
            shown = "\n".join(f"  {line}" for line in differing)
            # Where another version wrote it, what differs may be its defaults, which the user never wrote.
            other = f"{self.resolved}: {sentence}\n" if (sentence := other_versions(theirs)) else ""
            raise RunFolderError(
                f"{self.path}: holds a run of another recipe:\n{shown}\n{other}"
                f"Go on from its newest checkpoint with this recipe, beside it, with --fork; start anew beside it with "
                f"--fresh; or name another folder with -o FOLDER."
            )
        return theirs

    def beside(self) -> RunFolder:
        """The first of NAME, NAME-2, NAME-3, ... that does not exist."""
        number, path = 2, self.path
        while path.exists():
            path = self.path.with_name(f"{self.path.name}-{number}")
            number += 1
        return RunFolder(path)

    def create(self, *, recipe: str, resolved: str) -> None:
        """Make the folder with both forms of the recipe."""
        write(self.path / "recipe.toml", recipe.encode())
        write(self.resolved, resolved.encode())

    def append(self, name: str, record: Mapping[str, Any]) -> None:
        """Add one line to a `.jsonl` file."""
        path = self.path / name
        try:
            # A link would lead anywhere; what is at its end is not ours to add to.
            handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
            with os.fdopen(handle, "a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
        except OSError as error:
            why = "it is a link, which is not followed" if path.is_symlink() else error.strerror
            raise ResourceError(f"{path}: can't be written: {why}.") from error

    def truncate(self, name: str, *, step: int) -> None:
        """Drop the lines of a `.jsonl` file that were written after a step, and a line that was cut off."""
        path = self.path / name
        if path.exists():
            try:
                text = bounded.read(path, most=MOST_LINES, what="such a file").decode("utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise RunFolderError(f"{path}: can't be read: {_why(error)}.") from error
            kept = [line for line in text.splitlines() if _step_of(line) <= step]
            write(path, "".join(f"{line}\n" for line in kept).encode())

    def write_results(self, results: Sequence[Mapping[str, Any]], *, finished: bool, unreadable: Sequence[str] = ()) -> None:
        """Write results.json whole; of images that can't be read, those stay in it that it has already."""
        known = sorted({*self.read_unreadable(), *unreadable})
        content = {"finished": finished, "results": list(results), "unreadable": known}
        write(self.results, (json.dumps(content, indent=1) + "\n").encode())

    def read_resolved(self) -> dict[str, Any]:
        """The resolved recipe, whatever version wrote it; UserError if it can't be read or is not TOML."""
        try:
            text = bounded.read(self.resolved, most=toml.MOST_BYTES, what="a recipe").decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RunFolderError(f"{self.resolved}: can't be read: {_why(error)}.") from error
        return toml.parse(text, source=str(self.resolved))[0]

    def read_results(self) -> tuple[list[dict[str, Any]], bool]:
        """The results written so far, and whether the run is finished.

        Raises:
            RunFolderError: the file is damaged, or another version wrote it in a form that this one can't use.
        """
        content = self._read()
        return content["results"], content["finished"]

    def read_unreadable(self) -> list[str]:
        """Of each image that was skipped so far, why."""
        return [*self._read().get("unreadable", [])]

    def _read(self) -> dict[str, Any]:
        """The content of results.json, if it is of the form that is written today."""
        if not self.results.exists():
            return {"results": [], "finished": False}
        try:
            content = json_text.parse(bounded.read(self.results, most=MOST_RESULTS, what="it"), most_pieces=PIECES)
            complaint = complaint_of(content)
        except OSError as error:
            complaint = _why(error)
        except ValueError as error:  # what is no UTF-8 is one as well
            complaint = f"no JSON, {error}"
        if complaint:
            raise RunFolderError(f"{self.results}: can't be read: {complaint}. {origin(self.path)}")
        return dict(content)

    def tidy(self) -> None:
        """Remove what a killed write left beside its place; nothing reads it."""
        for place in self._inside():
            refuse_link(place)
        for place in (self.path, *self._inside()):
            for path in temporary(place):
                path.unlink()

    def _inside(self) -> tuple[Path, ...]:
        """The folders in it where old files are deleted."""
        return self.checkpoints, self.path / "evaluations", self.path / "features"

    def probe(self) -> None:
        """Fail now rather than after hours: the folder can be made and written to, and none in it leads away."""
        for place in self._inside():
            refuse_link(place)
        self.path.mkdir(parents=True, exist_ok=True)
        write(self.path / ".probe", b"sslkit")
        (self.path / ".probe").unlink()


def existing(folder: Path) -> RunFolder:
    """A folder that holds a run; UserError, with the nearest one that does, if it holds none."""
    run = RunFolder(folder)
    if run.resolved.exists():
        return run
    if folder.exists():
        raise UserError(f"{folder}: is no run folder; it has no resolved.toml.")
    if (Path("runs") / folder / "resolved.toml").exists():
        raise UserError(f"{folder}: there is no such run folder. Did you mean {str(Path('runs') / folder)!r}?")
    beside = [resolved.parent.name for resolved in folder.parent.glob("*/resolved.toml")]
    near = did_you_mean(folder.name, beside) or f" Run folders in {folder.parent}: {listed(beside)}."
    raise UserError(f"{folder}: there is no such run folder.{near}")


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return float("inf")


def _why(error: OSError | UnicodeDecodeError) -> str:
    return str(error.strerror) if isinstance(error, OSError) else f"it is not UTF-8 text (byte {error.start})"
