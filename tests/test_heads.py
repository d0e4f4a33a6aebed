"""The heads are the authors' layers: what they compute, how they start, what they train."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from sslkit.errors import UserError
from sslkit.heads.identity import Identity
from sslkit.heads.layers import hidden_layer, output_layer
from sslkit.heads.linear import LinearHead
from sslkit.heads.mlp import MLP

EPS = 1e-5


def normalised(x: Tensor, gamma: Tensor, beta: float | Tensor = 0.0) -> Tensor:
    """Batch norm of (n, d), a column at a time, as it is defined."""
    columns = []
    for column in x.T:
        mean = sum(column) / len(column)
        variance = sum((column - mean) ** 2) / len(column)
        columns.append((column - mean) / torch.sqrt(variance + EPS))
    return torch.stack(columns, 1) * gamma + beta


def scrambled(head: nn.Module) -> nn.Module:
    """The head in float64 with all parameters away from where they start."""
    for p in head.double().parameters():
        nn.init.normal_(p)
    return head


def test_linear_head_is_its_formula() -> None:
    torch.manual_seed(0)
    head = scrambled(LinearHead(5, out_dim=3))
    h = torch.randn(7, 5, dtype=torch.float64)
    torch.testing.assert_close(head(h), normalised(h @ head.output.linear.weight.T, head.output.norm.weight))


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
def test_mlp_is_its_formula(layers: int) -> None:
    torch.manual_seed(0)
    head = scrambled(MLP(5, layers=layers, out_dim=3))
    h = x = torch.randn(7, 5, dtype=torch.float64)
    assert len(head.hidden) == layers - 1
    for layer in head.hidden:
        x = normalised(x @ layer.linear.weight.T, layer.norm.weight, layer.norm.bias).clamp(min=0)
    torch.testing.assert_close(head(h), normalised(x @ head.output.linear.weight.T, head.output.norm.weight))


def test_mlp_without_batch_norm_is_its_formula() -> None:
    torch.manual_seed(0)
    head = scrambled(MLP(5, hidden_dim=4, out_dim=3, batch_norm=False))
    h = torch.randn(7, 5, dtype=torch.float64)
    first, last = head.hidden[0].linear, head.output.linear
    expected = (h @ first.weight.T + first.bias).clamp(min=0) @ last.weight.T + last.bias
    torch.testing.assert_close(head(h), expected)


def test_linear_head_by_hand() -> None:
    head = LinearHead(2, out_dim=1)
    head.output.linear.weight.data = torch.tensor([[1.0, 2.0]])
    head.output.norm.weight.data = torch.tensor([3.0])
    h = torch.tensor([[1.0, 0.0], [1.0, 1.0]])  # W h = 1 and 3: mean 2, standard deviation 1
    torch.testing.assert_close(head(h), torch.tensor([[-3.0], [3.0]]), rtol=1e-4, atol=0)


def test_mlp_by_hand() -> None:
    head = MLP(2, out_dim=1, batch_norm=False)
    head.hidden[0].linear.weight.data = torch.tensor([[1.0, 0.0], [0.0, -1.0]])
    head.output.linear.weight.data = torch.tensor([[1.0, 10.0]])
    h = torch.tensor([[2.0, 3.0], [-2.0, -3.0]])  # relu(W1 h) = (2, 0) and (0, 3)
    assert head(h).tolist() == [[2.0], [30.0]]


def test_identity() -> None:
    h = torch.randn(3, 4)
    assert Identity(4)(h) is h
    assert Identity(4).out_dim == 4
    assert not list(Identity(4).parameters())


@pytest.mark.parametrize("head", [LinearHead(6, out_dim=4), MLP(6, layers=3, out_dim=4)])
def test_last_batch_norm_has_no_shift(head: LinearHead | MLP) -> None:
    assert head.output.norm.bias is None
    assert head.output.linear.bias is None
    assert "output.norm.bias" not in head.state_dict()
    z = head(torch.randn(32, 6))
    torch.testing.assert_close(z.mean(0), torch.zeros(4), atol=1e-6, rtol=0)


@pytest.mark.parametrize("batch_norm", [True, False])
def test_state_loads_strictly_and_gives_the_same_bits(batch_norm: bool) -> None:
    torch.manual_seed(0)
    head = MLP(6, layers=3, hidden_dim=5, out_dim=4, batch_norm=batch_norm)
    h = torch.randn(8, 6)
    head(h)
    other = MLP(6, layers=3, hidden_dim=5, out_dim=4, batch_norm=batch_norm)
    other.load_state_dict(head.state_dict(), strict=True)
    assert torch.equal(head.eval()(h), other.eval()(h))


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_gradient_reaches_every_parameter(layers: int, batch_norm: bool) -> None:
    torch.manual_seed(0)
    head = MLP(6, layers=layers, out_dim=4, batch_norm=batch_norm)
    z = head(torch.randn(8, 6))
    (z * torch.randn_like(z)).sum().backward()
    assert [name for name, p in head.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_names_and_shapes() -> None:
    shapes = {name: tuple(p.shape) for name, p in MLP(6, layers=3, hidden_dim=5, out_dim=4).named_parameters()}
    assert shapes == {
        "hidden.0.linear.weight": (5, 6),
        "hidden.0.norm.weight": (5,),
        "hidden.0.norm.bias": (5,),
        "hidden.1.linear.weight": (5, 5),
        "hidden.1.norm.weight": (5,),
        "hidden.1.norm.bias": (5,),
        "output.linear.weight": (4, 5),
        "output.norm.weight": (4,),
    }


@pytest.mark.parametrize("layer", [hidden_layer, output_layer])
def test_weights_start_small(layer: type) -> None:
    torch.manual_seed(0)
    made = layer(500, 400, batch_norm=False)
    weight = made.linear.weight
    assert weight.std().item() == pytest.approx(0.01, rel=0.01)
    assert abs(weight.mean().item()) < 5 * 0.01 / math.sqrt(weight.numel())
    assert not made.linear.bias.any()
    norm = layer(3, 2, batch_norm=True).norm
    assert (norm.eps, norm.momentum) == (EPS, 0.1)
    assert norm.weight.tolist() == [1.0, 1.0]


def test_single_layer_has_nothing_hidden() -> None:
    with pytest.raises(UserError, match="^hidden_dim: is 7, but layers = 1 leaves nothing hidden"):
        MLP(6, layers=1, hidden_dim=7)


def test_single_layer_mlp_is_the_linear_head() -> None:
    h = torch.randn(8, 6)
    mlp, linear = MLP(6, layers=1, out_dim=4), LinearHead(6, out_dim=4)
    linear.load_state_dict(mlp.state_dict(), strict=True)
    assert torch.equal(mlp(h), linear(h))


@given(st.floats(0.1, 100), st.floats(-10, 10), st.integers(0, 2**32))
def test_scale_and_offset_of_h_do_not_matter(scale: float, offset: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    h = torch.randn(16, 6, generator=generator, dtype=torch.float64)
    head = scrambled(MLP(6, out_dim=4))
    torch.testing.assert_close(head(h * scale + offset), head(h), rtol=1e-2, atol=1e-2)  # but for eps


def test_learns_xor() -> None:
    torch.manual_seed(0)
    head = MLP(2, hidden_dim=16, out_dim=1)
    h = torch.randint(0, 2, (64, 2)).float() + 0.05 * torch.randn(64, 2)
    target = torch.where((h[:, :1] > 0.5) ^ (h[:, 1:] > 0.5), 1.0, -1.0)
    target = target - target.mean()  # the last batch norm has no shift to learn
    optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
    losses = []
    for _ in range(60):
        loss = nn.functional.mse_loss(head(h), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]
