"""Composition: shares, addresses, one of several, all of several in an order of their own, and how recipes nest them."""

import json
import math
from typing import Annotated, Any

import jsonschema
import numpy as np
import pytest
from small import sslkit

from sslkit import build
from sslkit.augmentations.all_of import AllOf
from sslkit.augmentations.composition import addressed
from sslkit.augmentations.gaussian_blur import GaussianBlur
from sslkit.augmentations.horizontal_flip import HorizontalFlip
from sslkit.augmentations.one_of import OneOf
from sslkit.augmentations.random_resized_crop import RandomResizedCrop
from sslkit.datasets.shapes import Shapes
from sslkit.draws import Draw, Draws
from sslkit.errors import ContractError, RecipeError, UserError
from sslkit.recipe import Recipe
from sslkit.registry import registry_of
from sslkit.schema import recipe_schema
from sslkit.signatures import Sections
from sslkit.versions import versions
from sslkit.views import View, prepare

RECIPE = """
backbone  = { name = "resnet", depth = 18, width = 0.25, stem = "small" }
head      = { name = "mlp", out_dim = 16 }
loss      = { name = "nt_xent" }
optimizer = { name = "lars" }
augmentations = [
  { name = "random_resized_crop", size = 16 },
  { name = "one_of", p = 0.9, operations = [
    { name = "gaussian_blur", p = 1, kernel = 0.5 },
    { name = "all_of", in_order = "random", operations = [{ name = "horizontal_flip" }, { name = "grayscale" }] },
  ] },
]
[data]
name = "shapes"
num_images = 64
[train]
epochs = 1
batch_size = 16
base_lr = 1.0
warmup_epochs = 0
"""


class Digit:
    """Append a digit to a pixel, so that what was applied, and in which order, can be read off."""

    def __init__(self, digit: int) -> None:
        self.digit = digit

    def __call__(self, images, draw):
        assert len(images) == len(draw)
        return images * 10 + self.digit


class Uniform:
    """Write the first number drawn into the image."""

    def __call__(self, images, draw):
        return np.broadcast_to(draw.uniform().astype(np.float32)[:, None, None, None], images.shape).copy()


def zeros(n):
    return np.zeros((n, 1, 1, 1), dtype=np.float32)


def draw_of(samples, *address):
    return Draw(np.atleast_1d(samples), 0, "composition", *address)


def near(count, n, share):
    return abs(count - n * share) < 3.5 * math.sqrt(n * share * (1 - share))


def test_one_is_drawn_for_each_image_in_proportion_to_its_weight():
    n = 6000
    for weights, shares in ((None, (1 / 3, 1 / 3, 1 / 3)), ((1, 2, 5), (1 / 8, 2 / 8, 5 / 8))):
        operation = OneOf(operations=[Digit(1), Digit(2), Digit(3)], weights=weights)
        digits = operation(zeros(n), draw_of(np.arange(n))).ravel()
        assert set(digits.tolist()) == {1, 2, 3}
        assert all(near((digits == digit).sum(), n, share) for digit, share in zip((1, 2, 3), shares, strict=True))
    assert not near((digits == 1).sum(), n, 1 / 3)  # the test can fail


def test_every_order_is_as_likely():
    n = 6000
    operation = AllOf(operations=[Digit(1), Digit(2), Digit(3)], in_order="random")
    orders, counts = np.unique(operation(zeros(n), draw_of(np.arange(n))).ravel(), return_counts=True)
    assert orders.tolist() == [123, 132, 213, 231, 312, 321]
    assert ((counts - n / 6) ** 2 / (n / 6)).sum() < 20.5  # chi-square with 5 degrees: above with probability 0.001
    given = AllOf(operations=[Digit(1), Digit(2), Digit(3)])
    assert set(given(zeros(9), draw_of(np.arange(9))).ravel().tolist()) == {123}


def test_shares_inside_of_a_list_are_kept():
    n = 6000
    one = OneOf(operations=[("a", Digit(1), 0.5), ("b", Digit(2), 1.0)])
    digits = one(zeros(n), draw_of(np.arange(n))).ravel()
    assert near((digits == 0).sum(), n, 0.25)
    assert near((digits == 2).sum(), n, 0.5)
    both = AllOf(operations=[("a", Digit(1), 0.3), ("b", Digit(2), 0.5)])
    digits = both(zeros(n), draw_of(np.arange(n))).ravel()
    assert near((digits == 12).sum(), n, 0.15)  # shares are independent
    assert near((digits == 0).sum(), n, 0.35)


@pytest.mark.parametrize("outer", [OneOf, AllOf])
def test_the_same_bits_in_any_batch(outer):
    options = {"in_order": "random"} if outer is AllOf else {}
    inner = AllOf(operations=[Uniform(), ("flip", HorizontalFlip(), 0.5)], in_order="random")
    operation = outer(operations=[GaussianBlur(kernel=0.5), ("inner", inner, 0.6)], **options)
    images = np.random.default_rng(0).random((23, 9, 9, 3), dtype=np.float32)
    whole = operation(images.copy(), draw_of(np.arange(23)))
    for samples in (np.arange(23)[::-1].copy(), np.arange(5), np.array([17])):
        assert np.array_equal(operation(images[samples], draw_of(samples)), whole[samples])
    assert operation(images[:0], draw_of(np.arange(0))).shape == (0, 9, 9, 3)


def test_an_address_is_name_and_occurrence():
    listed = [Digit(1), HorizontalFlip(), ("digit", Digit(2)), ("blur", GaussianBlur(), 0.25)]
    assert [(one.address, one.p) for one in addressed(listed)] == [
        ("digit#0", 1.0),
        ("horizontal_flip#0", 0.5),
        ("digit#1", 1.0),
        ("blur#0", 0.25),
    ]


def test_numbers_inside_do_not_move_when_another_operation_is_added():
    samples = np.arange(50)
    alone = AllOf(operations=[Uniform()])(zeros(50), draw_of(samples))
    beside = AllOf(operations=[Digit(1), Uniform()], in_order="given")(zeros(50), draw_of(samples))
    assert np.array_equal(alone, beside)
    twice = AllOf(operations=[Uniform(), Uniform()])(zeros(50), draw_of(samples))
    assert not np.array_equal(alone, twice)
    assert np.array_equal(draw_of(samples).within("a", 1).uniform(), draw_of(samples).within("a", 1).uniform())
    assert not np.array_equal(draw_of(samples).within("a", 1).uniform(), draw_of(samples).within("a", 2).uniform())


def test_a_large_image_that_comes_alone_is_not_copied():
    image = np.random.default_rng(0).random((1, 32, 32, 3), dtype=np.float32)
    given = []

    class Seen:
        def __call__(self, images, draw):
            given.append(images)
            return images

    crop = RandomResizedCrop(size=32)
    View([crop, ("seen", Seen(), 0.999)]).apply(
        [(255 * image[0]).astype(np.uint8)], np.array([[0, 0, 32, 32]]), Draws(np.array([3]))
    )
    assert given[0].base is None


def test_weights_of_another_number():
    with pytest.raises(UserError, match=r"^weights: must hold 2 values, one an operation, holds 1"):
        OneOf(operations=[Digit(1), Digit(2)], weights=(1.0,))


@pytest.mark.parametrize("no_operation", ["grayscale", HorizontalFlip, ("flip",), ("flip", "grayscale"), None])
def test_what_is_no_operation(no_operation):
    for build_it in (
        lambda: View([RandomResizedCrop(size=8), no_operation]),
        lambda: OneOf(operations=[HorizontalFlip(), no_operation]),
        lambda: AllOf(operations=[no_operation]),
    ):
        with pytest.raises(ContractError, match=r"^operations: an operation is an object, like HorizontalFlip\(\)") as error:
            build_it()
        assert str(error.value).endswith(f"{no_operation!r} is none.")


@pytest.mark.parametrize("outer", [OneOf, AllOf])
def test_no_crop_stands_inside_of_a_list(outer):
    with pytest.raises(
        ContractError, match="^operations: 'random_resized_crop' is a crop: it stands at the beginning of a view"
    ):
        outer(operations=[HorizontalFlip(), RandomResizedCrop(size=8)])
    with pytest.raises(ContractError, match="^operations: must hold at least one"):
        outer(operations=[])


@pytest.mark.parametrize(
    ("operations", "held"),
    [
        ([HorizontalFlip()], "horizontal_flip"),
        ([HorizontalFlip(), RandomResizedCrop(size=8)], "horizontal_flip, random_resized_crop"),
        ([RandomResizedCrop(size=8), RandomResizedCrop(size=8)], "random_resized_crop, random_resized_crop"),
        ([], "nothing"),
    ],
)
def test_a_view_begins_with_a_crop_and_holds_no_other(operations, held):
    with pytest.raises(
        ContractError, match=r"^view: must begin with a crop, .* and hold no other one; it holds (.*)\.$"
    ) as error:
        View(operations)
    assert str(error.value).endswith(f"it holds {held}.")


def test_a_recipe_nests_them():
    recipe = Recipe.parse(RECIPE)
    again = Recipe.parse(recipe.to_toml())
    assert again == Recipe.parse(RECIPE) == recipe
    assert (
        again.digest()
        == recipe.digest()
        != Recipe.parse(RECIPE, overrides=["augmentations.1.operations.0.kernel=0.4"]).digest()
    )
    inside = recipe.views[0][1].parameters["operations"]
    assert inside[0]["sigma"] == [0.1, 2.0]  # defaults are written out
    one_of = build.view(recipe.views[0]).operations[0]
    assert (one_of.p, [operation.p for operation in one_of.apply.operations]) == (0.9, [1.0, 1.0])
    assert [operation.p for operation in one_of.apply.operations[1].apply.operations] == [0.5, 0.2]
    jsonschema.validate(json.loads(json.dumps(recipe.to_dict())), recipe_schema())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            '"grayscale"',
            '"grayscal"',
            "recipe:10: augmentations.1.operations.1.operations.1.name: no augmentation is called 'grayscal'",
        ),
        (
            "kernel = 0.5",
            "kernal = 0.5",
            "recipe:9: augmentations.1.operations.0.kernal: 'gaussian_blur' has no such parameter. Did",
        ),
        ("kernel = 0.5", "kernel = 5", "recipe:9: augmentations.1.operations.0.kernel: must be at most 1, is 5."),
        (
            '"grayscale"',
            '"center_crop", size = 8',
            "augmentations: 'center_crop' is a crop: it stands at the beginning of a list, not inside",
        ),
        (
            '[{ name = "horizontal_flip" }, { name = "grayscale" }]',
            "[]",
            "augmentations.1.operations.1.operations: must hold at least 1",
        ),
        (
            '[{ name = "horizontal_flip" }, { name = "grayscale" }]',
            '["grayscale"]',
            "operations.1.operations.0: must be a table with a name",
        ),
    ],
)
def test_mistakes_inside_have_their_place(old, new, message):
    with pytest.raises(RecipeError) as error:
        Recipe.parse(RECIPE.replace(old, new))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("kernel = 0.5", "sigma = [2.0, 0.1]", "recipe:9: augmentations.1.operations.0.sigma: must be (low, high)"),
        ("p = 0.9,", "p = 0.9, weights = [1, 2, 3],", "recipe:8: augmentations.1.weights: must hold 2 values"),
        ('"horizontal_flip"', '"sullen"', "recipe:10: augmentations.1.operations.1.operations.0: 'sullen': not today."),
        ("kernel = 0.5", "kernel = 0.5 },\n{ name = 'sullen'", "recipe:10: augmentations.1.operations.1: 'sullen': not today."),
    ],
)
def test_what_an_operation_refuses_itself_has_its_place(old, new, says):
    class Sullen:
        def __init__(self) -> None:
            raise UserError("not today.")

        def __call__(self, images, draw):
            return images

    registry = registry_of("augmentations")
    registry.register("sullen")(Sullen)
    try:
        recipe = Recipe.parse(RECIPE.replace(old, new))
        with pytest.raises(RecipeError) as error:
            build.view(recipe.views[0])
    finally:
        del registry._registered["sullen"]
    assert str(error.value).startswith(says)


def test_what_is_refused_in_python_has_its_place_in_the_list():
    given = [{"name": "grayscale"}, {"name": "gaussian_blur", "sigma": [2.0, 0.1]}]
    with pytest.raises(UserError, match=r"^operations\.1\.sigma: must be \(low, high\)"):
        registry_of("augmentations").build("one_of", {"operations": given})


def test_a_run_with_nested_operations(tmp_path):
    (tmp_path / "nested.toml").write_text(RECIPE + '\n[[evaluate]]\nname = "knn"\nk = 3\n', encoding="utf-8")
    done = sslkit("run", "nested.toml", cwd=tmp_path)
    assert "knn_top1" in done.stdout
    resolved = Recipe.load(tmp_path / "runs/nested/resolved.toml")
    assert resolved.digest() == Recipe.load(tmp_path / "nested.toml").digest()
    described = sslkit("describe", "augmentations", "one_of", cwd=tmp_path).stdout
    assert "list of augmentations" in described


LISTS = {
    "the paper's figure 5, one branch untouched": """
[[views]]
augmentations = [{ name = "random_resized_crop", size = 16 }, { name = "sobel" }, { name = "cutout" }]
[[views]]
augmentations = [{ name = "random_resized_crop", size = 16 }]
""",
    "the two laws of BYOL": """
[[views]]
augmentations = [
  { name = "random_resized_crop", size = 16 },
  { name = "color_jitter", brightness = 0.4, contrast = 0.4, saturation = 0.2, hue = 0.1 },
  { name = "grayscale" },
  { name = "gaussian_blur", p = 1.0 },
]
[[views]]
augmentations = [
  { name = "random_resized_crop", size = 16 },
  { name = "color_jitter", brightness = 0.4, contrast = 0.4, saturation = 0.2, hue = 0.1 },
  { name = "grayscale" },
  { name = "gaussian_blur", p = 0.1 },
  { name = "solarize", p = 0.2 },
]
""",
    "multi-crop": """
[[views]]
count = 2
augmentations = [{ name = "random_resized_crop", size = 16, area = [0.14, 1.0] }, { name = "color_distortion" }]
[[views]]
count = 3
augmentations = [{ name = "random_resized_crop", size = 8, area = [0.05, 0.14] }, { name = "color_distortion" }]
""",
}


@pytest.mark.parametrize("name", LISTS)
def test_lists_of_their_own_for_each_view_are_recipes(name, tmp_path):
    before, _, after = RECIPE.partition("augmentations = [")
    text = before + after.partition("]\n[data]")[2].join(["[data]", LISTS[name]])
    (tmp_path / "views.toml").write_text(text, encoding="utf-8")
    sizes = [view[0].parameters["size"] for view in Recipe.load(tmp_path / "views.toml").views]
    assert sizes == ([16, 16, 8, 8, 8] if name == "multi-crop" else [16, 16])
    sslkit("run", "views.toml", cwd=tmp_path)
    assert (tmp_path / "runs/views/encoder.safetensors").exists()


class Mirrored:
    """Gives back another view of the memory it was given."""

    def __call__(self, images, draw):
        return images[:, :, ::-1]


@pytest.mark.parametrize("p", [1.0, 0.5])
def test_what_shares_the_memory_of_the_batch_is_not_lost(p):
    images = Shapes("train", num_images=8, size=32)
    view = View([RandomResizedCrop(size=32), ("mirrored", Mirrored(), p)])
    out = [np.zeros((8, 32, 32, 3), dtype=np.float32) for _ in range(3)]
    indices = np.arange(8)
    prepare(images, [view], indices, address=(0,), out=out[:1])
    for row in range(8):
        prepare(images, [view], indices[row : row + 1], address=(0,), out=[out[1][row : row + 1]])
    at = Draws(indices, 0, 0)
    boxes = view.boxes(images.sizes(indices), at)
    out[2][:] = view.apply([images.read(i, 1) for i in range(8)], boxes, at)
    assert np.array_equal(out[0], out[2])
    assert np.array_equal(out[1], out[2])
    plain = View([RandomResizedCrop(size=32)]).apply([images.read(i, 1) for i in range(8)], boxes, at)
    assert not np.array_equal(plain, out[2])


def test_parts_of_parts_of_draws():
    at = Draws(np.arange(10), 0, "parts")
    right = at("a").uniform()
    assert np.array_equal(at.rows(slice(2, 6)).rows(slice(1, 3))("a").uniform(), right[3:5])
    assert np.array_equal(at.rows(slice(2, 6))("a").rows(np.array([True, False, False, True])).uniform(), right[[2, 5]])


def test_what_leaves_the_range_ends_a_list():
    ends = RECIPE.replace("\n]\n", '\n  { name = "normalize" },\n]\n', 1)
    assert [part.name for part in Recipe.parse(ends).evaluation_augmentations] == ["center_crop", "normalize"]
    assert [part.name for part in Recipe.parse(RECIPE).evaluation_augmentations] == ["center_crop"]
    for wrong in (
        RECIPE.replace('{ name = "one_of"', '{ name = "normalize" },\n  { name = "one_of"'),
        RECIPE.replace('{ name = "grayscale" }', '{ name = "normalize" }'),
    ):
        with pytest.raises(RecipeError, match=r"'normalize' leaves \[0, 1\], so it must be the last of the list"):
            Recipe.parse(wrong)


def test_components_of_any_kind_may_hold_sections():
    """An evaluation that holds augmentations: checked, built, and its parts' versions known."""

    class Robust:
        def __init__(self, *, operations: Annotated[list[Any], Sections("augmentations")]) -> None:
            self.operations = operations

        def __call__(self, train, test):
            yield "robust", 1.0

    registry = registry_of("evaluations")
    registry.register("robust")(Robust)
    try:
        recipe = Recipe.parse(RECIPE + '[[evaluate]]\nname = "robust"\noperations = [{ name = "gaussian_blur" }]')
        assert build.component(recipe.evaluate[0]).operations[0][0] == "gaussian_blur"
        assert "sslkit" in versions(recipe)
    finally:
        del registry._registered["robust"]


@pytest.mark.parametrize(
    ("wrong", "given"),
    [
        (lambda images: images.mean(3), r"float32 \(2, 32, 32\)"),
        (lambda images: images.astype(np.float64), r"float64 \(2, 32, 32, 3\)"),
        (lambda images: images[:, ::2, ::2], r"float32 \(2, 16, 16, 3\)"),
        (lambda images: None, "None"),
    ],
)
def test_what_an_operation_gives_is_checked(wrong, given):
    view = View([RandomResizedCrop(size=32), ("mine", lambda images, draw: wrong(images), 1.0)])
    images, out = Shapes("train", num_images=2, size=32), [np.zeros((2, 32, 32, 3), dtype=np.float32)]
    with pytest.raises(ContractError, match=rf"^augmentation 'mine': must give float32 \(2, 32, 32, 3\), .* gave {given}"):
        prepare(images, [view], np.arange(2), address=(0,), out=out)


def test_all_that_is_wrong_inside_shows_at_once():
    text = (
        RECIPE.replace('in_order = "random"', 'in_order = "randm"')
        .replace('"grayscale"', '"grayscal"')
        .replace("kernel", "kernal")
    )
    with pytest.raises(RecipeError) as error:
        Recipe.parse(text)
    assert all(word in str(error.value) for word in ("'random'", "'grayscale'", "'kernel'"))
    assert len(str(error.value).splitlines()) == 3
