"""The life of a run: its folder is claimed, what lies there is taken up, it trains, and it ends for all ranks alike."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sslkit import forking
from sslkit.distributed.agreement import led, refuse_differences, together
from sslkit.distributed.ranks import group, is_leader
from sslkit.errors import NonFiniteError, OtherRankFailed, Stopped
from sslkit.fingerprint import refuse_other_files, remember
from sslkit.folder import RunFolder
from sslkit.lock import locked
from sslkit.progress import Reporter, reporter
from sslkit.recipe import Recipe
from sslkit.resources import explained
from sslkit.running import Run
from sslkit.signals import StopRequest, stop_request
from sslkit.terminal import Terminal


def run(
    recipe: Recipe,
    folder: Path,
    *,
    report: Reporter | None = None,
    text: str | None = None,
    fresh: bool = False,
    fork: bool = False,
) -> RunFolder:
    """Train a recipe in a run folder, or go on with it, and evaluate the encoder.

    In processes that torchrun started this is called in each of them; rank 0 writes the folder and speaks to people.

    Args:
        recipe: what to do.
        folder: the run folder; an unfinished run of the same recipe in it is continued.
        report: where progress is shown; by default on the terminal.
        text: the recipe as the user wrote it, kept beside the resolved one; by default written anew.
        fresh: start anew beside a folder that exists.
        fork: go on beside it from its newest checkpoint, with a recipe that differs (`sslkit.forking`).

    Raises:
        UserError: the data, a component or the folder can't be used; raised before anything is written.
        Stopped: somebody asked to stop; all is saved. Preempted, which is one, where SIGTERM or SIGUSR1 asked.
    """
    with group(), ExitStack() as held:
        report = (reporter(Terminal()) if report is None else report) if is_leader() else reporter(Terminal(quiet=True))
        target = RunFolder(Path(led(lambda: str(forking.destination(RunFolder(folder), recipe, fresh=fresh, fork=fork).path))))
        led(lambda: held.enter_context(locked(target.path, say=report.say)))
        before = led(lambda: target.claim(differences=recipe.differences))
        finished = before is not None and led(lambda: target.read_results()[1])
        if before is not None and finished and recipe.same_evaluations(before):
            report.say(f"{target.path}: this run is complete. --fresh starts it anew beside it.")
            return target
        with _ending(target, fresh=fresh) as stop:
            with together(), stop.at_once():
                work = Run(recipe, target, report=report, stop=stop)
            refuse_other_files(work.images)
            refuse_differences(work.about(), advice="All ranks have to see the same recipe, images and versions.")
            work.take_up(before, source=RunFolder(folder) if fork else None)
            written = recipe.to_toml() if text is None else text
            led(lambda: target.create(recipe=written, resolved=work.resolved()))
            led(lambda: remember(target, work.images))
            if finished:
                report.say(f"{target.path}: the training is complete, and its evaluations have changed.")
            with explained(target):
                work.complete()
        return target


@contextmanager
def _ending(folder: RunFolder, *, fresh: bool) -> Iterator[StopRequest]:
    """The stop that a run can be asked for; what ends all ranks alike is told by the leader, with what to do then."""
    with stop_request() as stop:
        try:
            yield stop
        except (Stopped, NonFiniteError) as error:
            if not is_leader():
                raise OtherRankFailed("", exit_status=error.exit_status) from None
            if isinstance(error, NonFiniteError):
                raise
            done = f"and saved in {folder.path}" if folder.last else "before there was anything to save"
            how = f"-o {folder.path}, without --fresh, goes on from there" if fresh else "The same command goes on from there"
            raise type(error)(f"stopped, {done}. {how}.") from None
