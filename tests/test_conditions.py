"""A run that goes on under other conditions says which, and its folder remembers; a package that is gone is named."""

import importlib.metadata
import io
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from rich.console import Console
from small import TEXT, recipe_file, sslkit

from sslkit import conditions, toml
from sslkit.errors import RecipeError
from sslkit.origin import with_absent
from sslkit.progress import Lines
from sslkit.recipe import Recipe
from sslkit.run import run

SHORT = TEXT[: TEXT.index("[[evaluate]]")]
VOID = "the run goes on, but no longer bit for bit as if it had never stopped."


def start(folder, *overrides):
    said = io.StringIO()
    run(Recipe.parse(SHORT, name="small", overrides=overrides), folder, report=Lines(Console(file=said, width=500)))
    return said.getvalue()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("conditions") / "run"
    start(folder)
    return folder


@pytest.fixture
def halfway(whole, tmp_path):
    folder = shutil.copytree(whole, tmp_path / "run")
    (folder / "results.json").unlink()
    (folder / "checkpoints/step_0000009.safetensors").unlink()
    return folder


def resolved(folder):
    return toml.parse((folder / "resolved.toml").read_text())[0]["resolved"]


def rewrite(folder, **values):
    path = folder / "resolved.toml"
    text = path.read_text()
    for key, value in values.items():
        text, count = re.subn(rf"(?m)^{key} = .*$", f"{key} = {value}", text)
        assert count == 1, key
    path.write_text(text)


def test_what_is_recorded(whole):
    found = resolved(whole)
    assert found["machine"] == {
        "device": "cuda" if torch.cuda.is_available() else "cpu",
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "processes": 1,
    }
    libraries = {"torch": torch.__version__, "numpy": np.__version__, "opencv": cv2.__version__}
    assert libraries.items() <= found["versions"].items()
    assert "changes" not in found


def test_under_the_same_conditions_nothing_is_said(halfway):
    said = start(halfway)
    assert "goes on after step 6 of 9" in said
    assert "bit for bit" not in said
    assert "changes" not in resolved(halfway)


@pytest.mark.fault(
    "another version, processor, number of threads or of processes at a resume",
    injected="other values in the run's record",
    expected="one sentence for each, and the run goes on",
    theme="process",
)
def test_each_change_is_one_sentence_and_is_remembered(halfway):
    now = resolved(halfway)
    threads, version = now["machine"]["threads"], now["versions"]["torch"]
    rewrite(halfway, threads=7, processes=3, cpu='"Z80"', torch='"0.4"', sslkit='"0.0.9"')
    said = [line for line in start(halfway).splitlines() if VOID in line]
    assert said == [
        f"{halfway}: sslkit was 0.0.9 and is {now['versions']['sslkit']} now: {VOID}",
        f"{halfway}: torch was 0.4 and is {version} now: {VOID}",
        f"{halfway}: the instruction set of torch's kernels on this CPU was Z80 and is {now['machine']['cpu']} now: {VOID}",
        f"{halfway}: the number of torch's threads (OMP_NUM_THREADS) was 7 and is {threads} now: {VOID}",
        f"{halfway}: the number of processes that train was 3 and is 1 now: {VOID}",
    ]
    after = resolved(halfway)
    assert after["machine"] == now["machine"]
    assert len(after["changes"]) == 5
    assert f"after step 6: threads 7 -> {threads}" in after["changes"]
    assert VOID not in start(halfway)  # finished
    (halfway / "results.json").unlink()
    assert VOID not in start(halfway)
    assert resolved(halfway)["changes"] == after["changes"]


def test_the_device_and_the_precision_count_too(halfway):
    rewrite(halfway, device='"NVIDIA H100"')
    path = halfway / "resolved.toml"
    recipe, mark, derived = path.read_text().rpartition("[resolved]")
    path.write_text(recipe + mark + derived.replace('precision = "fp32"', 'precision = "bf16"'))
    said = start(halfway)
    assert "the device was NVIDIA H100 and is " in said
    assert "the precision that is computed in was bf16 and is fp32 now" in said


def test_no_step_of_it_under_other_conditions_no_word(halfway):
    """Before the first checkpoint all is computed anew, and after the last nothing is."""
    rewrite(halfway, threads=7)
    shutil.rmtree(halfway / "checkpoints")
    assert VOID not in start(halfway)
    rewrite(halfway, threads=7)
    (halfway / "results.json").unlink()
    assert VOID not in start(halfway)


def test_what_an_older_version_did_not_record_is_no_change():
    now = {"precision": "fp32", "versions": {"torch": "2"}, "machine": {"threads": 1}}
    assert conditions.changes({}, now) == {}
    assert conditions.changes({"versions": {"torch": "1"}, "machine": 3}, now) == {"versions.torch": ("1", "2")}
    assert conditions.changes({"versions": {"plugin": "1"}}, now) == {}  # a tracker that the recipe no longer names
    said = []
    assert conditions.noted(Path("x"), {"changes": ["earlier"], "precision": "bf16"}, now, step=3, say=said.append) == {
        "changes": ["earlier", "after step 3: precision bf16 -> fp32"]
    }
    assert len(said) == 1


ABSENT = (
    'This run was made with sslkit-hinge 1.0, not installed now. Bring back what is missing: pip install "sslkit-hinge==1.0".'
)


@pytest.mark.fault(
    "a plugin that is gone at a resume",
    injected="a package in the record that is not installed",
    expected="named with its version",
    theme="plugins",
)
def test_a_plugin_that_is_gone_is_named_with_its_version(halfway, tmp_path):
    path = halfway / "resolved.toml"
    path.write_text(path.read_text().replace("[resolved.versions]\n", '[resolved.versions]\nsslkit-hinge = "1.0"\n'))
    before = path.read_bytes()
    recipe = recipe_file(tmp_path, SHORT.replace('{ name = "nt_xent", temperature = 0.2 }', '{ name = "hinge" }'))
    done = sslkit("run", recipe, "-o", halfway, cwd=tmp_path, check=2)
    assert "loss.name: no loss is called 'hinge'." in done.stderr
    assert f"{path}: {ABSENT}" in done.stderr
    assert path.read_bytes() == before
    (tmp_path / "runs").mkdir()
    shutil.copytree(halfway, tmp_path / "runs" / "small")  # where a run lies that names no folder
    assert ABSENT in sslkit("run", recipe, cwd=tmp_path, check=2).stderr
    elsewhere = sslkit("run", recipe, "-o", "elsewhere", cwd=tmp_path, check=2).stderr
    assert "no loss is called 'hinge'" in elsewhere
    assert "pip install" not in elsewhere


def test_packages_that_are_there_are_not_named(whole, monkeypatch):
    error = RecipeError([])
    assert with_absent(error, whole) is error
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "2")
    assert with_absent(error, whole / "nowhere") is error
