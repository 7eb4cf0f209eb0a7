"""An ensemble of small networks over sequences of tokens: MLPs on their mean, or LSTMs."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np
import torch

from hwnas.search._models.named import generator
from hwnas.search._standard import standard

Token = Sequence[str]
"""The names of the embeddings that a token is the sum of, the most widely shared one first."""

Blocks = Sequence[Sequence[Token]]
"""A sequence of tokens, cut into blocks."""

Predict = Callable[[Sequence[Blocks]], tuple[np.ndarray, np.ndarray]]
"""From sequences to means and standard deviations over the members, ``[n, n_values]`` each."""

_OWN = 0.3  # weight of the names after a token's first, so that what is shared is learned first
_ROWS = 256  # predicted at once


def fit(
    sequences: Sequence[Blocks],
    values: np.ndarray,
    seed: int,
    recurrent: bool = False,
    members: int = 5,
    width: int = 64,
    steps: int = 60,
    lr: float = 0.006,
) -> Predict:
    """Learn ``values [n, n_values]`` of ``sequences``, all members side by side.

    The models of Liu et al. 2018, section 4.2: two hidden layers over the mean of the blocks, a
    block being the sum of its embeddings; or an LSTM that reads token by token. The L1 loss is
    made small by Adam; a member is fitted from weights of its own, without its share of the data
    (of five members each takes four fifths). Values are standardised.
    """
    scaled, centre, scale = standard(values)
    targets = torch.from_numpy(scaled).float()
    part = np.random.default_rng(seed).permutation(len(values)) % members
    used = torch.from_numpy(part != np.arange(members)[:, None]).float()
    model = (_Recurrent if recurrent else _Mean)(members, width, values.shape[1], seed)
    data = model.read(sequences)
    adam = torch.optim.Adam([model.embeddings, *model.weights], lr=lr, fused=True)
    fading = torch.optim.lr_scheduler.LinearLR(adam, 1.0, 1e-2, steps)
    for _ in range(steps):
        adam.zero_grad()
        error = (model(data) - targets).abs().mean(dim=2)
        (error * used).sum().div(len(values)).backward()
        adam.step()
        fading.step()

    def predict(sequences: Sequence[Blocks]) -> tuple[np.ndarray, np.ndarray]:
        parts = [sequences[i : i + _ROWS] for i in range(0, len(sequences), _ROWS)]
        with torch.no_grad():
            each = np.concatenate([model(model.read(p)).double().numpy() for p in parts], axis=1)
        return each.mean(axis=0) * scale + centre, each.std(axis=0) * scale

    return predict


class _Model(ABC):
    """``members`` networks; parameters and activations have a first axis for them.

    Embeddings are drawn from the seed and their name when it is first read, so that a name that
    was not met in the data has one too, in each member another.
    """

    def __init__(self, members: int, width: int, outputs: int, seed: int) -> None:
        self._seed = seed
        self._generator = torch.Generator().manual_seed(seed)
        self._members, self._width = members, width
        self._rows: dict[str, int] = {}
        self.embeddings = torch.zeros(members, 0, width)
        self.weights = self._layers(outputs)

    @abstractmethod
    def _layers(self, outputs: int) -> list[torch.Tensor]:
        """The other parameters."""

    @abstractmethod
    def read(self, sequences: Sequence[Blocks]) -> torch.Tensor:
        """How often a sequence, or each of its steps, has each name: ``[n, (steps,) n_names]``."""

    @abstractmethod
    def __call__(self, data: torch.Tensor) -> torch.Tensor:
        """Predictions, shape ``[members, n, n_values]``."""

    def _layer(self, inputs: int, outputs: int) -> list[torch.Tensor]:
        """Weight and bias, drawn as torch does by default."""
        shapes = (self._members, inputs, outputs), (self._members, 1, outputs)
        drawn = [torch.rand(shape, generator=self._generator) for shape in shapes]
        return [((2 * one - 1) * inputs**-0.5).requires_grad_() for one in drawn]

    def _embed(self, sequences: Sequence[Blocks]) -> None:
        """Draw embeddings for new names."""
        tokens = (token for blocks in sequences for block in blocks for token in block)
        new = [n for n in dict.fromkeys(n for t in tokens for n in t) if n not in self._rows]
        for name in new:
            self._rows[name] = len(self._rows)
        drawn = [self.embeddings.detach(), *map(self._draw, new)]
        self.embeddings = torch.cat(drawn, dim=1).requires_grad_()

    def _draw(self, name: str) -> torch.Tensor:
        own = generator(self._seed, name)
        return torch.randn(self._members, 1, self._width, generator=own)

    def _add(self, row: np.ndarray, token: Token, share: float = 1.0) -> None:
        for i, name in enumerate(token):
            row[self._rows[name]] += share * (_OWN if i else 1.0)


class _Mean(_Model):
    def _layers(self, outputs: int) -> list[torch.Tensor]:
        width = self._width
        return [
            *self._layer(width, width),
            *self._layer(width, width),
            *self._layer(width, outputs),
        ]

    def read(self, sequences: Sequence[Blocks]) -> torch.Tensor:
        self._embed(sequences)
        rows = np.zeros((len(sequences), len(self._rows)), np.float32)
        for row, blocks in zip(rows, sequences, strict=True):
            for block in blocks:
                for token in block:
                    self._add(row, token, 1 / len(blocks))
        return torch.from_numpy(rows)

    def __call__(self, data: torch.Tensor) -> torch.Tensor:
        w1, b1, w2, b2, w3, b3 = self.weights
        mean = data @ self.embeddings
        hidden = torch.relu(torch.relu(mean @ w1 + b1) @ w2 + b2)
        return hidden @ w3 + b3


class _Recurrent(_Model):
    def _layers(self, outputs: int) -> list[torch.Tensor]:
        width = self._width
        return [
            *self._layer(width, 4 * width),
            *self._layer(width, 4 * width),
            *self._layer(width, outputs),
        ]

    def read(self, sequences: Sequence[Blocks]) -> torch.Tensor:
        self._embed(sequences)
        steps = [[token for block in blocks for token in block] for blocks in sequences]
        shape = len(steps), max(map(len, steps)), len(self._rows)
        rows = np.zeros(shape, np.float32)
        for row, tokens in zip(rows, steps, strict=True):
            for at, token in enumerate(tokens):
                self._add(row[at], token)
        return torch.from_numpy(rows)

    def __call__(self, data: torch.Tensor) -> torch.Tensor:
        w, b, u, c, last, bias = self.weights
        inputs = data.transpose(0, 1)[:, None] @ self.embeddings @ w + b
        there = (data != 0).any(dim=2).T[:, None, :, None]  # a shorter sequence keeps its end
        output = memory = torch.zeros(self._members, len(data), self._width)
        for x, on in zip(inputs, there, strict=True):
            i, f, o, g = (x + output @ u + c).chunk(4, dim=2)
            kept = torch.sigmoid(f) * memory + torch.sigmoid(i) * torch.tanh(g)
            memory = torch.where(on, kept, memory)
            output = torch.where(on, torch.sigmoid(o) * torch.tanh(kept), output)
        return output @ last + bias
