"""Components that break what is asked of every kind; they are losses, and good ones otherwise."""

from typing import Annotated, Any

from badness import Bads
from pydantic import AfterValidator

bad = Bads("losses")


def distance(z1, z2):
    return (z1 - z2).square().sum(dim=1).mean()


@bad("says_what_it_is", "the docstring begins 'From 2006.'")
class NoWords:
    """From 2006."""

    def __call__(self, z1, z2):
        return distance(z1, z2)


@bad("defaults_are_valid", "margin = 0.3 comes back as 0.003.")
class ConvertsAgain:
    """Squared distance, with a margin in percent that is converted each time it is read (Hadsell et al., 2006)."""

    def __init__(self, *, margin: Annotated[float, AfterValidator(lambda percent: percent / 100)] = 30.0) -> None:
        self.margin = margin

    def __call__(self, z1, z2):
        return distance(z1, z2) + self.margin


@bad(
    "defaults_are_valid",
    "the section of a recipe without them: ValidationError",
    also=dict.fromkeys(
        (
            "gives_a_scalar",
            "gradients_are_finite_and_reach_every_view",
            "order_of_images_is_irrelevant",
            "matched_views_cost_less",
            "gradient_is_the_derivative",
            "autocast_changes_little",
            "degenerate_batches_are_survived",
            "processes_equal_one",
            "pickles",
            "tensors_move_with_it",
        ),
        "no recipe can build it",
    ),
)
class DefaultOfAnotherType:
    """Squared distance, with a list where the type says tuple (Hadsell et al., 2006)."""

    def __init__(self, *, weights: tuple[float, float] = [1.0, 1.0]) -> None:
        self.weights = weights

    def __call__(self, z1, z2):
        return distance(z1, z2) * self.weights[0]


@bad("wrong_types_are_refused", "margin takes {'no'")
class TakesAnything:
    """Squared distance, with a margin of any type (Hadsell et al., 2006)."""

    def __init__(self, *, scale: float = 1.0, margin: Any = None) -> None:
        self.scale, self.margin = scale, margin

    def __call__(self, z1, z2):
        return distance(z1, z2) * self.scale


@bad("wrong_types_are_refused", "margin takes {'no'", parameters={"scale": 2})
class TakesAnythingBesides:
    """Squared distance, with a margin of any type beside a parameter that a recipe must give (Hadsell et al., 2006)."""

    def __init__(self, *, scale: float, margin: Any = None) -> None:
        self.scale, self.margin = scale, margin

    def __call__(self, z1, z2):
        return distance(z1, z2) * self.scale
