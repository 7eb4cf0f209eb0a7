"""Checks of what becomes of a space's architectures in torch and ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.errors import HwnasError
from hwnas.core.space import Space
from hwnas.core.tensor_type import TensorType
from hwnas.space.replay import build, relax
from hwnas.testing._require import require
from hwnas.testing.grounds import Grounds

if TYPE_CHECKING:
    from torch import Tensor, nn

    from hwnas.space.nn.supernet import Supernet


@contextmanager
def _seeded() -> Iterator[None]:
    """The same initial weights each time; the generator stays where it was."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def check_network(grounds: Grounds) -> None:
    """Networks run forward with the types inferred, and backward with finite gradients."""
    from hwnas.space.nn.network import Network, module_name

    for architecture in grounds.architectures():
        graph = build(grounds.space, architecture)
        with _seeded():
            network = Network(graph)
            x = _examples(grounds.space.input)
        found: dict[str, tuple[int, ...]] = {}
        for node in graph.owners():
            hook = _note(found, node.weights)
            network.ops[module_name(node.weights)].register_forward_hook(hook)
        loss = network(x).square().mean()
        for node in graph:
            got = found[node.weights]
            require(
                got == node.type.shape,
                f"{architecture}: node {node.id!r} gives {got}, not {node.type}.",
            )
        loss.backward()
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        require(bool(gradients), f"{architecture}: no parameter has a gradient.")
        require(
            all(bool(g.isfinite().all()) for g in gradients),
            f"{architecture}: a gradient is not finite.",
        )


def _note(found: dict[str, tuple[int, ...]], id: str) -> Callable[..., None]:
    def hook(_: nn.Module, __: Any, result: Any) -> None:
        found[id] = tuple(result.shape[1:])

    return hook


def _examples(type: TensorType) -> Tensor:
    import torch

    return torch.from_numpy(type.random(4, np.random.default_rng(0)))


def check_supernet(grounds: Grounds) -> None:
    """A one-hot supernet is the stand-alone network, or the error names what prevents it."""
    try:
        relax(grounds.space)
    except HwnasError as error:
        names = {name for a in grounds.architectures() for name in a}
        require(
            any(repr(name) in error.message for name in names),
            f"the space cannot be relaxed, and the error names no choice: {error.message}",
        )
        require(bool(error.hint), "the space cannot be relaxed, and the error shows no way out.")
        return
    from hwnas.space.nn.supernet import Supernet

    with _seeded():
        supernet = Supernet(grounds.space).double()
        x = _examples(grounds.space.input)
        x = x.double() if x.is_floating_point() else x
    for architecture in grounds.architectures():
        _compare(grounds.space, architecture, supernet, x)


def _compare(space: Space, architecture: Architecture, supernet: Supernet, x: Tensor) -> None:
    import torch

    from hwnas.core.mixture import Mixture
    from hwnas.space.nn.network import Network

    network = Network(build(space, architecture)).double()
    own, shared = network.state_dict(), supernet.state_dict()
    strangers = sorted(set(own) - set(shared))
    require(not strangers, f"{architecture}: the supernet has no {strangers[:3]}.")
    network.load_state_dict({name: shared[name] for name in own})
    one_hot = {n: architecture.weights(c) for n, c in supernet.choices.items()}
    weights = {n: torch.from_numpy(w) for n, w in one_hot.items()}
    for training in (True, False):  # evaluation comes second, with the statistics of training
        network.train(training)
        supernet.train(training)
        before = {name: buffer.clone() for name, buffer in supernet.named_buffers()}
        expected = network(x)
        for point in (architecture, Mixture(one_hot)):
            for name, buffer in supernet.named_buffers():
                buffer.copy_(before[name])
            result = supernet(x, weights, supernet.active(point))
            gap = float((result - expected).detach().abs().max())
            kind, mode = type(point).__name__.lower(), "training" if training else "evaluation"
            require(
                gap <= 1e-6,
                f"{architecture}: a one-hot {kind} in a supernet is {gap:.1e} away ({mode}).",
            )
        after = supernet.state_dict()
        require(
            all(torch.allclose(after[n], value) for n, value in network.state_dict().items()),
            f"{architecture}: statistics of network and supernet go apart.",
        )


def check_onnx(grounds: Grounds) -> None:
    """Networks export to ONNX and put out the same in ONNX Runtime."""
    import torch

    from hwnas.export.onnx import Onnx
    from hwnas.export.runtime import Session
    from hwnas.space.nn.network import Network

    space, given = grounds.space, grounds.space.input
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        for architecture in grounds.architectures()[: grounds.exports]:
            with _seeded():
                network = Network(build(space, architecture)).eval()
            weights = {name: t.numpy() for name, t in network.state_dict().items()}
            Onnx(space).export(architecture, weights, path)
            session = Session(path, "cpu", 1)
            for batch in (1, 3):
                x = given.random(batch, np.random.default_rng(batch))
                with torch.no_grad():
                    expected = network(torch.from_numpy(x)).numpy()
                got = session.run(x)
                require(
                    got.shape == expected.shape and np.allclose(got, expected, 1e-3, 1e-4),
                    f"{architecture}: ONNX Runtime puts out something else.",
                )
