"""Covariances of architectures, as products over their choices."""

from abc import abstractmethod
from collections.abc import Sequence
from itertools import accumulate
from math import acos, expm1, log, pi
from typing import Any

import numpy as np
import torch
from gpytorch.kernels import Kernel
from gpytorch.priors import GammaPrior, NormalPrior, Prior
from torch import Tensor
from torch.nn.functional import softplus

from hwnas.space.encoding import Column


class ChoiceKernel(Kernel):
    """``exp(-sum of distances)``, where each choice has a distance between each two of its values.

    So a choice has a correlation matrix of its values, and that of architectures is the product.
    All hyperparameters are vectors, which columns that are met later only make longer.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        super().__init__()
        sizes = np.array([column.size for column in columns])
        column = np.repeat(np.arange(len(sizes)), sizes + 1)
        value = np.concatenate([np.arange(size + 1.0) for size in sizes])
        present = value < sizes[column]
        ordered = np.array([c.choice.ordered for c in columns])[column]
        gap = np.abs(value[:, None] - value)
        gap = np.where(ordered, gap / np.maximum(sizes - 1, 1)[column], gap > 0)
        self._column = torch.from_numpy(column)
        self._same = torch.from_numpy(column[:, None] == column)
        self._one = torch.from_numpy(present[:, None] != present)
        self._gap = torch.from_numpy(np.where(present[:, None] & present, gap, 0.0))

    @abstractmethod
    def distances(self) -> Tensor:
        """A square matrix of all values of all columns; only blocks of one column matter."""

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **_: Any) -> Tensor:
        """Of inputs that :func:`~hwnas.space.encoding.one_hot` made."""
        left = x1 @ (self.distances() * self._same)
        distance = (left * x2).sum(-1) if diag else left @ x2.transpose(-2, -1)
        return torch.exp(-distance)

    def _learn(self, name: str, begin: Tensor, prior: Prior | None = None) -> None:
        """A hyperparameter; the prior is that of the property of this name."""
        self.register_parameter(f"raw_{name}", torch.nn.Parameter(begin.double()))
        if prior is not None:
            self.register_prior(f"{name}_prior", prior, lambda module: getattr(module, name))


class Hamming(ChoiceKernel):
    """The exponential of a weighted Hamming distance, with a weight for each choice.

    Of ordered numbers it is their distance that counts. Absence is a value like others.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        super().__init__(columns)
        self._learn("weight", _inverse(0.5, len(columns)), GammaPrior(2.0, 3.0))

    @property
    def weight(self) -> Tensor:
        """Of each column."""
        return softplus(self.raw_weight)

    def distances(self) -> Tensor:
        """One where values differ; the gap of ordered ones, in their range."""
        return self.weight[self._column] * (self._gap + self._one)


class Arc(ChoiceKernel):
    """The squared exponential of values on arcs (Swersky et al. 2014, section 3).

    A choice that is absent is at the centre of a circle, so all that is present is equally far from
    it. Numbers are on an arc of it, categories any two under the same angle (Hutter & Osborne 2013,
    A kernel for hierarchical parameter spaces, arXiv:1310.5738, section 4). Radius and angle are
    learned for each choice.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        super().__init__(columns)
        # No more points than a simplex has can be further apart than those of one.
        widest = [pi if c.choice.ordered else acos(-1 / max(c.size - 1, 1)) for c in columns]
        self._widest = torch.tensor(widest, dtype=torch.float64)
        self._learn("radius", _inverse(1.0, len(columns)), GammaPrior(3.0, 2.0))
        self._learn("angle", torch.zeros(len(columns)))

    @property
    def radius(self) -> Tensor:
        """Of each column."""
        return softplus(self.raw_radius)

    @property
    def angle(self) -> Tensor:
        """Between the first and the last number, or any two categories, of each column."""
        return torch.sigmoid(self.raw_angle) * self._widest

    def distances(self) -> Tensor:
        """Half of the squares of those in the plane."""
        chord = 2 * (1 - torch.cos(self.angle[self._column] * self._gap))
        return self.radius[self._column].square() / 2 * (chord + self._one)


class Latent(ChoiceKernel):
    """The squared exponential of learned places of the options (Zhang et al. 2020).

    Each option of a category has a place, which choices between the same options share; they begin
    equally far from each other. A choice has a weight of its own. Numbers stay on a quarter of a
    circle, and absence is at the centre, as in :class:`Arc`.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        super().__init__(columns)
        sizes = {c.kind: c.size for c in columns if not c.choice.ordered}
        first = dict(zip(sizes, accumulate(sizes.values(), initial=0), strict=False))
        # Numbers have no place, so any row stands for them.
        row = [first[c.kind] + i if c.kind in first else 0 for c in columns for i in _rows(c)]
        self._row = torch.tensor(row)
        # The place of an option has a number for each of the options that it is one of.
        cells = [(first[o] + i, j) for o, n in sizes.items() for i in range(n) for j in range(n)]
        self._cells = torch.tensor(cells).long().reshape(-1, 2).T
        self._begin = torch.zeros(max(1, sum(sizes.values())), max([1, *sizes.values()]))
        for o, n in sizes.items():
            self._begin[first[o] : first[o] + n, :n] = torch.eye(n) / 2**0.5
        ordered = torch.tensor([c.choice.ordered for c in columns])[self._column]
        self._moving = (self._gap > 0) & ~ordered
        self._still = (1 - torch.cos(pi / 2 * self._gap)) * ordered + self._one / 2
        self._learn("weight", _inverse(0.5, len(columns)), GammaPrior(2.0, 3.0))
        self._learn("shift", torch.zeros(len(cells)), NormalPrior(0.0, 0.25))

    @property
    def weight(self) -> Tensor:
        """Of each column."""
        return softplus(self.raw_weight)

    @property
    def shift(self) -> Tensor:
        """Of the places of options, from where they began."""
        shift: Tensor = self.raw_shift
        return shift

    def distances(self) -> Tensor:
        """Squares of those between places."""
        places = self._begin.double().index_put(tuple(self._cells), self.shift, accumulate=True)
        products = places @ places.T
        squares = products.diagonal()
        apart = (squares[:, None] + squares - 2 * products).clamp_min(0)
        moving = apart[self._row[:, None], self._row] * self._moving
        return self.weight[self._column] * (moving + self._still)


def _rows(column: Column) -> list[int]:
    """Its values, and absence, which has no place either."""
    return [*range(column.size), 0]


def _inverse(value: float, n: int) -> Tensor:
    """``n`` numbers whose softplus is ``value``."""
    return torch.full((n,), log(expm1(value)))


KERNELS: dict[str, type[ChoiceKernel]] = {"hamming": Hamming, "arc": Arc, "latent": Latent}
