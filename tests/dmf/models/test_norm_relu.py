"""Batch norm and ReLU in one operation, held to the two modules in float64."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from dmf import kernels
from dmf.models.norm_relu import NormReLU

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 6e-3}
SHAPES = ((2, 3, 5, 7), (8, 16, 32, 32), (3, 20, 9, 11), (2, 8, 4, 6, 5))
compiled = pytest.mark.skipif(not kernels.installed(), reason="needs numba")


def norm_of(channels: int, dimensions: int) -> nn.Module:
    """A norm of which nothing has its first value."""
    norm = (nn.BatchNorm2d if dimensions == 4 else nn.BatchNorm3d)(channels, eps=1e-3, momentum=0.3)
    with torch.no_grad():
        for tensor in (norm.weight, norm.bias, norm.running_mean):
            tensor.normal_()
    return norm


def last(x: Tensor) -> Tensor:
    """With channels last."""
    return x.contiguous(memory_format=torch.channels_last if x.ndim == 4 else torch.channels_last_3d)


def relative(found: Tensor, expected: Tensor) -> float:
    return ((found.double() - expected).abs().max() / expected.abs().max()).item()


@compiled
@pytest.mark.parametrize("sliced", [False, True], ids=["whole", "part of a concatenation"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_it_is_the_two_modules_in_float64(dtype: torch.dtype, shape: tuple[int, ...], sliced: bool) -> None:
    norm = norm_of(shape[1], len(shape))
    oracle = copy.deepcopy(norm).double()
    x = last((2 * torch.randn(shape) + 3).to(dtype)).requires_grad_()
    exact = x.detach().double().requires_grad_()
    wide = last(torch.randn(shape[0], 2 * shape[1], *shape[2:]).to(dtype))
    gradient = wide[:, shape[1] :] if sliced else last(wide[:, : shape[1]].clone())

    out = NormReLU(norm, nn.ReLU())(x)
    found = torch.autograd.grad(out, (x, norm.weight, norm.bias), gradient)
    expected = torch.relu(oracle(exact))
    wanted = torch.autograd.grad(expected, (exact, oracle.weight, oracle.bias), gradient.double())

    assert type(out.grad_fn).__name__ == "_NormReLUBackward"
    assert out.stride() == x.stride()
    assert out.dtype == dtype
    assert relative(out, expected) < TOLERANCE[dtype]
    assert all(relative(one, other) < TOLERANCE[dtype] for one, other in zip(found, wanted, strict=True))
    assert relative(norm.running_mean, oracle.running_mean) < 1e-6
    assert relative(norm.running_var, oracle.running_var) < 3e-6
    assert norm.num_batches_tracked == oracle.num_batches_tracked == 1


@compiled
def test_gradients_of_two_ways_that_the_output_goes_add_up() -> None:
    norm = norm_of(12, 4)
    module, plain = NormReLU(norm, nn.ReLU()), nn.Sequential(copy.deepcopy(norm), nn.ReLU())
    x = last(torch.randn(4, 12, 8, 8)).requires_grad_()
    skip, pooled = module.branched(x)
    loss = (torch.cat([skip, skip], 1) ** 2).sum() + nn.functional.max_pool2d(pooled, 2).sum()
    out = plain(x)
    same = (torch.cat([out, out], 1) ** 2).sum() + nn.functional.max_pool2d(out, 2).sum()
    torch.testing.assert_close(*(torch.autograd.grad(one, x)[0] for one in (loss, same)), rtol=1e-4, atol=1e-4)
    (alone,) = torch.autograd.grad(module.branched(x)[0].sum(), x)  # of a way that leads nowhere there is none
    torch.testing.assert_close(alone, torch.autograd.grad(plain(x).sum(), x)[0], rtol=1e-5, atol=1e-5)


@compiled
def test_a_constant_far_from_zero_costs_no_digits() -> None:
    norm = nn.BatchNorm2d(4)
    x = last(1e4 + torch.randn(4, 4, 32, 32))
    out = NormReLU(norm, nn.ReLU())(x)
    expected = torch.relu(nn.BatchNorm2d(4).double()(x.double()))
    torch.testing.assert_close(out.double(), expected, rtol=1e-4, atol=2e-3)  # x itself has 1e-3 of a deviation


@compiled
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_the_number_of_threads_changes_no_bit(dtype: torch.dtype, set_threads: Callable[[int], None]) -> None:
    x = last(torch.randn(8, 16, 64, 64).to(dtype)).requires_grad_()
    gradient = last(torch.randn(8, 32, 64, 64).to(dtype))[:, 16:]
    found = []
    for threads in (1, 2, 3):
        set_threads(threads)
        torch.manual_seed(0)
        norm = norm_of(16, 4)
        out = NormReLU(norm, nn.ReLU())(x)
        found.append([out, *torch.autograd.grad(out, (x, norm.weight, norm.bias), gradient), norm.running_var])
    for one, other in itertools.pairwise(found):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@compiled
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_what_is_not_finite_stays_visible(value: float) -> None:
    x = last(torch.randn(2, 4, 8, 8))
    x[0, 1, 2, 3] = value
    out = NormReLU(nn.BatchNorm2d(4), nn.ReLU())(x.requires_grad_())
    assert out[:, 1].isnan().all()
    assert out[:, [0, 2, 3]].isfinite().all()


@compiled
def test_its_gradient_can_be_differentiated_again() -> None:
    norm = norm_of(3, 4).double()
    single = copy.deepcopy(norm).float()
    x = last(torch.randn(2, 3, 4, 4))

    def curvature(module: nn.Module, x: Tensor) -> Tensor:
        x = x.clone(memory_format=torch.preserve_format).requires_grad_()
        (slope,) = torch.autograd.grad(module(x).square().sum(), x, create_graph=True)
        return torch.autograd.grad(slope.square().sum(), x)[0]

    found = curvature(NormReLU(single, nn.ReLU()), x)
    expected = curvature(nn.Sequential(norm, nn.ReLU()), x.double())
    torch.testing.assert_close(found.double(), expected, rtol=1e-3, atol=1e-3)


@compiled
def test_a_batch_of_gradients_goes_through_vmap() -> None:
    norm = norm_of(3, 4)
    x, gradients = last(torch.randn(2, 3, 4, 4)).requires_grad_(), torch.randn(5, 2, 3, 4, 4)
    out = NormReLU(norm, nn.ReLU())(x)
    (together,) = torch.autograd.grad(out, x, gradients, is_grads_batched=True, retain_graph=True)
    alone = torch.stack([torch.autograd.grad(out, x, one, retain_graph=True)[0] for one in gradients])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def seen_by_hook(module: NormReLU) -> None:
    module[1].register_forward_hook(lambda *_: None)


def synchronised(module: NormReLU) -> None:
    module[0] = nn.SyncBatchNorm.convert_sync_batchnorm(module[0])
    module[0].eval()


def in_evaluation(module: NormReLU) -> None:
    module.eval()


def cumulative(module: NormReLU) -> None:
    module[0].momentum = None


@pytest.mark.parametrize("change", [seen_by_hook, synchronised, in_evaluation, cumulative])
def test_otherwise_the_modules_work_one_after_the_other(change: object) -> None:
    module = NormReLU(nn.BatchNorm2d(3), nn.ReLU())
    plain = nn.Sequential(*copy.deepcopy(list(module)))
    change(module)  # type: ignore[operator]
    change(plain)  # type: ignore[operator]
    x = last(torch.randn(2, 3, 4, 4)).requires_grad_()
    assert torch.equal(module(x), plain(x))
    assert module(x).grad_fn.name() == "ReluBackward0"


def test_without_numba_torch_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "installed", lambda: False)
    x = last(torch.randn(2, 3, 4, 4)).requires_grad_()
    assert NormReLU(nn.BatchNorm2d(3), nn.ReLU())(x).grad_fn.name() == "ReluBackward0"


def test_one_value_of_a_channel_is_refused_as_by_torch() -> None:
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        NormReLU(nn.BatchNorm2d(3), nn.ReLU())(torch.randn(1, 3, 1, 1))
