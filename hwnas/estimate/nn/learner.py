"""Training and scoring one network."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hwnas.core.device import Device
from hwnas.core.outcome import Spent
from hwnas.estimate.nn import checkpoint
from hwnas.estimate.nn.batches import Batches, training_dtype
from hwnas.estimate.nn.compute import drawing
from hwnas.estimate.nn.recorder import Recorder, Results
from hwnas.graph.graph import Graph
from hwnas.graph.modules import Scheduled
from hwnas.space.nn.network import Network
from hwnas.task.task import Recipe, Task

Transfer = Callable[[Mapping[str, np.ndarray]], Mapping[str, np.ndarray]]
"""Makes the weights of one network those of another, by name; it may leave some out."""


@dataclass(frozen=True)
class Schedule:
    """Learning rate ``lr``: a short linear warm-up, then half a cosine down to zero."""

    lr: float
    warmup: float = 0.1

    def at(self, step: int, begin: int, end: int) -> float:
        """The rate of ``step`` in a training that runs from ``begin`` to ``end``."""
        share = (step - begin + 1) / (end - begin + 1)
        if share < self.warmup:
            return self.lr * share / self.warmup
        return self.lr * 0.5 * (1 + math.cos(math.pi * (share - self.warmup) / (1 - self.warmup)))


class Learner:
    """A network with its optimiser and what was spent on it; can be kept and taken up again."""

    def __init__(
        self, graph: Graph, task: Task, device: Device, seed: int, lr: float | None = None
    ) -> None:
        recipe: Recipe = task.recipe
        self._task = task
        self._device = device
        self._schedule = Schedule(lr or recipe.lr)
        with drawing(device, seed):
            network = Network(graph, auxiliary=True)
        network.to(memory_format=torch.channels_last)
        self.network: nn.Module = network.to(device.kind, training_dtype(device))
        self._optimiser = torch.optim.SGD(
            self.network.parameters(),
            lr=self._schedule.lr,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            nesterov=True,
        )
        self._parameters = list(network.parameters())
        self._heads = [weight for _, weight in graph.auxiliary]
        self._scheduled = [m for m in network.modules() if isinstance(m, Scheduled)]
        self._recorder = Recorder.of(network, device)
        self._seed = seed
        self._inherited = False
        self.spent = Spent()
        self.curve: tuple[float, ...] = ()

    def train(self, batches: Batches, epochs: int, total: int) -> None:
        """Train ``epochs`` more, of ``total`` that the schedule is made for.

        Training that goes on beyond ``total``, or from inherited weights, gets a schedule of its
        own. Adds the mean training loss of each epoch to ``curve``. Raises ArithmeticError if the
        loss is no longer finite.
        """
        started = time.perf_counter()
        first = self.spent.steps
        last = first + epochs * batches.per_epoch
        planned = total * batches.per_epoch
        own = self._inherited or last > planned
        begin, end = (first, last) if own else (0, planned)
        self.network.train()
        with drawing(self._device, self._seed, first):
            for epoch in range(epochs):
                loss_sum = torch.zeros((), device=self._device.kind)
                for step in range(batches.per_epoch):
                    number = first + epoch * batches.per_epoch + step
                    for group in self._optimiser.param_groups:
                        group["lr"] = self._schedule.at(number, begin, end)
                    for module in self._scheduled:
                        module.progress = (number - begin) / (end - begin)
                    loss_sum += self._step(*batches.training(number))
                mean = float(loss_sum) / batches.per_epoch
                if not math.isfinite(mean):
                    raise ArithmeticError(f"training loss is {mean} after {epoch + 1} epochs")
                self.curve += (mean,)
        seconds = self.spent.seconds + time.perf_counter() - started
        self.spent = Spent(self.spent.train + epochs, last, seconds)

    def _step(self, x: Tensor, y: Tensor) -> Tensor:
        loss, *gradients = self._recorder(x.shape, self._passes, x, y)
        assert loss is not None
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            parameter.grad = gradient
        if self._task.recipe.clip is not None:
            nn.utils.clip_grad_norm_(self._parameters, self._task.recipe.clip)
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        return loss

    def _passes(self, x: Tensor, y: Tensor) -> Results:
        """The loss and its gradients in the parameters."""
        loss = self._loss(x, y)
        return [loss.detach(), *torch.autograd.grad(loss, self._parameters, allow_unused=True)]

    def _loss(self, x: Tensor, y: Tensor) -> Tensor:
        """Of the network and, each by its weight, of its auxiliary heads."""
        if not self._heads:
            return self._task.loss(self.network(x), y)
        own, *others = (self._task.loss(outputs, y) for outputs in self.network(x))
        return own + sum(w * loss for w, loss in zip(self._heads, others, strict=True))

    def weights(self) -> dict[str, Tensor]:
        """Parameters and buffers of the network without its auxiliary heads."""
        state = self.network.state_dict()
        return {name: t for name, t in state.items() if not name.startswith("auxiliary.")}

    @torch.inference_mode()
    def score(self, batches: Batches, limit: int | None = None) -> Mapping[str, float]:
        """The task's metrics over a split, or its first ``limit`` batches."""
        self.network.eval()
        return self._task.score((self.network(x), y) for x, y in batches.scoring(limit))

    def save(self, path: Path, about: Mapping[str, Any] | None = None) -> None:
        """Keep weights, momentum and what was spent, and what else is to be known ``about`` it."""
        momenta = {
            name: momentum
            for name, parameter in self.network.named_parameters()
            if (momentum := self._optimiser.state[parameter].get("momentum_buffer")) is not None
        }
        groups = {"weights": self.network.state_dict(), "momentum": momenta}
        keep(path, groups, about or {}, self.spent, self.curve, self._inherited)

    def load(self, path: Path) -> None:
        """The inverse of :meth:`save`, for the same graph."""
        tensors, facts = checkpoint.load(path)
        self.network.load_state_dict(checkpoint.group(tensors, "weights"))
        momenta = checkpoint.group(tensors, "momentum")
        for name, parameter in self.network.named_parameters():
            if name in momenta:
                self._optimiser.state[parameter]["momentum_buffer"] = momenta[name].to(parameter)
        self._resume(facts)
        self._inherited = facts["inherited"]

    def inherit(self, path: Path, transfer: Transfer) -> None:
        """Begin from the weights of another network, kept at ``path``, as ``transfer`` makes them.

        Parameters and buffers that it gives by a name and in a shape of this network are taken
        over; the others stay as they were drawn. There is no momentum; cost and curve go on.
        """
        tensors, facts = checkpoint.load(path)
        weights = checkpoint.group(tensors, "weights")
        given = transfer({name: t.numpy() for name, t in weights.items()})
        fitting = {
            name: torch.from_numpy(np.array(given[name]))
            for name, t in self.network.state_dict().items()
            if name in given and given[name].shape == t.shape
        }
        self.network.load_state_dict(fitting, strict=False)
        self._resume(facts)
        self._inherited = True

    def _resume(self, facts: Mapping[str, Any]) -> None:
        self.spent = Spent(*facts["spent"])
        self.curve = tuple(facts["curve"])


def keep(
    path: Path,
    groups: Mapping[str, Mapping[str, Tensor]],
    about: Mapping[str, Any],
    spent: Spent = Spent(),
    curve: Sequence[float] = (),
    inherited: bool = False,
) -> None:
    """Write what :meth:`Learner.load` reads; by default of weights that were never trained."""
    facts = {
        **about,
        "spent": [spent.train, spent.steps, spent.seconds],
        "curve": curve,
        "inherited": inherited,
    }
    checkpoint.save(path, checkpoint.flat(groups), facts)
