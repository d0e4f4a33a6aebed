"""Evaluations that break one promise each."""

import numpy as np
from badness import Bads

bad = Bads("evaluations")


class Spread:
    """The spread of the features (Welford, 1962)."""

    def __call__(self, test):
        return [("spread", float(test.h.std()))]


@bad("gives_named_numbers", "['spread', 1.0] is no pair.")
class GivesLists:
    """The spread of the features (Welford, 1962), in lists."""

    def __call__(self, test):
        return [["spread", 1.0]]


@bad("gives_named_numbers", "spread is None: TypeError")
class GivesNothing:
    """The spread of the features (Welford, 1962), left out."""

    def __call__(self, test):
        return [("spread", None)]


@bad("gives_named_numbers", "it gives nothing, and its folder is empty.")
class LeavesNoTrace:
    """The spread of the features (Welford, 1962), which nobody sees."""

    def __call__(self, test):
        return []


@bad("gives_named_numbers", "spread is nan.", also={"same_seed_same_numbers": "what is not a number equals nothing"})
class NotANumber:
    """The spread of no features (Welford, 1962)."""

    def __call__(self, test):
        return [("spread", float("nan"))]


@bad("same_seed_same_numbers", "and then")
class AnotherChance:
    """The spread of some features (Welford, 1962) that numpy draws."""

    def __call__(self, test):
        return [("spread", float(np.random.default_rng().choice(test.h.ravel(), 9).std()))]


@bad("same_seed_same_numbers", "it gives ['spread_")
class AnotherName:
    """The spread of the features (Welford, 1962), under a name of chance."""

    def __call__(self, test):
        return [(f"spread_{np.random.default_rng().integers(1 << 40)}", 1.0)]


@bad("same_seed_same_numbers", "points.bin is another file the second time.")
class DrawsByChance:
    """The spread of the features (Welford, 1962), drawn from points of chance."""

    def __call__(self, folder):
        (folder / "points.bin").write_bytes(np.random.default_rng().bytes(16))
        return []


@bad("nothing_is_changed", "features of train changed.")
class CentersInPlace:
    """The spread of the features (Welford, 1962), centred where they lie."""

    def __call__(self, train):
        train.h[:] -= train.h.mean(axis=0)
        return [("spread", float(np.sqrt(np.square(train.h).mean())))]


@bad("nothing_is_changed", "the encoder was left in train mode.")
class LeavesTrainMode(Spread):
    """The spread of the features (Welford, 1962), and the encoder is left in train mode."""

    def __call__(self, test, encoder):
        encoder.train()
        return super().__call__(test)


@bad("protocol_can_be_written_down", "settings(48) is {'rows': 48, 'scale': np.float32(1.0)}: TypeError")
class SettingsOfNumpy(Spread):
    """The spread of the features (Welford, 1962), with settings that JSON does not know."""

    def settings(self, num_images):
        return {"rows": num_images, "scale": np.float32(1.0)}


@bad("protocol_can_be_written_down", "law is 3.")
class ProtocolInNumbers(Spread):
    """The spread of the features (Welford, 1962), with a number for a law."""

    law = 3


@bad("labels_are_looked_at_beforehand", "check refuses 48 labelled images: IndexError")
class ChecksTheFeatures(Spread):
    """The spread of the features (Welford, 1962), checked by features that are not there yet."""

    def check(self, train, test):
        assert np.isfinite(train.h[0, 0])


@bad("cites_a_source", "neither names a source.")
class FromNowhere:
    """The spread of the features."""

    def __call__(self, test):
        return [("spread", float(test.h.std()))]
