"""The contact sheet: the very views of training, what was applied to them, and the command that draws it."""

import numpy as np
import pytest
from PIL import Image
from small import TEXT, recipe_file, sslkit

from sslkit import build, sheet
from sslkit.datasets.shapes import Shapes
from sslkit.datasets.subset import Subset
from sslkit.draws import Draw
from sslkit.errors import UserError
from sslkit.loader import Loader, Plan
from sslkit.recipe import Recipe


@pytest.fixture
def recipe():
    return Recipe.parse(TEXT)


@pytest.fixture
def images():
    return Shapes("train", num_images=60, size=12)


def loader_of(recipe, images):
    settings = recipe.train
    return Loader(
        images, [build.view(view) for view in recipe.views], plan=Plan(len(images), settings.batch_size, settings.seed)
    )


def test_they_are_the_views_of_training(recipe, images):
    loader = loader_of(recipe, images)
    per_epoch = loader.plan.batches_per_epoch
    for step, batch in enumerate(loader.batches(0, 2 * per_epoch)):
        again = loader.views_of(batch.indices.numpy(), epoch=step // per_epoch)
        assert all(np.array_equal(view.permute(0, 2, 3, 1), other) for view, other in zip(batch.views, again, strict=True))


def test_what_is_said_to_be_applied_is(recipe, images):
    """A flip that is named has flipped: without it the view is its mirror image."""
    loader = loader_of(recipe, images)
    plain = loader_of(Recipe.parse(TEXT, overrides=["augmentations.1.p=0.0"]), images)
    indices = np.arange(20)
    for number in range(2):
        named = ["horizontal_flip" in names for names in sheet.applied(loader, number, indices, epoch=3)]
        flipped, unflipped = loader.views_of(indices, epoch=3)[number], plain.views_of(indices, epoch=3)[number]
        assert 3 < sum(named) < 17
        for one, other, said in zip(flipped, unflipped, named, strict=True):
            assert np.abs(one - (other[:, ::-1] if said else other)).max() < 1e-5


NESTED = TEXT.replace(
    '{ name = "color_distortion" }',
    """{ name = "one_of", p = 0.8, weights = [1, 2], operations = [
    { name = "solarize", p = 0.7, threshold = 0.3 },
    { name = "all_of", in_order = "random", operations = [{ name = "posterize", bits = 1, p = 1.0 }, { name = "equalize", p = 0.6 }] },
  ] }""",
)


def test_what_is_said_to_be_taken_inside_of_a_list_is(images):
    """What is named, applied by hand in the order in which it is named, gives the view."""
    recipe = Recipe.parse(NESTED)
    loader, indices = loader_of(recipe, images), np.arange(40)
    plain = loader_of(Recipe.parse(NESTED, overrides=["augmentations.2.p=0.0", "augmentations.1.p=0.0"]), images)
    one_of = loader.views[1].operations[1].apply
    solarize, all_of = (operation.apply for operation in one_of.operations)
    posterize, equalize = (operation.apply for operation in all_of.operations)
    apply = {
        "horizontal_flip": lambda image, _: np.ascontiguousarray(image[:, :, ::-1]),
        "solarize": solarize,
        "posterize": posterize,
        "equalize": equalize,
    }
    named = list(sheet.applied(loader, 1, indices, epoch=3))
    for row, (view, image) in enumerate(zip(*(one.views_of(indices, epoch=3)[1] for one in (loader, plain)), strict=True)):
        image = image[None].copy()
        for name in named[row]:
            image = apply[name](image, Draw(indices[row : row + 1], 0))  # none of them draws anything
        assert np.abs(view - image[0]).max() < 1e-6, named[row]
    found = {tuple(name for name in names if name != "horizontal_flip") for names in named}
    assert found == {(), ("solarize",), ("posterize",), ("posterize", "equalize"), ("equalize", "posterize")}


def test_a_cell_shows_its_view(recipe, images):
    """The picture of a 12 pixel view has its pixels, eleven times enlarged, somewhere."""
    picture = np.asarray(sheet.sheet(recipe, images, samples=[7], epoch=2))
    view = loader_of(recipe, images).views_of(np.array([7]), epoch=2)[1][0]
    shown = np.rint(255 * view).astype(np.uint8).repeat(11, axis=0).repeat(11, axis=1)
    height, width = picture.shape[:2]
    places = [(y, x) for y in range(height - 131) for x in range(width - 131) if (picture[y, x] == shown[0, 0]).all()]
    assert any(np.array_equal(picture[y : y + 132, x : x + 132], shown) for y, x in places)


def test_a_comparison_has_a_row_an_operation(recipe, images):
    both = Recipe.parse(
        TEXT.replace("augmentations = [", "views = [{ count = 2, augmentations = [").replace("\n]\n", "\n] }]\n", 1)
    )
    assert both.views == recipe.views
    picture = sheet.comparison(recipe, images, sample=3)
    assert 3 <= picture.height / 165 < 4  # crop, flip, colour: what two views share is drawn once
    assert picture.size == sheet.comparison(both, images, sample=3).size


CROP = '{{ name = "random_resized_crop", size = {} }}'
DIFFERENT = f"""[[views]]
augmentations = [{CROP.format(16)}, {{ name = "horizontal_flip" }}, {{ name = "gaussian_blur", p = 1.0 }}]
[[views]]
augmentations = [{CROP.format(16)}, {{ name = "horizontal_flip" }}, {{ name = "gaussian_blur", p = 0.1 }}]
[[views]]
count = 2
augmentations = [{CROP.format(8)}, {{ name = "horizontal_flip" }}]
"""


def test_a_row_of_a_comparison_says_where_its_operation_stands(recipe, images, monkeypatch):
    told = []

    def drawn(rows, _):
        told.extend(row[0].caption for row in rows)
        return Image.new("RGB", (1, 1))

    monkeypatch.setattr(sheet, "drawn", drawn)
    sheet.comparison(recipe, images)
    assert told == ["random_resized_crop", "horizontal_flip", "color_distortion"]  # the views have the same list
    told.clear()
    before, after = TEXT[: TEXT.index("augmentations")], TEXT[TEXT.index("[data]") :]
    sheet.comparison(Recipe.parse(before + DIFFERENT + after), images)
    assert told == [
        "random_resized_crop, views 1 and 2, 16 pixels",
        "horizontal_flip, p 0.5 in views 1 to 4, 16 pixels",
        "gaussian_blur, p 1 in view 1, p 0.1 in view 2, 16 pixels",
        "random_resized_crop, views 3 and 4, 8 pixels",
    ]


@pytest.mark.parametrize("sample", [-1, 60])
def test_a_sample_that_is_not_there(recipe, sample):
    images = Subset(Shapes("train", num_images=100, size=12), np.arange(60))
    for draw in (
        lambda: sheet.sheet(recipe, images, samples=[sample]),
        lambda: sheet.comparison(recipe, images, sample=sample),
    ):
        with pytest.raises(UserError, match=f"--sample: must be from 0 to 59, as there are 60 images, is {sample}"):
            draw()


def test_the_command(tmp_path):
    recipe = recipe_file(tmp_path)
    assert "views.png: " in sslkit("views", recipe, "--sample", "3", "--sample", "5", "--epoch", "2", cwd=tmp_path).stdout
    sslkit("views", recipe, "--compare", "--smoke", "-o", "compared.png", cwd=tmp_path)
    for name in ("views.png", "compared.png"):
        with Image.open(tmp_path / name) as picture:
            assert picture.format == "PNG"
            assert min(picture.size) > 200
    for wrong, says in (
        (["-o", "views.jpg"], "must end in .png"),
        (["--sample", "60"], "must be from 0 to 59"),
        (["--compare", "--sample", "1", "--sample", "2"], "give one"),
        (["--epoch", "-1"], "epoch"),
    ):
        assert says in sslkit("views", recipe, *wrong, cwd=tmp_path, check=2).stderr
    grey = sslkit("views", recipe, "--set", "data.channels=1", "-o", "grey.png", cwd=tmp_path)
    assert "grey.png" in grey.stdout
