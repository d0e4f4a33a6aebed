"""Examination: the probes in the order of the report, each where it can do no harm, and what they found."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial
from importlib import import_module
from typing import IO, NamedTuple

from sslkit import apart
from sslkit.doctor import arithmetic, offers, packages, processor, room, terminal
from sslkit.doctor.findings import Asked, Finding, error, warning
from sslkit.errors import SslkitError

Probe = Callable[[Asked], Iterable[Finding]]
_CHILD = "from sslkit.doctor.examination import answer; answer()"
_PATIENCE = 300  # seconds, after which a probe hangs


class Section(NamedTuple):
    """A part of the report: its probes by topic. What is asked for is an error if it ends the process that looks at it."""

    title: str
    probes: dict[str, Probe]
    asked_for: bool = False
    imports: bool = False  # a probe is the import of the package that it is called after
    needs_first: bool = False  # an error of the first probe makes the others pointless

    def needs(self, topic: str) -> bool:
        """Whether without this probe nothing is known of the others."""
        return self.needs_first and topic == next(iter(self.probes))


def _of_recipe(module: str, name: str) -> Probe:
    """A probe that imports torch before it can be named."""

    def probe(asked: Asked) -> Iterable[Finding]:
        found: Iterable[Finding] = getattr(import_module(f"sslkit.doctor.{module}"), name)(asked)
        return found

    return probe


# Looked at in this process: nothing but the standard library is imported.
MACHINE: dict[str, Probe] = {
    "sslkit": processor.versions,
    "system": processor.system,
    "processor": processor.processor,
    "cores": processor.cores,
    "memory": room.memory,
    "shared memory": room.shared_memory,
    "open files": room.open_files,
    "run folder": room.run_folder,
    "encoding": terminal.encoding,
}
APART = (
    Section("packages", {name: packages.imported(name) for name in packages.NEEDED}, asked_for=True, imports=True),
    Section(
        "arithmetic",
        {
            "environment": arithmetic.variables,
            "numpy's blas": arithmetic.numpy_blas,
            "torch's blas": arithmetic.torch_blas,
            "torch threads": arithmetic.torch_threads,
            "device": arithmetic.devices,
            "precision": arithmetic.precision,
            "trial": arithmetic.trial,
        },
    ),
    Section("plugins", {"plugins": offers.plugins}),
)
_RECIPE = {
    "recipe": ("recipe", "check"),
    "data": ("recipe", "data"),
    "evaluations": ("recipe", "evaluations"),
    "run folder": ("recipe", "folder"),
    "memory": ("needs", "memory"),
    "checkpoints": ("needs", "checkpoints"),
    "workers": ("needs", "workers"),
    "precision": ("needs", "precision"),
    "processes": ("needs", "processes"),
}
OF_RECIPE = Section(
    "the recipe",
    {topic: _of_recipe(*where) for topic, where in _RECIPE.items()},
    asked_for=True,
    needs_first=True,
)


def examination(asked: Asked) -> Iterator[tuple[str, list[Finding]]]:
    """The title and the findings of each section, as soon as it is looked through."""
    yield "machine", [finding for topic, probe in MACHINE.items() for finding in _found(topic, partial(probe, asked))]
    for number, section in enumerate(_sections(asked)):
        yield section.title, list(_apart(section, number, asked))


def _sections(asked: Asked) -> tuple[Section, ...]:
    return APART if asked.recipe is None else (*APART, OF_RECIPE)


def _apart(section: Section, number: int, asked: Asked) -> Iterator[Finding]:
    """What the probes of a section find in a process of their own."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        arguments = (str(number), json.dumps(asked))
        answers = apart.answers(_CHILD, *arguments, number=len(section.probes), stderr=said, patience=_PATIENCE)
        with closing(answers):
            for topic, answer in zip(section.probes, answers, strict=True):
                ended = isinstance(answer, apart.Ended)
                findings = [_ended(topic, answer, section, said)] if ended else [Finding(*one) for one in answer]
                yield from findings
                if section.needs(topic) and any(one.state == "error" for one in findings):
                    return


def answer() -> None:
    """In the process apart: the findings of each probe of a section, from one on, as lists."""
    first, number, text = sys.argv[1:]
    recipe, folder, overrides, num_processes = json.loads(text)
    asked = Asked(recipe, folder, tuple(overrides), num_processes)
    section = _sections(asked)[int(number)]
    probes = list(section.probes.items())[int(first) :]
    apart.give([[*one] for one in _found(topic, partial(probe, asked), needed=section.needs(topic))] for topic, probe in probes)


def _found(topic: str, probe: Callable[[], Iterable[Finding]], *, needed: bool = False) -> list[Finding]:
    """The findings of a probe; what sslkit refuses is an error, and what the doctor does not know a warning, unless needed."""
    found: list[Finding] = []
    try:
        found += probe()
    except SslkitError as problem:
        found.append(error(topic, str(problem)))
    except Exception as problem:
        said = " ".join(f"{type(problem).__name__}: {problem}".split())
        text, advice = f"could not be looked at: {said}", "This may be a fault of a package, or of sslkit."
        found.append(error(topic, text, advice) if needed else warning(topic, text, advice))
    return found


def _ended(topic: str, end: apart.Ended, section: Section, said: IO[str]) -> Finding:
    """What is said of a probe that ended its process."""
    if section.imports:
        return error(topic, f"{end.sentence}{_last_words(said)}", f"pip install --force-reinstall {topic}")
    killed = " (the system does that when memory runs out)" if end.cause == "SIGKILL" else ""
    text = f"could not be looked at: the process that did was ended, {end.cause}{killed}.{_last_words(said)}"
    advice = "See what is said of packages and plugins."
    return error(topic, text, advice) if section.asked_for else warning(topic, text, advice)


def _last_words(said: IO[str]) -> str:
    """The last line that a process wrote to people."""
    said.seek(0)
    lines = [line.strip() for line in said if line.strip()]
    return f" Its last words: {lines[-1]}" if lines else ""
