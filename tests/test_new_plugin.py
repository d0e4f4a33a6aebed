"""A new package: whatever its kind, its tests are green and its recipe runs before its author has changed a word."""

import re
from pathlib import Path

import pytest
from new_packages import assert_green, installed
from small import sslkit

from sslkit.errors import ResourceError, UserError
from sslkit.new_plugin.files import write_package
from sslkit.new_plugin.names import names_from
from sslkit.registry import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_its_tests_are_green_and_its_recipe_runs(tmp_path, kind):
    write_package("my-first", kind=kind, place=tmp_path)
    folder = tmp_path / "sslkit-my-first"
    environment = installed(folder)
    assert_green(folder, environment)
    shorter = ["data.num_images=300", "train.batch_size=64", "train.epochs=2"]
    overrides = [word for one in shorter for word in ("--set", one)]
    done = sslkit("run", "recipes/my_first.toml", *overrides, cwd=folder, env=environment)
    assert "knn_top1" in done.stdout
    assert 'sslkit-my-first = "0.1.0"' in (folder / "runs/my_first/resolved.toml").read_text()
    if kind == "evaluations":
        assert "my_first_top1" in done.stdout
    if kind == "trackers":
        assert "loss" in (folder / "runs/my_first/my_first.txt").read_text()


def test_a_file_of_the_package_says_its_names_and_none_of_ours(tmp_path):
    files = write_package("my-first", kind="losses", place=tmp_path)
    assert len(files) == 8
    for file in files:
        assert "Mine" not in file.read_text(), file
        assert "MINE" not in file.read_text(), file


@pytest.mark.parametrize("word", ["my-loss", "my_loss", "sslkit-my-loss", "sslkit_my_loss"])
def test_names_from_a_word(word):
    assert names_from(word, "losses") == ("sslkit-my-loss", "sslkit_my_loss", "MyLoss", "my_loss")


@pytest.mark.parametrize(
    ("word", "kind", "told"),
    [
        (
            "MyLoss",
            "losses",
            "NAME: 'MyLoss': write it in small letters, digits and '-', beginning with a letter. Did you mean 'my-loss'?",
        ),
        ("../x", "losses", "NAME: '../x'"),
        ("", "losses", "NAME: ''"),
        ("3d", "losses", "NAME: '3d'"),
        ("nt-xent", "losses", "NAME: the loss 'nt_xent' is there already, from sslkit."),
        ("mine", "loses", "--kind: no kind of component is called 'loses'. Did you mean 'losses'?"),
    ],
)
def test_words_that_will_not_do(tmp_path, word, kind, told):
    with pytest.raises(UserError) as caught:
        write_package(word, kind=kind, place=tmp_path)
    assert str(caught.value).startswith(told)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_stays(tmp_path):
    (tmp_path / "sslkit-mine").mkdir()
    with pytest.raises(UserError, match="sslkit-mine: is there already, and stays as it is"):
        write_package("mine", kind="losses", place=tmp_path)
    assert list((tmp_path / "sslkit-mine").iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="can't be written"):
        write_package("mine", kind="losses", place=tmp_path / "file")


def test_the_command_says_what_it_wrote_and_what_is_next(tmp_path):
    done = sslkit("new-plugin", "mine", "--kind", "heads", "-o", "there", cwd=tmp_path)
    assert "there/sslkit-mine/pyproject.toml" in done.stdout
    assert 'Next: cd there/sslkit-mine && pip install -e ".[test]" && pytest' in done.stdout


def test_the_tutorial_is_true(tmp_path):
    """Its commands and files, in its order, as they stand on the page."""
    page = (Path(__file__).parents[1] / "docs/plugin.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"<!-- tutorial: (\w+) -->\n```python\n(.*?)```", page, re.DOTALL))
    done = sslkit("new-plugin", "align-uniform", "--kind", "losses", cwd=tmp_path)
    listed = re.search(r"writes\n\n```text\n(.*?)```", page, re.DOTALL)[1]
    assert done.stdout.startswith(listed)
    folder = tmp_path / "sslkit-align-uniform"
    assert (folder / "tests/test_align_uniform.py").read_text().endswith(shown["test"])
    (folder / "sslkit_align_uniform.py").write_text(shown["module"])
    environment = installed(folder)
    assert_green(folder, environment)
    few = ["--set", "data.num_images=300", "--set", "train.batch_size=64", "--set", "train.epochs=2"]
    for more in ([], ["--set", "loss.t=3", "-o", "runs/steeper"]):
        sslkit("run", "recipes/align_uniform.toml", *few, *more, cwd=folder, env=environment)
    assert "loss.t" in sslkit("compare", "runs/align_uniform", "runs/steeper", cwd=folder, env=environment).stdout
    assert "weight" in sslkit("describe", "losses", "align_uniform", cwd=folder, env=environment).stdout
    verified = sslkit("plugins", "--verify", cwd=folder, env=environment).stdout
    assert re.search(r"sslkit-align-uniform 0.1.0 .* fine", verified)
