"""The faster backward pass is torch's, once and twice."""

import pytest
import torch
from torch import nn

from hwnas.graph.depthwise import Depthwise


@pytest.mark.parametrize("size", [(8, 8), (7, 5)])
@pytest.mark.parametrize(("kernel", "dilation"), [(1, 1), (3, 1), (3, 2), (5, 1), (5, 2), (7, 1)])
def test_values_and_gradients(kernel: int, dilation: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    padding = dilation * (kernel - 1) // 2
    settings = (4, 4, kernel, 1, padding, dilation, 4, False)
    ours, theirs = Depthwise(*settings).double(), nn.Conv2d(*settings).double()
    theirs.load_state_dict(ours.state_dict())
    results = []
    for conv in (ours, theirs):
        x = torch.linspace(-1, 1, 3 * 4 * size[0] * size[1], dtype=torch.float64)
        x = x.reshape(3, 4, *size).sin().requires_grad_()
        y = conv(x.contiguous(memory_format=torch.channels_last))
        inputs = (x, conv.weight)
        first = torch.autograd.grad((y**3).sum(), inputs, create_graph=True)
        again = torch.autograd.grad(sum((g**2).sum() for g in first), inputs)
        results.append([y, *first, *again])
    for mine, known in zip(*results, strict=True):
        torch.testing.assert_close(mine, known)


def test_only_what_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """No gradient of the filters is computed where none is wanted."""
    from hwnas.graph import depthwise

    monkeypatch.setattr(depthwise, "_in_filters", lambda *_: pytest.fail("computed"))
    conv = Depthwise(2, 2, 3, padding=1, groups=2, bias=False)
    conv.weight.requires_grad_(requires_grad=False)
    x = torch.randn(1, 2, 4, 4, requires_grad=True)
    conv(x).sum().backward()
    assert x.grad is not None


def test_strides_and_bias_are_torchs() -> None:
    for options in ({"stride": 2}, {"bias": True}):
        ours = Depthwise(2, 2, 3, padding=1, groups=2, **options)  # type: ignore[arg-type]
        theirs = nn.Conv2d(2, 2, 3, padding=1, groups=2, **options)  # type: ignore[arg-type]
        theirs.load_state_dict(ours.state_dict())
        x = torch.randn(1, 2, 6, 6)
        torch.testing.assert_close(ours(x), theirs(x))
