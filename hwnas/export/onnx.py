"""ONNX export by torch's TorchScript or dynamo exporter (Bai et al. 2019, onnx.ai)."""

from __future__ import annotations

import io
import logging
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from hwnas.core.architecture import Architecture
from hwnas.core.errors import HwnasError
from hwnas.core.exporter import Artifact, Exporter
from hwnas.core.files import whole
from hwnas.core.space import Space
from hwnas.space import replay

if TYPE_CHECKING:
    from onnx import ModelProto

    from hwnas.space.nn.network import Network

INPUT, OUTPUT, BATCH = "input", "output", "batch"
"""The names in every exported file: its input, its output and their dynamic dimension 0."""

# Below, the exporter writes experimental operators (TorchScript) or leaves the file at another
# opset than was asked for (dynamo); above, torch does not claim to know the operators.
_OPSETS = {"torchscript": range(9, 21), "dynamo": range(18, 24)}
_LOGGERS = ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")


class Onnx(Exporter):
    """Writes one self-contained float32 ``.onnx`` file that takes any batch.

    ``opset`` is the version of the ONNX operators: 9 to 20 by the ``torchscript`` exporter, which
    is quick, 18 to 23 by ``dynamo``, which torch develops further.
    """

    def __init__(
        self,
        space: Space,
        *,
        opset: int = 18,
        exporter: Literal["torchscript", "dynamo"] = "torchscript",
    ) -> None:
        if exporter not in _OPSETS:
            raise HwnasError(
                f"export.exporter: there is no exporter {exporter!r}.",
                f"Allowed: {', '.join(_OPSETS)}.",
            )
        if opset not in _OPSETS[exporter]:
            allowed = (f"{o[0]} to {o[-1]} with {name}" for name, o in _OPSETS.items())
            raise HwnasError(
                f"export.opset: {opset} is not supported by the {exporter} exporter.",
                f"Allowed: {', '.join(allowed)}.",
            )
        self.space = space
        self.opset = opset
        self.exporter = exporter

    def export(
        self, architecture: Architecture, weights: Mapping[str, np.ndarray], path: Path
    ) -> Artifact:
        """Write ``path`` whole or not at all; input ``[batch, *space.input.shape]``.

        Raises :class:`HwnasError` if the weights are not the network's or torch cannot export it.
        """
        start = time.perf_counter()
        network = load(self.space, architecture, weights)
        with whole(path) as partial:
            try:
                with _quiet():
                    self._write(network, partial)
            except Exception as error:
                other = next(name for name in _OPSETS if name != self.exporter)
                reason = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
                raise HwnasError(
                    f"the {self.exporter} exporter cannot write this network at opset"
                    f" {self.opset}: {reason}",
                    f"Try the other one (export.exporter: {other}) or another export.opset.",
                ) from error
        return Artifact(path, path.stat().st_size, time.perf_counter() - start)

    def _write(self, network: Network, path: Path) -> None:
        import onnx
        import torch

        # Of batch 2, because torch.export takes a dimension of 1 for a constant.
        given = self.space.input
        example = (torch.zeros(2, *given.shape, dtype=getattr(torch, given.dtype)),)
        axes = {name: {0: BATCH} for name in (INPUT, OUTPUT)}
        shapes = ({0: torch.export.Dim(BATCH)},)
        with torch.no_grad():
            torch.onnx.export(
                network,
                example,
                str(path),
                input_names=[INPUT],
                output_names=[OUTPUT],
                opset_version=self.opset,
                verbose=False,
                dynamo=self.exporter == "dynamo",
                dynamic_axes=None if self.exporter == "dynamo" else axes,
                dynamic_shapes=shapes if self.exporter == "dynamo" else None,
                external_data=False,
            )
        model = onnx.load(path)
        _strip(model)
        onnx.checker.check_model(model, full_check=True)
        written = max(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
        if written != self.opset:
            raise ValueError(f"the file has opset {written}")
        onnx.save(model, path)


def load(space: Space, architecture: Architecture, weights: Mapping[str, np.ndarray]) -> Network:
    """The stand-alone network with its weights on the CPU, in evaluation mode.

    Raises :class:`HwnasError` if names or shapes of ``weights`` are not those of the network.
    """
    import torch

    from hwnas.space.nn.network import Network

    network = Network(replay.build(space, architecture))
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    got = {name: np.shape(value) for name, value in weights.items()}
    if got != expected:
        wrong = [n for n in expected if n in got and got[n] != expected[n]]
        what = {
            "missing": sorted(expected.keys() - got.keys()),
            "not of the network": sorted(got.keys() - expected.keys()),
            "of another shape": [f"{n} {got[n]} instead of {expected[n]}" for n in wrong],
        }
        parts = (f"{len(v)} {k} (e.g. {v[0]})" for k, v in what.items() if v)
        raise HwnasError(
            f"the weights do not fit architecture {architecture.key}: {'; '.join(parts)}.",
            "Export with the weights that were trained for this architecture in this space.",
        )
    network.load_state_dict({n: torch.tensor(np.asarray(v)) for n, v in weights.items()})
    return network.eval()


def _strip(model: ModelProto) -> None:
    """Drop what the exporters note for debugging: source paths and stack traces."""
    graph = model.graph
    for part in (graph, *graph.node, *graph.value_info, *graph.input, *graph.output):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    for tensor in graph.initializer:
        tensor.ClearField("metadata_props")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without torch's advice on its exporters; errors are raised as ever."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
