"""The schedule: equal to the authors' own code, to closed forms and to figures that a person can check."""

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sslkit.errors import UserError
from sslkit.schedule import lr_at, num_steps, peak_lr, warmup_steps


@pytest.mark.parametrize("case", range(5))
def test_agrees_with_the_official_code(shared: Path, case: int) -> None:
    golden = np.load(shared / "golden" / "schedule.npz")

    def read(key: str) -> Any:
        return golden[f"{case}_{key}"].item()

    peak = peak_lr(read("base_lr"), batch_size=read("batch"), scaling=read("scaling"))
    warmup = warmup_steps(float(read("warmup_epochs")), num_images=read("examples"), batch_size=read("batch"))
    assert warmup == read("warmup_steps")
    steps = golden[f"{case}_steps"].tolist()
    ours = [lr_at(step, steps=read("total_steps"), warmup_steps=warmup, peak=peak) for step in steps]
    np.testing.assert_allclose(ours, golden[f"{case}_lr"], rtol=1e-5, atol=1e-6 * peak)  # float32 has no finer cosine


def restated(step: int, steps: int, warmup: int, peak: float) -> float:
    if step < warmup:
        return float(Fraction(peak) * step / warmup)
    return peak * math.cos(math.pi / 2 * (step - warmup) / (steps - warmup)) ** 2  # (1 + cos x) / 2 = cos(x / 2)^2


runs = st.integers(1, 10_000).flatmap(lambda steps: st.tuples(st.just(steps), st.integers(0, steps - 1)))


@given(runs, st.floats(1e-6, 100.0), st.data())
def test_equals_the_restatement(run: tuple[int, int], peak: float, data: st.DataObject) -> None:
    steps, warmup = run
    step = data.draw(st.integers(0, steps))
    ours = lr_at(step, steps=steps, warmup_steps=warmup, peak=peak)
    assert math.isclose(ours, restated(step, steps, warmup, peak), rel_tol=1e-9, abs_tol=1e-12 * peak)
    assert ours == lr_at(step, steps=steps, warmup_steps=warmup, peak=peak)


@given(st.integers(1, 300).flatmap(lambda steps: st.tuples(st.just(steps), st.integers(0, steps - 1))))
def test_climbs_to_the_peak_and_falls_to_zero(run: tuple[int, int]) -> None:
    steps, warmup = run
    lrs = [lr_at(step, steps=steps, warmup_steps=warmup, peak=2.0) for step in range(steps + 1)]
    assert lrs[warmup] == max(lrs) == 2.0
    assert lrs[: warmup + 1] == sorted(lrs[: warmup + 1])
    assert lrs[warmup:] == sorted(lrs[warmup:], reverse=True)
    assert lrs[-1] == 0.0
    assert lrs[0] == (0.0 if warmup else 2.0)
    falls = [before + after for before, after in zip(lrs[warmup:], reversed(lrs[warmup:]), strict=True)]
    assert falls == pytest.approx([2.0] * len(falls))  # half a cosine is the same upside down


def test_by_hand() -> None:
    """Four steps of warm-up to 1, then eight of cosine: halfway down it is 1 / 2."""
    lrs = [lr_at(step, steps=12, warmup_steps=4, peak=1.0) for step in (0, 1, 2, 4, 6, 8, 10, 12)]
    assert lrs == pytest.approx([0, 0.25, 0.5, 1, (2 + 2**0.5) / 4, 0.5, (2 - 2**0.5) / 4, 0])


def test_a_warm_up_as_long_as_the_run_or_longer() -> None:
    assert [lr_at(step, steps=2, warmup_steps=4, peak=1.0) for step in (0, 1, 2)] == [0, 0.25, 0.5]
    assert [lr_at(step, steps=2, warmup_steps=2, peak=1.0) for step in (0, 1, 2)] == [0, 0.5, 0]


@pytest.mark.parametrize("step", [-1, 13])
def test_a_step_outside_of_the_run_is_our_mistake(step: int) -> None:
    with pytest.raises(AssertionError, match="12 steps"):
        lr_at(step, steps=12, warmup_steps=4, peak=1.0)


def test_the_paper_s_learning_rates() -> None:
    batches = (256, 512, 1024, 2048, 4096, 8192)
    linear = [peak_lr(0.3, batch_size=b, scaling="linear") for b in batches]
    sqrt = [peak_lr(0.075, batch_size=b, scaling="sqrt") for b in batches]
    assert linear == pytest.approx([0.3, 0.6, 1.2, 2.4, 4.8, 9.6])
    assert sqrt == pytest.approx([1.2, 1.697, 2.4, 3.394, 4.8, 6.788], abs=5e-4)
    assert peak_lr(0.3, batch_size=4096, scaling="none") == 0.3


def test_steps_drop_the_tail_of_each_epoch() -> None:
    assert num_steps(1_281_167, batch_size=4096, epochs=100) == 31_200
    assert num_steps(10, batch_size=4, epochs=3) == 6  # not 30 // 4
    assert num_steps(4, batch_size=4, epochs=1) == 1
    with pytest.raises(UserError, match=r"batch_size: a step takes 5 images, but there are only 4"):
        num_steps(4, batch_size=5, epochs=1)


def test_warm_up_rounds_down() -> None:
    assert warmup_steps(10.0, num_images=1_281_167, batch_size=4096) == 3127
    assert warmup_steps(10.0, num_images=50_000, batch_size=1024) == 488
    assert warmup_steps(0.5, num_images=50_000, batch_size=1024) == 24
    assert warmup_steps(0.0, num_images=50_000, batch_size=1024) == 0
