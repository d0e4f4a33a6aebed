"""Trackers that break one promise each."""

from badness import Bads

bad = Bads("trackers")


class Quiet:
    """Takes numbers and drops them."""

    def __call__(self, step, numbers):
        """Drop them."""

    def close(self):
        """Nothing to close."""


@bad("takes_numbers_and_closes", "a run from the start: KeyError: 'lr'")
class ExpectsTheSameNames(Quiet):
    """Writes a table whose columns are those of the first step."""

    def __init__(self) -> None:
        self.columns = None

    def __call__(self, step, numbers):
        self.columns = self.columns or list(numbers)
        assert [numbers[name] for name in self.columns]


@bad("goes_on_after_a_stop", "a run from step 2: FileExistsError")
class BeginsAlwaysAnew(Quiet):
    """Writes a file that may not be there yet."""

    def __init__(self, folder) -> None:
        self.file = (folder / "numbers.txt").open("x", encoding="utf-8")

    def __call__(self, step, numbers):
        self.file.write(f"{step} {numbers}\n")

    def close(self):
        self.file.close()


@bad("closes_without_numbers", "opened and closed: AttributeError")
class OpensAtTheFirstNumber(Quiet):
    """Writes a file that is opened once there is a number."""

    def __init__(self, folder) -> None:
        self.path, self.file = folder / "numbers.txt", None

    def __call__(self, step, numbers):
        self.file = self.file or self.path.open("a", encoding="utf-8")

    def close(self):
        self.file.close()


@bad("numbers_are_left_alone", "they became {'lr': 0.1, 'knn_top1': 0.5}.")
class TakesTheLossOut(Quiet):
    """Prints the loss, and takes it out of the numbers."""

    def __call__(self, step, numbers):
        numbers.pop("loss", None)
