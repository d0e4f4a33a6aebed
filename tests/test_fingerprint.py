"""A run goes on with the images that it began with; where they are others it says which, and how many."""

import gzip
import io
import os
import shutil

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from small import TEXT

from sslkit import fingerprint, toml
from sslkit.datasets.image_folder import ImageFolder
from sslkit.datasets.inventory import inventory_of
from sslkit.datasets.shapes import Shapes
from sslkit.datasets.subset import Subset
from sslkit.errors import RunFolderError
from sslkit.fingerprint import changes, refuse_other_images, remember
from sslkit.folder import RunFolder
from sslkit.progress import Lines
from sslkit.recipe import Recipe
from sslkit.run import run

NUMBER = 12


def photo(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(256, size=(12, 12, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, format="bmp")  # all of one size, as files that are not compressed are


def photos(root):
    for i in range(NUMBER):
        photo(root / "train" / f"class{i % 2}" / f"{i:02}.bmp", i)
    return root


def recipe(root, *overrides):
    data = f'data={{ name = "image_folder", root = "{root}" }}'
    few = ["train.epochs=2", "train.batch_size=4", "train.warmup_epochs=0", "evaluate=[]"]
    return Recipe.parse(TEXT, name="small", overrides=[data, *few, *overrides])


def start(root, folder, *overrides):
    return run(recipe(root, *overrides), folder, report=Lines(Console(file=io.StringIO())))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Images and a run on them, as if it had been stopped before its end."""
    place = tmp_path_factory.mktemp("photos")
    start(photos(place / "data"), place / "run")
    (place / "run" / "results.json").unlink()
    return place


@pytest.fixture
def place(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "here")
    (tmp_path / "here" / "run").rename(tmp_path / "run")
    (tmp_path / "here" / "data").rename(tmp_path / "data")
    text = (tmp_path / "run" / "resolved.toml").read_text()
    (tmp_path / "run" / "resolved.toml").write_text(text.replace(str(trained / "data"), str(tmp_path / "data")))
    return tmp_path


def refusal(place):
    before = {path.name: path.read_bytes() for path in (place / "run").iterdir() if path.is_file()}
    with pytest.raises(RunFolderError) as caught:
        start(place / "data", place / "run")
    assert {path.name: path.read_bytes() for path in (place / "run").iterdir() if path.is_file()} == before
    return str(caught.value)


@pytest.mark.fault(
    "dates of files changed",
    injected="other times set",
    expected="the run goes on: nothing depends on dates",
    theme="process",
)
def test_the_same_images_go_on_whatever_their_dates(place):
    for path in (place / "data").rglob("*.bmp"):
        os.utime(path, (0, 0))
    assert start(place / "data", place / "run").read_results()[1]


def test_what_is_kept(trained, place):
    resolved = toml.parse((trained / "run" / "resolved.toml").read_text())[0]["resolved"]
    found = fingerprint.fingerprint(ImageFolder("train", root=trained / "data"), labelled=False)
    assert (resolved["num_images"], resolved["images"]) == (NUMBER, found.digest)
    size = (trained / "data/train/class0/00.bmp").stat().st_size
    assert list(found.files().items())[:2] == [("class0/00.bmp", size), ("class0/02.bmp", size)]
    again = fingerprint.fingerprint(ImageFolder("train", root=place / "data"), labelled=False)  # in another folder
    assert again.digest == found.digest
    (place / "run" / "images.json.gz").unlink()
    start(place / "data", place / "run")
    assert (place / "run" / "images.json.gz").read_bytes() == (trained / "run" / "images.json.gz").read_bytes()


@pytest.mark.fault(
    "images were added or removed between two starts",
    injected="files written and deleted",
    expected="refused, with their number and names",
    theme="data",
)
def test_added_and_removed_files_are_counted_and_named(place):
    train = place / "data" / "train"
    for i in range(5):
        photo(train / "class0" / f"new{i}.bmp", i)
    (train / "class1" / "03.bmp").unlink()
    found = refusal(place)
    assert f"{place / 'run'}: this run began with 12 images, and there are 16 now:\n" in found
    assert "\n  added: 5, 'class0/new0.bmp', 'class0/new1.bmp', 'class0/new2.bmp', ...\n" in found
    assert "\n  removed: 1, 'class1/03.bmp'\n" in found
    assert "another size" not in found
    assert "order" not in found
    assert "Bring back what was there; or" in found
    assert "--fork" in found
    assert "--fresh" in found


@pytest.mark.fault(
    "an image was replaced by another one between two starts",
    injected="a file of another size",
    expected="refused, with its name",
    theme="data",
)
def test_a_file_of_another_size_is_named(place):
    path = place / "data" / "train" / "class1" / "05.bmp"
    path.write_bytes(path.read_bytes() + b"\0")
    found = refusal(place)
    assert "the images are not those that this run began with:\n  of another size: 1, 'class1/05.bmp'\n" in found


def test_a_file_of_the_same_name_and_size_is_noticed_if_it_is_among_those_opened(place):
    photo(place / "data" / "train" / "class0" / "00.bmp", 99)
    assert "names and sizes are the same, but not the bytes of some" in refusal(place)


def test_a_folder_without_the_list_or_with_a_damaged_one_names_no_file(place):
    (place / "data" / "train" / "class0" / "00.bmp").unlink()
    for damage in (b"", b"no gzip", gzip.compress(b"{"), gzip.compress(b'{"names": [1]}'), gzip.compress(b"[[]]")):
        (place / "run" / "images.json.gz").write_bytes(damage)
        assert "this run began with 12 images, and there are 11 now.\nBring" in refusal(place)
    (place / "run" / "images.json.gz").unlink()
    assert "this run began with 12 images, and there are 11 now.\nBring" in refusal(place)


def test_a_folder_of_the_first_release_knows_their_number_alone(place):
    path = place / "run" / "resolved.toml"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith("images = ")))
    (place / "run" / "images.json.gz").unlink()
    start(place / "data", place / "run")
    assert "\nimages = " in path.read_text()
    assert (place / "run" / "images.json.gz").exists()


def test_with_a_limit_only_the_images_that_it_takes_count(tmp_path):
    root = photos(tmp_path / "data")
    rows = np.array([3, 5])
    whole = ImageFolder("train", root=root)
    before = fingerprint.fingerprint(Subset(whole, rows), labelled=False)
    assert list(before.files()) == ["class0/06.bmp", "class0/10.bmp"]
    photo(root / "train" / "class0" / "00.bmp", 99)
    assert fingerprint.fingerprint(Subset(ImageFolder("train", root=root), rows), labelled=False).digest == before.digest
    photo(root / "train" / "class0" / "06.bmp", 99)
    assert fingerprint.fingerprint(Subset(ImageFolder("train", root=root), rows), labelled=False).digest != before.digest


def test_every_change_by_hand():
    before = {"a": 1, "b": 2, "c": 3, "d": 4}
    assert changes(before, dict(before)) == []
    assert changes(before, {"b": 2, "a": 1, "c": 3, "d": 4}) == ["at another place of the order: 2, 'a', 'b'"]
    assert changes(before, {"e": 1, "b": 5, "d": 4}) == ["added: 1, 'e'", "removed: 2, 'a', 'c'", "of another size: 1, 'b'"]


def test_labels_count_where_they_are_learnt():
    first, second = Shapes(num_images=20), Shapes(num_images=20)
    second.labels = second.labels[::-1].copy()
    for labelled in (False, True):
        ours, theirs = (fingerprint.fingerprint(one, labelled=labelled).digest for one in (first, second))
        assert (ours != theirs) == labelled


def test_drawn_images_are_told_by_what_they_are_drawn_from(tmp_path):
    found = fingerprint.fingerprint(Shapes(num_images=20), labelled=False)
    assert not found.is_listed
    remember(RunFolder(tmp_path), found)
    assert list(tmp_path.iterdir()) == []
    others = [
        Shapes(num_images=21),
        Shapes(num_images=20, seed=1),
        Shapes(num_images=20, size=8),
        Shapes("test", num_images=80),
    ]
    assert found.digest not in {fingerprint.fingerprint(one, labelled=False).digest for one in others}
    with pytest.raises(RunFolderError, match=r"not those that this run began with\.\nBring"):
        refuse_other_images(RunFolder(tmp_path), {"resolved": {"num_images": 20, "images": "another"}}, found)


def test_names_of_any_bytes_go_through_the_list(tmp_path):
    name = b"\xff\n\xc3\xa4.bmp"
    photo(tmp_path / "data" / "train" / "plain.bmp", 0)
    (tmp_path / "data/train/plain.bmp").rename(tmp_path / "data/train" / os.fsdecode(name))
    images = ImageFolder("train", root=tmp_path / "data")
    assert inventory_of(images).names.tolist() == [name]
    found = fingerprint.fingerprint(images, labelled=False)
    remember(RunFolder(tmp_path), found)
    assert fingerprint._read(RunFolder(tmp_path)) == found.files()


def test_of_very_many_files_the_digest_alone_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(fingerprint, "_MOST", NUMBER - 1)
    found = fingerprint.fingerprint(ImageFolder("train", root=photos(tmp_path / "data")), labelled=False)
    remember(RunFolder(tmp_path), found)
    assert not RunFolder(tmp_path).images.exists()
