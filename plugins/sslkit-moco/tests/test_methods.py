"""Both methods: what sslkit asks of every method, the losses of their papers written out, and what queue and memory hold."""

import math

import pytest
import torch
from sslkit_moco import InstDisc, MoCo
from torch import nn

from sslkit import MLP, UserError
from sslkit.testing import conformance

test_moco = conformance("methods", "moco", parameters={"queue": 24, "momentum": 0.9})
test_instdisc = conformance("methods", "instdisc", parameters={"num_images": 50})


def built(kind, **parameters):
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.ReLU())
    return kind(backbone, MLP(8, out_dim=6), **parameters).double().train()


def views(n=4, number=2):
    torch.manual_seed(1)
    return [torch.rand(n, 3, 2, 2, dtype=torch.float64) for _ in range(number)]


def unit(z):
    return z / z.norm(dim=-1, keepdim=True)


def test_moco_s_loss_is_equation_1():
    method = built(MoCo, queue=5, temperature=0.3)
    queue = method.queue.clone()
    q, k = (z.detach() for z in method.project(views()))
    expected = 0.0
    for i in range(4):
        positive = math.exp(unit(q[i]) @ unit(k[i]) / 0.3)
        negatives = sum(math.exp(unit(q[i]) @ queue[j] / 0.3) for j in range(5))
        expected -= math.log(positive / (positive + negatives)) / 4
    assert method.objective(q, k)[0].item() == pytest.approx(expected, rel=1e-9)


def test_keys_replace_the_oldest_of_the_queue():
    method = built(MoCo, queue=6)
    before = method.queue.clone()
    keys = [torch.randn(4, 6, dtype=torch.float64) for _ in range(2)]
    for one in keys:
        method.objective(torch.randn(4, 6, dtype=torch.float64), one)
    assert torch.allclose(method.queue[4:], unit(keys[1][:2]))
    assert torch.allclose(method.queue[:2], unit(keys[1][2:]))
    assert torch.allclose(method.queue[2:4], unit(keys[0][2:]))
    assert int(method.oldest) == 2
    assert not torch.equal(before, method.queue)


def test_a_batch_larger_than_the_queue_leaves_its_last():
    method = built(MoCo, queue=3)
    keys = torch.randn(5, 6, dtype=torch.float64)
    method.objective(torch.randn(5, 6, dtype=torch.float64), keys)
    assert torch.allclose(method.queue, unit(keys[2:]))


def test_evaluation_leaves_queue_and_memory_alone():
    moco, instdisc = built(MoCo, queue=6).eval(), built(InstDisc, num_images=6).eval()
    queue, memory = moco.queue.clone(), instdisc.memory.clone()
    moco.objective(*moco.project(views()))
    instdisc.objective(*instdisc.project(views(number=1)), indices=torch.arange(4))
    assert torch.equal(moco.queue, queue)
    assert torch.equal(instdisc.memory, memory)


def test_the_key_network_follows():
    method = built(MoCo, queue=6, momentum=0.75)
    before = method.key_network[0][1].weight.clone()
    with torch.no_grad():
        method.backbone[1].weight += 1
    method.after_step(0.5)
    assert torch.allclose(method.key_network[0][1].weight, before + 0.25)
    method.objective(*method.project(views()))[0].backward()
    assert all(one.grad is None for one in method.key_network.parameters())


def test_instdisc_s_loss_is_equation_2():
    method = built(InstDisc, num_images=7, temperature=0.4)
    memory, indices = method.memory.clone(), torch.tensor([6, 0, 3, 2])
    z = method.project(views(number=1))[0].detach()
    expected = 0.0
    for i, index in enumerate(indices.tolist()):
        each = [math.exp(memory[j] @ unit(z[i]) / 0.4) for j in range(7)]
        expected -= math.log(each[index] / sum(each)) / 4
    assert method.objective(z, indices=indices)[0].item() == pytest.approx(expected, rel=1e-9)


def test_the_memory_follows_its_images_alone():
    method = built(InstDisc, num_images=7, momentum=0.25)
    before, indices = method.memory.clone(), torch.tensor([6, 0])
    z = torch.randn(2, 6, dtype=torch.float64)
    method.objective(z, indices=indices)
    assert torch.allclose(method.memory[indices], unit(0.25 * before[indices] + 0.75 * unit(z)))
    assert torch.equal(method.memory[1:6], before[1:6])


def test_more_images_than_rows():
    with pytest.raises(UserError, match=r"method\.num_images: is 3, and the images go up to number 5"):
        built(InstDisc, num_images=3).objective(torch.randn(1, 6, dtype=torch.float64), indices=torch.tensor([5]))
