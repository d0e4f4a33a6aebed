"""Datasets that break one promise each."""

from typing import ClassVar

import numpy as np
from badness import Bads

from sslkit.errors import UnknownSplit

bad = Bads("datasets")


class Twelve:
    """Twelve grey images of three classes, from 8 to 19 pixels high and twice as wide."""

    splits: ClassVar[tuple[str, ...]] = ("train", "test")
    channels = 1
    classes = ("a", "b", "c")

    def __init__(self, split) -> None:
        if split not in self.splits:
            raise UnknownSplit(f"there is no {split!r}.")
        self.labels = np.arange(12) % 3

    def __len__(self):
        return 12

    def sizes(self, indices):
        return np.stack([8 + indices, 2 * (8 + indices)], axis=1)

    def read(self, index, reduction):
        return np.full((8 + index, 2 * (8 + index), 1), index, np.uint8)


@bad("every_split_opens", "'test': FileNotFoundError")
class NamesASplitTooMany(Twelve):
    """Grey images that have no test split although they name one."""

    def __init__(self, split) -> None:
        super().__init__(split)
        if split == "test":
            raise FileNotFoundError("test.bin")


@bad("every_split_opens", "'test' is empty.")
class EmptySplit(Twelve):
    """Grey images, none of them in the test split."""

    def __init__(self, split) -> None:
        super().__init__(split)
        self.count = 12 if split == "train" else 0

    def __len__(self):
        return self.count


@bad("unknown_splits_are_refused", "'no_such_split' opens.")
class TakesAnySplit(Twelve):
    """Grey images whose training split is taken for any other."""

    def __init__(self, split) -> None:
        super().__init__("test" if split == "test" else "train")


@bad("unknown_splits_are_refused", "'no_such_split': KeyError")
class StumblesOverASplit(Twelve):
    """Grey images that look up a split in a table."""

    def __init__(self, split) -> None:
        super().__init__({"train": "train", "test": "test"}[split])


@bad("images_are_of_one_kind", "image 0 is float32.")
class GivesFloats(Twelve):
    """Grey images in [0, 1]."""

    def read(self, index, reduction):
        return super().read(index, reduction).astype(np.float32) / 255


@bad("images_are_of_one_kind", "image 0 has 1 channels, 3 are declared.")
class DeclaresThreeChannels(Twelve):
    """Grey images that are said to be coloured."""

    channels = 3


@bad("sizes_are_true", "image 11 is (19, 38), and (38, 19) was said of it.")
class WidthFirst(Twelve):
    """Grey images whose sizes are width and height."""

    def sizes(self, indices):
        return super().sizes(indices)[:, ::-1]


@bad("sizes_are_true", "its form is (12, 2).")
class SizesOfAll(Twelve):
    """Grey images whose sizes are always those of all."""

    def sizes(self, indices):
        return super().sizes(np.arange(12))


@bad("reading_again_gives_the_same", "image 0 changed.")
class ChangesWhenRead(Twelve):
    """Grey images that are brighter each time they are read."""

    def __init__(self, split) -> None:
        super().__init__(split)
        self.read_so_far = 0

    def read(self, index, reduction):
        self.read_so_far += 1
        return super().read(index, reduction) + np.uint8(self.read_so_far)


@bad("reductions_are_of_the_image", "with a reduction of 4 an image of (19, 38) came as (9, 19).")
class HalvesAlways(Twelve):
    """Grey images that come at half their size whatever reduction is asked for."""

    def read(self, index, reduction):
        image = super().read(index, reduction)
        return image if reduction == 1 else image[: len(image) // 2, : image.shape[1] // 2]


@bad("labels_fit", "they are int32.")
class ShortLabels(Twelve):
    """Grey images with int32 labels."""

    def __init__(self, split) -> None:
        super().__init__(split)
        self.labels = self.labels.astype(np.int32)


@bad("labels_fit", "the largest is 3, of 3 classes.")
class LabelsFromOne(Twelve):
    """Grey images whose classes are counted from 1."""

    def __init__(self, split) -> None:
        super().__init__(split)
        self.labels = self.labels + 1


@bad("labels_fit", "2 columns, 3 classes.")
class ColumnsForTwo(Twelve):
    """Grey images of several classes, one of which has no column."""

    def __init__(self, split) -> None:
        super().__init__(split)
        self.labels = np.eye(3, dtype=np.int64)[self.labels][:, :2]


@bad("origins_fit", "they are int64.")
class SignedOrigins(Twelve):
    """Grey images whose origins are the rows themselves."""

    origins = np.arange(12)


@bad("origins_fit", "their form is (11,), and there are 12 images.")
class OneOriginTooFew(Twelve):
    """Grey images, one of which has no origin."""

    origins = np.arange(11, dtype=np.uint64)


@bad("workers_can_have_it", "pickle: ")
class HoldsALambda(Twelve):
    """Grey images that are drawn by a lambda."""

    def __init__(self, split) -> None:
        super().__init__(split)
        self.draw = lambda index: np.full((8 + index, 2 * (8 + index), 1), index, np.uint8)

    def read(self, index, reduction):
        return self.draw(index)


@bad("workers_can_have_it", "image 0 differs in the copy.")
class LosesItsOffset(Twelve):
    """Grey images that are darker after pickle."""

    offset = 0

    def __init__(self, split) -> None:
        super().__init__(split)
        self.offset = 5

    def __getstate__(self):
        return {key: value for key, value in vars(self).items() if key != "offset"}

    def read(self, index, reduction):
        return super().read(index, reduction) + np.uint8(self.offset)
