"""The watch over a run's numbers: what is not finite stops it before the update, and a collapse is said once."""

from __future__ import annotations

import contextlib
import io
import json
import math

import failing
import pytest
import torch
from rich.console import Console
from small import TEXT, newest_checkpoint
from torch import nn

from sslkit import checkpoint, collapse, finite, watch
from sslkit.collapse import projections, spread, warning
from sslkit.errors import NonFiniteError, OtherRankFailed, ResourceError
from sslkit.progress import Lines
from sslkit.recipe import Recipe
from sslkit.run import run
from sslkit.testing.ranks import on_ranks

NO_EVALUATION = "evaluate=[]"


@pytest.fixture(autouse=True)
def components():
    failing.register()
    yield
    failing.forget()


def trained(folder, *overrides):
    """What a run says."""
    said = io.StringIO()
    recipe = Recipe.parse(TEXT, name="small", overrides=[NO_EVALUATION, *overrides])
    run(recipe, folder, report=Lines(Console(file=said, width=1000)))
    return said.getvalue()


def network(*gradients):
    """Parameters `0`, `1`, ... with these gradients."""
    module = nn.ParameterList([nn.Parameter(torch.zeros(2)) for _ in gradients])
    for parameter, gradient in zip(module, gradients, strict=True):
        parameter.grad = None if gradient is None else torch.tensor([1.0, gradient])
    return module.named_parameters()


def complaint(loss=1.0, scalars=(), gradients=(0.5,)):
    named = {name: torch.tensor(value) for name, value in dict(scalars).items()}
    return finite.complaint(torch.tensor(loss), named, parameters=network(*gradients))


class TestComplaint:
    def test_finite_numbers(self):
        assert complaint() == ""
        assert complaint(gradients=(None, 1.0)) == ""
        assert complaint(gradients=()) == ""

    def test_a_norm_that_overflows_is_no_complaint(self):
        assert torch.tensor([1e30, 1e30]).norm().isinf()
        assert complaint(gradients=(1e30, -3e38)) == ""

    @pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
    def test_a_gradient(self, bad):
        expected = "the gradient of 1 is not finite (2 of 3 parameters have such a gradient)"
        assert complaint(gradients=(1e30, bad, None, bad)) == expected

    @pytest.mark.parametrize("bad", [math.nan, math.inf])
    def test_the_loss_and_its_numbers(self, bad):
        scalars = {"accuracy": 0.5, "entropy": -math.inf}
        assert complaint(bad, scalars) == f"the loss is {bad}, and of the numbers beside it entropy is -inf"
        assert complaint(bad, {"accuracy": 0.5}, gradients=(math.nan,)) == f"the loss is {bad}"

    def test_a_number_beside_a_finite_loss_moves_nothing(self):
        assert complaint(scalars={"entropy": math.nan}) == ""

    def test_a_large_loss_in_double_precision(self):
        assert finite.complaint(torch.tensor(1e300, dtype=torch.float64), {}, parameters=network(1.0)) == ""


@pytest.mark.parametrize("sliced", [False, True])
@pytest.mark.parametrize(
    ("what", "named"),
    [
        ("value", "the loss is inf, and of the numbers beside it contrast_entropy is nan at step 5; "),
        (
            "gradient",
            r"the gradient of backbone\.\S+ is not finite \((\d+) of \1 parameters have such a gradient\) at step 5; ",
        ),
    ],
)
@pytest.mark.fault(
    "a loss or gradient that is not finite",
    injected="made infinite at a step",
    expected="the run stops before the update, with step and place",
    theme="numbers",
)
def test_a_run_stops_before_the_update(tmp_path, what, named, sliced):
    overrides = (f'loss={{name="breaking", what="{what}"}}', *(["train.micro_batch=6"] if sliced else []))
    with pytest.raises(NonFiniteError, match=named) as error:
        trained(tmp_path / "run", *overrides)
    last = newest_checkpoint(tmp_path / "run")
    assert f"nothing was updated with it. The last checkpoint is {last}. `sslkit replay {tmp_path}/run`" in str(error.value)
    assert checkpoint.load(last).facts["step"] == 3
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == failing.AT - 1
    note = json.loads((tmp_path / "run" / "stopped.json").read_text())
    assert note["step"] == failing.AT
    assert str(error.value).startswith(note["what"])


@pytest.mark.fault(
    "an update with numbers that are not finite",
    injected="made so at a step",
    expected="weights and checkpoint are those of the step before",
    theme="numbers",
)
def test_the_weights_stay_those_of_the_step_before(tmp_path, monkeypatch):
    kept = []
    original = torch.optim.Optimizer.zero_grad

    def weights(optimizer):
        return [one.detach().clone() for group in optimizer.param_groups for one in group["params"]]

    def note(optimizer, *arguments, **options):
        kept.append((optimizer, weights(optimizer)))
        original(optimizer, *arguments, **options)

    monkeypatch.setattr(torch.optim.Optimizer, "zero_grad", note)
    with pytest.raises(NonFiniteError):
        trained(tmp_path / "run", 'loss={name="breaking", what="gradient"}')
    assert len(kept) == failing.AT - 1
    optimizer, last = kept[-1]
    assert all(torch.equal(a, b) for a, b in zip(weights(optimizer), last, strict=True))


def test_the_note_goes_when_the_run_goes_on(tmp_path, monkeypatch):
    loss = 'loss={name="breaking"}'
    with pytest.raises(NonFiniteError):
        trained(tmp_path / "run", loss)
    monkeypatch.setattr(failing, "_IMAGES", [])
    assert "goes on after step 3 of 9" in trained(tmp_path / "run", loss)
    assert not (tmp_path / "run" / "stopped.json").exists()


def test_a_weight_that_is_not_finite_is_in_no_checkpoint(tmp_path):
    """An update can overflow though its gradient does not, and the epoch ends before the next loss shows it."""
    overrides = (
        "data.num_images=16",
        "train.warmup_epochs=0",
        "train.base_lr=3e38",
        "train.lr_scaling=none",
        "loss.temperature=1e-3",
    )
    overrides += ('optimizer={name="sgd"}',)
    with pytest.raises(
        NonFiniteError, match=r"^backbone\.\S+ is not finite \(\d+ of \d+ parameters are not\) after the update"
    ):
        trained(tmp_path / "run", *overrides)
    assert list((tmp_path / "run" / "checkpoints").glob("*")) == []
    assert json.loads((tmp_path / "run" / "stopped.json").read_text())["step"] == 1


@pytest.mark.fault(
    "a full disk while a number that is not finite is reported",
    injected="a write that fails",
    expected="the number is still told",
    theme="resources",
)
def test_a_disk_that_is_full_does_not_hide_the_number(tmp_path, monkeypatch):
    def full(path, _):
        raise ResourceError(f"{path}: can't be written")

    monkeypatch.setattr(watch, "write", full)
    with pytest.raises(NonFiniteError, match=r"the loss is inf.*stopped\.json: can't be written"):
        trained(tmp_path / "run", 'loss={name="breaking"}')


def on_rank(folder, *overrides):
    failing.register()
    try:
        trained(folder, *overrides)
    except NonFiniteError as error:
        return f"stopped, {error.exit_status}, {error}"
    except OtherRankFailed as error:
        return f"followed, {error.exit_status}"
    return "done"


def warned_on_rank(folder, *overrides):
    failing.register()
    return trained(folder, *overrides).count("collapses")


@pytest.mark.parametrize("head", ['head={name="poisoned"}', 'loss={name="breaking"}'])
@pytest.mark.fault(
    "a number that is not finite on one rank alone",
    injected="an infinite gradient on the second of 2 ranks",
    expected="both stop before the update, with one report",
    theme="several processes",
)
def test_all_ranks_end_alike(tmp_path, head):
    """The gradient is not finite on the second rank alone, until it is averaged; the loss is infinite on both."""
    first, second = on_ranks(2, on_rank, tmp_path / "run", head)
    assert first.startswith("stopped, 6, the gradient of backbone." if "head" in head else "stopped, 6, the loss is inf")
    assert second == "followed, 6"
    assert json.loads((tmp_path / "run" / "stopped.json").read_text())["step"] == (1 if "head" in head else failing.AT)


class TestSpread:
    def test_by_hand(self):
        """Rows e1, -e1, e2, -e2: each of two dimensions has the values 1, -1, 0, 0."""
        z = torch.tensor([[2.0, 0], [-1, 0], [0, 3], [0, -1]])
        found = spread(z)
        assert found.std == pytest.approx(math.sqrt(0.5) * math.sqrt(2))
        p = [math.sqrt(5) / (math.sqrt(5) + math.sqrt(10)), math.sqrt(10) / (math.sqrt(5) + math.sqrt(10))]
        assert found.rank == pytest.approx(math.exp(-sum(one * math.log(one) for one in p)), rel=1e-5)

    def test_an_even_spread(self):
        z = torch.randn(4096, 32, generator=torch.Generator().manual_seed(0))
        assert spread(z).std == pytest.approx(1, abs=0.02)
        assert spread(z).rank > 30
        assert warning(z) == ""

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
    def test_all_the_same(self, dtype):
        z = (torch.randn(1, 32, generator=torch.Generator().manual_seed(0)) * torch.rand(64, 1)).to(dtype)
        assert "all images have nearly the same projection z" in warning(z)
        assert "all images have nearly the same projection z" in warning(torch.zeros(64, 32, dtype=dtype))

    def test_on_a_line(self):
        z = torch.randn(1, 32) * torch.where(torch.arange(64) % 2 == 0, 1.0, -1.0)[:, None]
        assert "lie nearly on one line" in warning(z)
        assert warning(z[:, :1]) == ""  # one dimension is a line

    def test_what_says_nothing(self):
        assert warning(torch.ones(15, 8)) == ""  # too few
        assert warning(torch.full((64, 8), math.nan)) == ""  # not finite: another matter
        assert math.isnan(spread(torch.full((64, 8), math.nan)).std)

    def test_many_dimensions_take_no_time(self):
        assert spread(torch.randn(600, 8192)).rank > 200


@pytest.mark.parametrize("overrides", [(), ("train.micro_batch=6",), ("train.online_probe=true",)])
@pytest.mark.fault(
    "a representation that collapses",
    injected="a network that gives all images one z",
    expected="said once, in words",
    theme="numbers",
)
def test_a_collapse_is_said_once(tmp_path, overrides):
    said = trained(tmp_path / "run", 'head={name="constant"}', *overrides)
    assert said.count("the representation collapses") == 1
    assert "step 1: warning: the representation collapses: all images have nearly the same projection z" in said
    assert "a smaller train.base_lr" in said


def test_a_healthy_run_says_nothing_of_it(tmp_path, monkeypatch):
    looked = []
    monkeypatch.setattr(collapse, "warning", lambda z: looked.append(z.shape) or warning(z))
    said = trained(tmp_path / "run", "train.log_every=2", "train.micro_batch=6")
    assert "collapse" not in said
    assert looked == [(32, 8)] * 5  # steps 2, 4, 6, 8, and 9, the last; both views of 16 images, once


def test_the_log_is_the_same_whether_it_is_looked_at_or_not(tmp_path, monkeypatch):
    trained(tmp_path / "seen")
    monkeypatch.setattr("sslkit.running.Watched", lambda backward, **_: backward)
    trained(tmp_path / "unseen")
    for name in ("metrics.jsonl", "encoder.safetensors"):
        assert (tmp_path / "seen" / name).read_bytes() == (tmp_path / "unseen" / name).read_bytes()


def test_z_of_all_ranks_are_looked_at_together(tmp_path):
    """Each rank has one z for all of its images, and they are two."""
    assert on_ranks(2, warned_on_rank, tmp_path / "two", 'head={name="constant", of_rank=true}') == [0, 0]
    assert on_ranks(2, warned_on_rank, tmp_path / "one", 'head={name="constant"}') == [1, 0]  # the leader speaks


def test_the_head_keeps_no_hook():
    """Networks are copied for evaluation, and what was seen must not go along."""
    method = nn.Module()
    method.head = nn.Linear(2, 3)
    seen = _seen_before_it_fails(method)
    assert [one.shape for one in seen] == [(4, 3)]
    assert not seen[0].requires_grad
    assert len(method.head._forward_hooks) == 0


def _seen_before_it_fails(method):
    with contextlib.suppress(KeyError), projections(method) as seen:
        method.head(torch.ones(4, 2))
        with torch.no_grad():
            method.head(torch.ones(4, 2))
        raise KeyError
    return seen
