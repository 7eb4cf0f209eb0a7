"""Convolutions and norms with training passes of their own: torch's values and gradients."""

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from hwnas.core.tensor_type import TensorType
from hwnas.graph import depthwise
from hwnas.graph.depthwise import Depthwise
from hwnas.graph.norm import Norm
from hwnas.graph.op import Op
from hwnas.graph.ops.conv import Conv
from hwnas.graph.ops.factorised_reduction import FactorisedReduction
from hwnas.graph.pointwise import Pointwise
from hwnas.graph.twice import differentiated_twice

FILTERS = [(1, 1, 1), (3, 1, 1), (3, 1, 2), (5, 1, 1), (5, 1, 2), (7, 1, 1), (3, 2, 1), (3, 2, 2)]
FILTERS += [(5, 2, 4), (5, 2, 3)]
Kinds = tuple[Callable[[], nn.Module], Callable[[], nn.Module]]


def _depthwise(kernel: int, stride: int, dilation: int) -> Kinds:
    padding = dilation * (kernel - 1) // 2
    settings = (4, 4, kernel, stride, padding, dilation, 4, False)
    return lambda: Depthwise(*settings), lambda: nn.Conv2d(*settings)


PAIRS: dict[str, Kinds] = {
    **{f"depthwise {k}x{k} /{s} d{d}": _depthwise(k, s, d) for k, s, d in FILTERS},
    "depthwise unpadded": (
        lambda: Depthwise(4, 4, 3, groups=4, bias=False),
        lambda: nn.Conv2d(4, 4, 3, groups=4, bias=False),
    ),
    "depthwise with bias": (
        lambda: Depthwise(4, 4, 3, padding=1, groups=4),
        lambda: nn.Conv2d(4, 4, 3, padding=1, groups=4),
    ),
    "pointwise": (
        lambda: Pointwise(4, 6, 1, bias=False),
        lambda: nn.Conv2d(4, 6, 1, bias=False),
    ),
    "pointwise /2": (
        lambda: Pointwise(4, 6, 1, 2, bias=False),
        lambda: nn.Conv2d(4, 6, 1, 2, bias=False),
    ),
    "pointwise with bias": (lambda: Pointwise(4, 6, 1), lambda: nn.Conv2d(4, 6, 1)),
    "norm": (lambda: Norm(4), lambda: nn.BatchNorm2d(4)),
    "norm without weights": (
        lambda: Norm(4, affine=False),
        lambda: nn.BatchNorm2d(4, affine=False),
    ),
}


def twins(name: str) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    ours, theirs = (kind().double() for kind in PAIRS[name])
    for parameter in ours.parameters():
        nn.init.uniform_(parameter, 0.5, 1.5)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def images(size: tuple[int, int], channels_last: bool) -> Tensor:
    x = torch.linspace(-1, 1, 3 * 4 * size[0] * size[1], dtype=torch.float64)
    x = (9 * x).sin().reshape(3, 4, *size)
    return x.contiguous(memory_format=torch.channels_last) if channels_last else x


@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("size", [(8, 8), (7, 5)])
@pytest.mark.parametrize("name", PAIRS)
def test_values_and_gradients(name: str, size: tuple[int, int], channels_last: bool) -> None:
    results = []
    for module in twins(name):
        x = images(size, channels_last).requires_grad_()
        y = module(x)
        wanted = [x, *module.parameters()]
        first = torch.autograd.grad((y**3).sum(), wanted, create_graph=True)
        again = torch.autograd.grad(sum((g**2).sum() for g in first), wanted)
        results.append([y, *first, *again, *module.buffers()])
    for mine, known in zip(*results, strict=True):
        torch.testing.assert_close(mine, known)


@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("name", PAIRS)
def test_gradients_in_weights_that_are_differentiated_again(name: str, channels_last: bool) -> None:
    ours, theirs = twins(name)
    x = images((8, 8), channels_last).requires_grad_()
    scale = torch.tensor(1.3, dtype=x.dtype, requires_grad=True)
    along = [torch.rand_like(p) for p in (scale, *ours.parameters())]

    def again(module: Any) -> Tensor:
        loss = ((scale * module(x.sin())) ** 3).sum()
        first = torch.autograd.grad(loss, [scale, *module.parameters()], create_graph=True)
        return torch.autograd.grad(first, x, along)[0]

    with differentiated_twice():
        mine = again(ours)
    torch.testing.assert_close(mine, again(theirs))
    for one, other in zip(ours.buffers(), theirs.buffers(), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("module", [nn.BatchNorm2d(3).double(), Norm(3).double()])
def test_in_evaluation_norms_are_torchs(module: Any) -> None:
    module.running_mean.fill_(0.5)
    module.eval()
    x = images((4, 4), True)[:, :3]
    with differentiated_twice():
        torch.testing.assert_close(module(x), (x - 0.5) * (1 + 1e-5) ** -0.5)


def test_only_what_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """No gradient of the filters is computed where none is wanted."""
    monkeypatch.setattr(depthwise, "_in_filters", lambda *_: pytest.fail("computed"))
    conv = Depthwise(2, 2, 3, padding=1, groups=2, bias=False)
    conv.weight.requires_grad_(requires_grad=False)
    x = torch.randn(1, 2, 4, 4, requires_grad=True)
    conv(x).sum().backward()
    assert x.grad is not None


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize(
    ("op", "channels"),
    [
        *product([Conv(6, 1, 2), FactorisedReduction(6), FactorisedReduction(1)], [1, 4]),
        (Conv(None, 1, 2, depthwise=True), 1),
    ],
)
def test_torch_gets_no_single_pixels_with_a_stride(
    op: Op, channels: int, channels_last: bool
) -> None:
    """Its gradient in the filters writes beyond its memory on processors without AVX-512."""
    strides = []

    class Watched(TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None):  # type: ignore[no-untyped-def]
            if function is torch.ops.aten.convolution_backward.default:
                strides.append(args[4])
            return function(*args, **(kwargs or {}))

    layout = torch.channels_last if channels_last else torch.contiguous_format
    module = op.module(TensorType((channels, 8, 8))).to(memory_format=layout)  # type: ignore[call-overload]
    x = torch.randn(2, channels, 8, 8).to(memory_format=layout).requires_grad_()
    with Watched():
        module(x).sum().backward()
    assert all(p.grad is not None for p in module.parameters())
    assert all(set(stride) == {1} for stride in strides)


def test_a_network_is_written_down_with_plain_convolutions() -> None:
    conv = Pointwise(4, 6, 1)
    traced = torch.jit.trace(conv, images((4, 4), True).float())
    assert "aten::_convolution" in str(traced.inlined_graph)
    assert "linear" not in str(traced.inlined_graph)
