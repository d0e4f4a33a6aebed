import contextlib
import io
import json
import os
import pickle
import socket
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from small import TEXT, recipe_file, sslkit

from sslkit.augmentations.random_resized_crop import RandomResizedCrop
from sslkit.datasets import pixels, registry
from sslkit.datasets.files import ImageFiles
from sslkit.datasets.folders import images_below
from sslkit.datasets.headers import MAX_PIXELS, read_size
from sslkit.datasets.held import held
from sslkit.datasets.image_folder import ImageFolder
from sslkit.datasets.imagenet import ImageNet
from sslkit.datasets.pixels import read_pixels
from sslkit.datasets.stand_in import skipped
from sslkit.datasets.subset import Subset
from sslkit.errors import DataError
from sslkit.loader import Loader, Plan
from sslkit.views import View

ORIENTATION = 0x0112
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def photo(height=43, width=61, channels=3, seed=0):
    """Smooth colours, as JPEG likes them."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 7, channels), dtype=np.uint8)
    fine = [Image.fromarray(coarse[..., c]).resize((width, height), Image.Resampling.BICUBIC) for c in range(channels)]
    return np.stack([np.asarray(c) for c in fine], axis=-1)


def encoded(pixels, file_format="JPEG", **options):
    image = (
        pixels
        if isinstance(pixels, Image.Image)
        else Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)
    )
    stream = io.BytesIO()
    image.save(stream, file_format, **options)
    return stream.getvalue()


def put(path, content=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(photo()) if content is None else content)
    return path


def turned(orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def message(call, *args, **kwargs):
    with pytest.raises(DataError) as caught:
        call(*args, **kwargs)
    return str(caught.value)


# Folders


@pytest.fixture
def root(tmp_path):
    """Two splits, two classes; the file names sort otherwise than they were written."""
    for number, name in enumerate(["train/dog/b.jpg", "train/dog/deep/er/a.PNG", "train/cat/z.JPEG", "validation/dog/v.jpg"]):
        put(tmp_path / "pets" / name, encoded(photo(20 + number, 30), "PNG" if name.endswith("PNG") else "JPEG"))
    put(tmp_path / "pets/train/dog/notes.txt", b"not an image")
    put(tmp_path / "pets/train/dog/.hidden.jpg", b"")
    put(tmp_path / "pets/.cache/x.jpg", b"")
    return tmp_path / "pets"


@pytest.mark.parametrize("memory_gib", [0.0, 1.0])
def test_a_labelled_folder_by_hand(root, memory_gib):
    images = ImageFolder("train", root=root, memory_gib=memory_gib)
    assert len(images) == 3
    assert images.classes == ("cat", "dog")
    assert images.labels.tolist() == [0, 1, 1]  # cat/z, dog/b, dog/deep/er/a
    assert images.labels.dtype == np.int64
    assert images.channels == 3
    assert images.sizes(np.array([2, 0, 2])).tolist() == [[21, 30], [22, 30], [21, 30]]
    assert images.sizes(np.array([], dtype=np.int64)).shape == (0, 2)
    assert np.array_equal(images.read(2, 1), photo(21, 30))


def test_held_and_decoded_images_are_the_same_bits(root):
    lazily, in_memory = ImageFolder("train", root=root, memory_gib=0.0), ImageFolder("train", root=root)
    assert isinstance(lazily._images, ImageFiles)
    assert not isinstance(in_memory._images, ImageFiles)
    for images in (lazily, in_memory):
        again = pickle.loads(pickle.dumps(images))
        for index in range(3):
            assert np.array_equal(lazily.read(index, 1), again.read(index, 1))
    with pytest.raises(ValueError, match="read-only"):
        in_memory.read(0, 1)[0, 0, 0] = 1


def test_the_memory_limit_is_exact(root):
    files = ImageFolder("train", root=root, memory_gib=0.0)._images
    needed = 3 * 30 * (20 + 21 + 22)
    assert held(files, needed - 1) is None
    assert len(held(files, needed)) == 3


@pytest.mark.parametrize("folder", ["val", "valid", "validation", "Validation"])
@pytest.mark.parametrize("asked", ["val", "valid", "validation"])
def test_usual_names_of_a_split_mean_the_same(tmp_path, folder, asked):
    put(tmp_path / folder / "a.jpg")
    put(tmp_path / "training/a.jpg")
    assert len(ImageFolder(asked, root=tmp_path)) == 1
    assert len(ImageFolder("train", root=tmp_path)) == 1


def test_other_splits_are_folders_of_that_name(root):
    put(root / "extra/a.jpg")
    assert ImageFolder("extra", root=root).labels is None
    assert "'image_folder' has no split 'Extra'" in message(ImageFolder, "Extra", root=root)
    for outside in ("../pets/train", "", ".", "train/dog"):
        assert "has no split" in message(ImageFolder, outside, root=root)


def test_a_split_of_two_meanings_is_refused_unless_named(root):
    put(root / "valid/only/a.jpg")
    assert "has valid, validation, which all mean 'val'" in message(ImageFolder, "val", root=root)
    assert ImageFolder("valid", root=root).classes == ("only",)
    assert ImageFolder("validation", root=root).classes == ("dog",)


@pytest.mark.parametrize(("below", "classes"), [("", None), ("one/", ("one",))])
def test_a_root_without_splits_is_train(tmp_path, below, classes):
    put(tmp_path / f"{below}a.jpg")
    images = ImageFolder("train", root=tmp_path)
    assert images.classes == classes
    assert (images.labels is None) == (classes is None)
    assert "has no split 'val' in" in message(ImageFolder, "val", root=tmp_path)


def test_a_root_with_some_split_is_not_itself_one(tmp_path):
    put(tmp_path / "test/dog/a.jpg")
    assert message(ImageFolder, "train", root=tmp_path).endswith(" It has: test.")


def test_a_wrong_split_names_the_right_ones(root):
    assert message(ImageFolder, "trian", root=root) == (
        f"dataset 'image_folder' has no split 'trian' in {str(root)!r}. Did you mean 'train'? It has: train, validation."
    )


def test_a_wrong_root_names_the_nearest(root):
    wrong = root.parent / "pest"
    assert message(ImageFolder, "train", root=wrong) == f"data.root: no such folder: {str(wrong)!r}. Did you mean 'pets'?"
    deeper = wrong / "a" / "b"
    assert f"{str(root.parent)!r} has no 'pest'. Did you mean 'pets'?" in message(ImageFolder, "train", root=deeper)
    file = put(root / "x.jpg")
    assert message(ImageFolder, "train", root=file) == f"data.root: is a file, not a folder: {str(file)!r}."


@pytest.mark.fault(
    "a folder without images",
    injected="an empty folder",
    expected="said before any training",
    theme="data",
)
def test_empty_folders_say_what_was_looked_for(tmp_path):
    (tmp_path / "train").mkdir()
    assert "holds no images (looked for .bmp, " in message(ImageFolder, "train", root=tmp_path)
    assert "found no files" in message(ImageFolder, "train", root=tmp_path)
    put(tmp_path / "train/a.npy", b"1")
    put(tmp_path / "train/b.npy", b"2")
    put(tmp_path / "train/c.csv", b"3")
    assert "found 2 '.npy', 1 '.csv'" in message(ImageFolder, "train", root=tmp_path)


@pytest.mark.fault(
    "a class without images",
    injected="an empty folder of a class",
    expected="named",
    theme="data",
)
def test_a_class_without_images_is_named(root):
    (root / "train/eel").mkdir()
    assert message(ImageFolder, "train", root=root).startswith(f"{str(root / 'train/eel')!r}: holds no images")


def test_images_beside_classes_are_refused(root):
    put(root / "train/stray.jpg")
    assert "holds images ('stray.jpg' and 0 more) and folders ('cat' and 1 more)" in message(ImageFolder, "train", root=root)


# Entries that are no regular files


@pytest.mark.fault(
    "broken links",
    injected="a link to nothing",
    expected="named",
    theme="data",
)
def test_links_are_followed_and_broken_ones_named(root, tmp_path):
    elsewhere = put(tmp_path / "elsewhere/a.jpg")
    (root / "train/dog/link.jpg").symlink_to(elsewhere)
    (root / "train/emu").symlink_to(elsewhere.parent)
    assert ImageFolder("train", root=root).labels.tolist() == [0, 1, 1, 1, 2]
    elsewhere.unlink()
    assert "link.jpg': is not a file but a broken link." in message(ImageFolder, "train", root=root)


@pytest.mark.fault(
    "a loop of links",
    injected="a link to a folder above",
    expected="named, and the scan ends",
    theme="data",
)
def test_a_loop_of_links_is_named(root):
    (root / "train/dog/loop").symlink_to(root / "train")
    assert "is a link to a folder that it lies in" in message(ImageFolder, "train", root=root)
    (root / "train/dog/loop").unlink()
    (root / "train/dog/self.jpg").symlink_to("self.jpg")
    assert "self.jpg': can't be read: Too many levels" in message(ImageFolder, "train", root=root)


@pytest.mark.fault(
    "pipes and sockets among the images",
    injected="made in the folder",
    expected="refused, without waiting",
    theme="data",
)
def test_pipes_and_sockets_never_block(root, monkeypatch):
    os.mkfifo(root / "train/dog/other")  # does not look like an image: of no interest
    assert len(ImageFolder("train", root=root)) == 3
    os.mkfifo(root / "train/dog/pipe.jpg")
    assert "pipe.jpg': is not a file but a pipe, socket or device." in message(ImageFolder, "train", root=root)
    (root / "train/dog/pipe.jpg").unlink()
    monkeypatch.chdir(root / "train/dog")  # the name of a socket must be short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.jpg")
        assert "socket.jpg': is not a file" in message(ImageFolder, "train", root=root)


def test_a_folder_named_like_an_image_is_a_folder(tmp_path):
    put(tmp_path / "train/a.jpg/b.jpg")
    assert ImageFolder("train", root=tmp_path).classes == ("a.jpg",)


@pytest.mark.parametrize("name", [b"caf\xe9", "日本".encode(), b"new\nline\x1b[31m", b"n" * 251])
@pytest.mark.fault(
    "names that are no UTF-8, or hold control characters",
    injected="files of such names",
    expected="they work, and are printed escaped",
    theme="data",
)
def test_names_of_any_bytes_work_and_are_escaped(tmp_path, name):
    file = Path(os.fsdecode(os.fsencode(tmp_path) + b"/train/" + name + b"/" + name + b".jpg"))
    put(file)
    for memory_gib in (0.0, 1.0):
        assert ImageFolder("train", root=tmp_path, memory_gib=memory_gib).read(0, 1).shape == (43, 61, 3)
    file.write_bytes(b"")
    said = message(ImageFolder, "train", root=tmp_path)
    assert said.encode()  # no half of a character is left
    assert "\n" not in said
    assert "\x1b" not in said


@pytest.mark.fault(
    "a file that vanishes after the scan",
    injected="deleted before it is read",
    expected="named",
    theme="data",
)
def test_a_file_that_vanishes_is_named(root):
    images = ImageFolder("train", root=root, memory_gib=0.0)
    (root / "train/cat/z.JPEG").unlink()
    assert "z.JPEG': can't be read: No such file or directory." in message(images.read, 0, 1)
    assert "z.JPEG': can't be read: No such file or directory." in message(images.sizes, np.array([0]))


@pytest.mark.fault(
    "very many images",
    injected="many names",
    expected="held as one array, not as Python strings",
    theme="data",
)
def test_many_names_are_one_array(tmp_path):
    for number in range(300):
        put(tmp_path / f"{number % 7}" / f"{number:03}.jpg", b"")
    names = images_below(tmp_path)
    assert names == sorted(f"{number % 7}/{number:03}.jpg".encode() for number in range(300))
    files = ImageFiles(tmp_path, np.array(names), channels=3)
    assert files.names.nbytes == 300 * len("0/000.jpg")
    assert files.path(0) == tmp_path / "0/000.jpg"


# Pixels


def test_four_pixels_by_hand(tmp_path):
    corners = np.array([[RED, GREEN], [BLUE, WHITE]], dtype=np.uint8)
    path = put(tmp_path / "a.png", encoded(corners, "PNG", exif=turned(6)))  # 6: turn to the right
    assert read_pixels(path, channels=3).tolist() == [[list(BLUE), list(RED)], [list(WHITE), list(GREEN)]]
    assert read_pixels(path, channels=1)[..., 0].tolist() == [[29, 76], [255, 150]]  # .299 R + .587 G + .114 B


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.fault(
    "images turned by EXIF",
    injected="each of the rotations",
    expected="turned upright",
    theme="data",
)
def test_rotation_equals_pillows(tmp_path, file_format, orientation):
    options = {"lossless": True} if file_format == "WEBP" else {}
    content = encoded(photo(), file_format, exif=turned(orientation), **options)
    with Image.open(io.BytesIO(content)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    path = put(tmp_path / "a", content)
    pixels = read_pixels(path, channels=3)
    assert np.array_equal(pixels, expected)
    assert pixels.flags.c_contiguous
    assert read_size(path) == expected.shape[:2]


@pytest.mark.parametrize("reduction", [1, 2, 4, 8])
@pytest.mark.parametrize("orientation", [1, 6, 7])
@pytest.mark.parametrize("channels", [1, 3])
def test_reduced_jpeg_is_the_image_made_smaller(tmp_path, reduction, orientation, channels):
    path = put(tmp_path / "a.jpg", encoded(photo(48, 64), quality=95, exif=turned(orientation)))
    height, width = read_size(path)
    whole = read_pixels(path, channels=channels)
    means = whole.reshape(height // reduction, reduction, width // reduction, reduction, channels).mean(axis=(1, 3))
    assert np.abs(means - read_pixels(path, channels=channels, reduction=reduction)).mean() < 4


def test_reduced_sizes_are_rounded_up(tmp_path):
    path = put(tmp_path / "a.jpg", encoded(photo(43, 61), exif=turned(6)))
    shapes = {reduction: read_pixels(path, channels=3, reduction=reduction).shape for reduction in (1, 2, 4, 8)}
    assert shapes == {1: (61, 43, 3), 2: (31, 22, 3), 4: (16, 11, 3), 8: (8, 6, 3)}


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF", "GIF", "PPM"])
def test_other_formats_ignore_the_reduction(tmp_path, file_format):
    assert read_pixels(put(tmp_path / "a", encoded(photo(), file_format)), channels=3, reduction=8).shape == (43, 61, 3)


def kinds_of_pixels():
    colour, grey, alpha = photo(), photo(channels=1, seed=1)[..., 0], photo(channels=1, seed=2)
    deep = grey.astype(np.uint16) * 257
    yield "RGBA", "PNG", Image.fromarray(np.concatenate([colour, alpha], axis=2)), colour
    yield "RGBA", "TIFF", Image.fromarray(np.concatenate([colour, alpha], axis=2)), colour
    yield "LA", "PNG", Image.merge("LA", [Image.fromarray(grey), Image.fromarray(alpha[..., 0])]), grey
    yield "L", "PNG", Image.fromarray(grey), grey
    yield "L", "BMP", Image.fromarray(grey), grey
    yield "1", "PNG", Image.fromarray(grey > 99), np.where(grey > 99, 255, 0)
    yield "I;16", "PNG", Image.fromarray(deep), grey
    yield "I;16", "TIFF", Image.fromarray(deep), grey
    yield "I", "PPM", Image.fromarray(deep), grey
    palette = Image.fromarray(colour).quantize(16)
    yield "P", "PNG", palette, np.asarray(palette.convert("RGB"))
    yield "P", "GIF", palette, np.asarray(palette.convert("RGB"))
    inks = Image.fromarray(colour).convert("CMYK")
    yield "CMYK", "TIFF", inks, colour


@pytest.mark.parametrize(("mode", "file_format", "image", "expected"), list(kinds_of_pixels()))
@pytest.mark.fault(
    "grey, palette, transparent, CMYK, 16 bit and other images",
    injected="one file of each mode",
    expected="RGB, or grey, by the rule for the mode",
    theme="data",
)
def test_every_kind_of_pixels_becomes_uint8(tmp_path, mode, file_format, image, expected):
    path = put(tmp_path / "a", encoded(image, file_format))
    with Image.open(path) as again:
        assert again.mode == mode
    colour = expected if expected.ndim == 3 else np.repeat(expected[..., None], 3, axis=2)
    assert np.array_equal(read_pixels(path, channels=3), colour)
    grey = read_pixels(path, channels=1)
    assert grey.shape == (43, 61, 1)
    assert np.abs(grey[..., 0] - colour @ [0.299, 0.587, 0.114]).max() <= 1
    assert read_size(path) == (43, 61)


def test_jpeg_of_inks_and_of_grey(tmp_path):
    inks = put(tmp_path / "a.jpg", encoded(Image.fromarray(photo()).convert("CMYK"), quality=95))
    assert np.abs(read_pixels(inks, channels=3).astype(int) - photo()).mean() < 3
    grey = put(tmp_path / "b.jpg", encoded(photo(channels=1), quality=95))
    assert np.array_equal(read_pixels(grey, channels=3), np.repeat(read_pixels(grey, channels=1), 3, axis=2))


def test_half_a_palette_transparent_does_not_warn(tmp_path):
    palette = Image.fromarray(photo()).quantize(4)
    path = put(tmp_path / "a.png", encoded(palette, "PNG", transparency=bytes([0, 128, 255, 255])))
    assert np.array_equal(read_pixels(path, channels=3), np.asarray(palette.convert("RGB")))


def test_sixteen_bits_are_rounded(tmp_path):
    path = put(tmp_path / "a.png", encoded(np.array([[0, 128, 129, 256, 385, 65535]], dtype=np.uint16), "PNG"))
    assert read_pixels(path, channels=1).ravel().tolist() == [0, 0, 1, 1, 1, 255]


@pytest.mark.fault(
    "animations",
    injected="several frames",
    expected="the first one",
    theme="data",
)
def test_animations_give_their_first_frame(tmp_path):
    frames = [Image.new("RGB", (8, 6), color) for color in (RED, GREEN)]
    for file_format in ("GIF", "PNG", "WEBP", "TIFF"):
        options = {"lossless": True} if file_format == "WEBP" else {}
        path = put(tmp_path / "a", encoded(frames[0], file_format, save_all=True, append_images=frames[1:], **options))
        assert read_pixels(path, channels=3)[0, 0].tolist() == list(RED), file_format


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
@pytest.mark.fault(
    "pixels without a known range",
    injected="TIFF files of such types",
    expected="refused",
    theme="data",
)
def test_pixels_of_unknown_range_are_refused(tmp_path, dtype):
    values = np.array([[0, 70000]], dtype=dtype)
    said = message(read_pixels, put(tmp_path / "a.tif", encoded(values, "TIFF")), channels=3)
    assert "whose range is unknown; save it with 8 or 16 bits" in said


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1)])
@pytest.mark.fault(
    "images of one pixel, or one row",
    injected="generated",
    expected="read as they are",
    theme="data",
)
def test_extreme_shapes(tmp_path, shape):
    for file_format in ("JPEG", "PNG"):
        path = put(tmp_path / "a", encoded(photo(*shape), file_format))
        assert read_pixels(path, channels=3).shape == (*shape, 3)


# Damage


JPEG = encoded(photo())
THUMBNAIL = turned(6).tobytes() + JPEG  # a small JPEG with an end of its own, within the header
CUT = {
    "JPEG": JPEG,
    "progressive JPEG": encoded(photo(), progressive=True),
    "JPEG with a thumbnail": encoded(photo(), exif=THUMBNAIL),
    "WEBP": encoded(photo(), "WEBP"),
    "TIFF": encoded(photo(), "TIFF"),
    "PPM": encoded(photo(), "PPM"),
}


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow warns of damaged TIFF before it raises
@pytest.mark.parametrize("content", CUT.values(), ids=CUT)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.fault(
    "an image file that is cut off",
    injected="cut at many places, in several formats",
    expected="refused with its path",
    theme="data",
)
def test_a_file_cut_anywhere_is_refused(tmp_path, content, data):
    length = data.draw(st.integers(0, len(content) - 1))
    path = put(tmp_path / "a.jpg", content[:length])
    assert message(read_pixels, path, channels=3, reduction=2).startswith(f"{str(path)!r}: ")


@pytest.mark.parametrize("content", CUT.values(), ids=CUT)
def test_whole_files_are_accepted_also_with_something_behind_them(tmp_path, content):
    for path in (put(tmp_path / "a.jpg", content), put(tmp_path / "b.jpg", content + b"\xff\xda trailer")):
        assert read_pixels(path, channels=3).shape in {(43, 61, 3), (61, 43, 3)}


@pytest.mark.parametrize("content", [JPEG, CUT["JPEG with a thumbnail"]])
def test_a_jpeg_filled_up_with_zeros_is_refused(tmp_path, content):
    path = put(tmp_path / "a.jpg", content[:-200] + bytes(200))
    assert message(read_pixels, path, channels=3) == f"{str(path)!r}: can't be decoded: the file is cut off."


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("content", [*CUT.values(), encoded(photo(), "PNG"), encoded(photo(), "GIF")])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_flipped_bytes_give_pixels_or_a_sentence(tmp_path, content, data):
    damaged = bytearray(content)
    for _ in range(3):
        damaged[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = put(tmp_path / "a.jpg", bytes(damaged))
    with contextlib.suppress(DataError):  # any other error fails the test
        assert read_pixels(path, channels=3).shape[:2] == read_size(path)


@pytest.mark.fault(
    "empty files and web pages with the name of an image",
    injected="written as `.jpg`",
    expected="refused with what they are",
    theme="data",
)
def test_files_that_are_no_images(tmp_path):
    page = put(tmp_path / "page.jpg", b"<!DOCTYPE html><html>Not found</html>")
    assert "is no image of a known format" in message(read_size, page)
    assert "it begins with b'<!DOCTYPE html><'" in message(read_pixels, page, channels=3)
    assert "it begins with nothing, for it has 0 bytes." in message(read_size, put(tmp_path / "empty.jpg", b""))
    script = put(tmp_path / "a.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    assert "is no image of a known format" in message(read_size, script)  # never handed to Ghostscript


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.fault(
    "an image that decodes to far more than its file",
    injected="many pixels in few bytes",
    expected="refused by its header",
    theme="data",
)
def test_bombs_are_refused_before_they_are_decoded(tmp_path, monkeypatch):
    side = int(MAX_PIXELS**0.5) + 1
    header = f"P5 {side} {side} 255 ".encode()
    bomb = put(tmp_path / "bomb.pgm", header)
    for call in (lambda: read_size(bomb), lambda: read_pixels(bomb, channels=3)):
        assert "bomb.pgm': has too many pixels for one image" in message(call)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)  # a plugin may have lifted Pillow's limit
    assert f"{side:,} x {side:,}; the limit is 89,478,485. Make it smaller." in message(read_size, bomb)


AS_TEXT = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x02\0\0\0006\0\0\0\0\0\0\0"  # the orientation is a text, "6"


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", AS_TEXT])
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_a_damaged_rotation_does_not_turn(tmp_path, file_format, exif):
    path = put(tmp_path / "a.jpg", encoded(photo(), file_format, exif=exif))
    assert read_pixels(path, channels=3).shape == (43, 61, 3)


def test_a_damaged_image_is_found_when_all_are_held(root):
    (root / "train/dog/b.jpg").write_bytes(JPEG[:-100])
    told = message(ImageFolder, "train", root=root)
    assert "b.jpg': can't be decoded: the file is cut off. Set data.on_unreadable = \"skip\" to go on without" in told
    images = ImageFolder("train", root=root, memory_gib=0.0)
    assert "b.jpg': can't be decoded: the file is cut off." in message(images.read, 1, 1)


# Skipping what can't be read


@pytest.fixture
def broken(tmp_path):
    """Of class a the first is cut off, of b the last is no image; all that are whole have a size of their own."""
    for number, name in enumerate(("a/0", "a/1", "a/2", "b/0", "b/1", "b/2")):
        put(tmp_path / f"train/{name}.jpg", encoded(photo(height=40 + number, width=50 + number)))
    (tmp_path / "train/a/0.jpg").write_bytes(JPEG[:-100])
    (tmp_path / "train/b/2.jpg").write_bytes(b"nothing of the kind")
    return tmp_path


@pytest.mark.parametrize("memory_gib", [0.0, 1.0])
@pytest.mark.fault(
    "images that can't be read, where skipping is allowed",
    injected="damaged files",
    expected="the next of its class, always the same one",
    theme="data",
)
def test_the_next_of_its_class_stands_in(broken, memory_gib):
    images = ImageFolder("train", root=broken, memory_gib=memory_gib, on_unreadable="skip")
    assert (len(images), images.labels.tolist()) == (6, [0, 0, 0, 1, 1, 1])
    whole = [read_pixels(broken / f"train/{'ab'[n // 3]}/{n % 3}.jpg", channels=3) for n in (1, 2, 3, 4)]
    assert [np.array_equal(images.read(n, 1), pixels) for n, pixels in zip((1, 2, 3, 4), whole, strict=True)] == [True] * 4
    assert np.array_equal(images.read(5, 1), whole[2])  # behind the last of a class comes the first
    assert np.array_equal(images.read(0, 1), cv2.resize(whole[0], (61, 43), interpolation=cv2.INTER_AREA))
    assert images.sizes(np.arange(6)).tolist() == [[43, 61], [41, 51], [42, 52], [43, 53], [44, 54], [43, 53]]
    assert all(images.read(n, 1).shape[:2] == tuple(size) for n, size in enumerate(images.sizes(np.arange(6)).tolist()))
    assert set(images.unreadable) == {0, 5}
    assert "0.jpg': can't be decoded: the file is cut off." in images.unreadable[0]
    lines = skipped([images, Subset(images, np.array([2]))])
    assert lines[0] == "images that could not be read, and others stood in for: 2"
    assert len(lines) == 3
    assert skipped([ImageFolder("train", root=broken / "train/a", memory_gib=0.0), object()]) == []


def test_where_no_other_of_its_class_is_left(broken):
    for name in ("1", "2"):
        (broken / f"train/a/{name}.jpg").write_bytes(b"")
    images = ImageFolder("train", root=broken, memory_gib=0.0, on_unreadable="skip")
    assert "0.jpg': can't be decoded: the file is cut off. No other image of its class" in message(images.read, 0, 1)
    assert "0.jpg': can't be decoded" in message(ImageFolder, "train", root=broken, on_unreadable="skip")


def test_what_the_system_refuses_is_not_skipped(broken, monkeypatch):
    """A fault that may be gone next time must not put another image into its place for good."""
    images = ImageFolder("train", root=broken, memory_gib=0.0, on_unreadable="skip")
    with monkeypatch.context() as patch:
        patch.setattr(pixels, "open_file", lambda _: os.open("/nowhere/at all", os.O_RDONLY))
        assert "can't be read: No such file" in message(images.read, 1, 1)
        plain = message(ImageFolder("train", root=broken / "train/a", memory_gib=0.0).read, 1, 1)
    assert plain.endswith("can't be read: No such file or directory.")  # to skip would not help
    assert 1 not in images.unreadable
    assert np.array_equal(images.read(1, 1), read_pixels(broken / "train/a/1.jpg", channels=3))


@pytest.mark.parametrize("workers", [0, 2])
def test_views_without_what_can_t_be_read(broken, workers):
    """The same whoever makes them, and known to the process that asked for them."""
    images = ImageFolder("train", root=broken, memory_gib=0.0, on_unreadable="skip")
    loader = Loader(images, [View([RandomResizedCrop(size=30)])], plan=Plan(6, 3), workers=workers)
    views = [batch.views[0].clone() for batch in loader.batches(0, 4)]
    held_in_memory = ImageFolder("train", root=broken, on_unreadable="skip")
    right = Loader(held_in_memory, [View([RandomResizedCrop(size=30)])], plan=Plan(6, 3))
    assert all(np.array_equal(found, batch.views[0]) for found, batch in zip(views, right.batches(0, 4), strict=True))
    assert set(images.unreadable) == {0, 5}


@pytest.mark.fault(
    "skipped images go unnoticed",
    injected="a damaged file in a run that skips",
    expected="they stand beside the results",
    theme="data",
)
def test_what_was_skipped_stands_beside_the_results(broken):
    """Two of six training images; the test images are all whole but one, which evaluation alone sees."""
    for number in range(4):
        put(broken / f"test/{'ab'[number % 2]}/{number}.jpg")
    (broken / "test/a/0.jpg").write_bytes(JPEG[:-100])
    text = TEXT[: TEXT.index("[data]")] + TEXT[TEXT.index("[train]") :].replace("k = 3", "k = 1").replace(
        "batch_size = 16", "batch_size = 4"
    )
    section = f'[data]\nname = "image_folder"\nroot = "{broken}"\nmemory_gib = 0.0\non_unreadable = "skip"\n\n'
    recipe = recipe_file(
        broken, text.replace("[train]", section + "[train]").replace('baselines = ["pixels", "untrained"]', "")
    )
    done = sslkit("run", recipe, "-o", "run", cwd=broken)
    foot = "3 images could not be read, and others stood in for them"
    assert foot in " ".join(done.stdout.split())
    content = json.loads((broken / "run/results.json").read_text())
    assert [sentence.split("'")[1] for sentence in content["unreadable"]] == [
        str(broken / name) for name in ("test/a/0.jpg", "train/a/0.jpg", "train/b/2.jpg")
    ]
    for name in ("train/a/0.jpg", "train/b/2.jpg"):
        put(broken / name)
    evaluated = sslkit("eval", "run", cwd=broken)
    assert foot in " ".join(evaluated.stdout.split()), "they were skipped in training all the same"
    assert json.loads((broken / "run/results.json").read_text())["unreadable"] == content["unreadable"]


# ImageNet


@pytest.fixture
def imagenet(tmp_path):
    for name in ("train/n01440764/b.JPEG", "train/n01443537/a.JPEG", "val/n01443537/c.JPEG"):
        put(tmp_path / name)
    return tmp_path


def test_imagenet_is_a_folder_of_wnids(imagenet):
    images = ImageNet("train", root=imagenet)
    assert (len(images), images.channels, images.classes) == (2, 3, ("n01440764", "n01443537"))
    assert images.labels.tolist() == [0, 1]
    assert images.sizes(np.array([1])).tolist() == [[43, 61]]
    assert images.read(1, 4).shape == (11, 16, 3)
    assert len(ImageNet("val", root=imagenet)) == 1


def test_imagenet_says_what_it_misses(imagenet):
    assert message(ImageNet, "test", root=imagenet) == "dataset 'imagenet' has no split 'test'. It has: train, val."
    assert "has no folder 'val'" in message(ImageNet, "val", root=imagenet / "train")
    put(imagenet / "train/dogs/a.JPEG")
    assert "dogs': is not named like a class of ImageNet, such as 'n01440764'." in message(ImageNet, "train", root=imagenet)
    (imagenet / "val/n01443537/c.JPEG").rename(imagenet / "val/c.JPEG")
    (imagenet / "val/n01443537").rmdir()
    assert "move each into a folder named after its wnid" in message(ImageNet, "val", root=imagenet)


# Real images, and the recipe


def test_real_photographs(shared):
    images = ImageFolder("val", root=shared / "data/clothing96")
    assert (len(images), len(images.classes)) == (341, 10)
    assert np.bincount(images.labels).min() > 0
    sizes = images.sizes(np.arange(len(images)))
    assert all(images.read(index, 1).shape == (*sizes[index], 3) for index in range(len(images)))


def test_the_recipe_sees_root_channels_and_memory(root):
    fields = registry.model("image_folder").model_fields
    assert {"root", "channels", "memory_gib"} < set(fields)
    assert fields["root"].is_required()
    assert len(registry.build("image_folder", {"root": root, "channels": 1}, split="val")) == 1
