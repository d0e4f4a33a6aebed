"""The README's lines are run as they stand."""

import re
from pathlib import Path

import cv2
import numpy as np
from small import TEXT, recipe_file, sslkit

from sslkit import toml
from sslkit.recipe import Recipe
from sslkit.registry import registry_of

README = Path(__file__).parents[1] / "README.md"


def block(name):
    found = re.search(rf"<!-- run: {name} -->\n```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert found, name
    return found[1]


def test_the_pipeline_without_a_recipe(capsys):
    code = block("pipeline")
    assert len([line for line in code.splitlines() if line.strip()]) <= 20
    exec(compile(code, "README", "exec"), {})
    assert 0.1 < float(capsys.readouterr().out) <= 1


def test_a_loss_in_five_lines():
    code = block("loss")
    assert len([line for line in code.split("import sslkit")[1].splitlines() if line.strip()]) <= 5
    try:
        exec(compile(code, "README", "exec"), {"__name__": "notebook"})
        assert Recipe.parse(TEXT.replace('"nt_xent", temperature = 0.2', '"alignment"')).loss.name == "alignment"
    finally:
        registry_of("losses")._registered.clear()


def test_load_encoder(tmp_path, monkeypatch):
    sslkit("run", recipe_file(tmp_path), "-o", "runs/mine", "--set", "train.epochs=2", cwd=tmp_path)
    cv2.imwrite(str(tmp_path / "shoe.jpg"), np.zeros((40, 30, 3), np.uint8))
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(block("load_encoder"), "README", "exec"), names)
    assert names["h"].shape == (1, names["encoder"].out_dim)


def test_the_recipe_shown_is_the_one_that_is_shipped():
    shown = re.search(r"## Recipes\n\n```toml\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    shipped = (README.parent / "recipes" / "simclr_r50.toml").read_text(encoding="utf-8")
    assert shown[1] in shipped


def test_no_dependency_beyond_those_promised():
    project = toml.parse((README.parent / "pyproject.toml").read_text(encoding="utf-8"))[0]["project"]
    names = {re.split(r"[^A-Za-z0-9-]", line)[0] for line in project["dependencies"]}
    assert names == {
        "torch", "torchvision", "numpy", "pydantic", "entrypoints", "rich", "typer", "faiss-cpu", "opencv-python-headless",
        "safetensors", "jaxtyping", "tomli", "pillow", "packaging",
    }  # fmt: skip
