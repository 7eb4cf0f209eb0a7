"""The weights of a supernet: steps, gradients in the mixture, scores."""

import math
import time
from collections.abc import Hashable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hwnas.core.architecture import Architecture
from hwnas.core.mixture import Mixture
from hwnas.core.outcome import Spent
from hwnas.core.setting import Setting
from hwnas.estimate.nn import checkpoint
from hwnas.estimate.nn.batches import Batches, training_dtype
from hwnas.estimate.nn.compute import drawing
from hwnas.estimate.nn.learner import Schedule
from hwnas.estimate.nn.passes import Passes
from hwnas.estimate.nn.recalibrate import recalibrate
from hwnas.estimate.nn.recorder import Function, Recorder
from hwnas.graph.modules import Scheduled
from hwnas.space.nn.supernet import Active, Supernet

Point = Architecture | Mixture
_CLIP = 5.0  # where the task has none of its own: DARTS, section 3.1


class Sharer:
    """A supernet trained by SGD with momentum, on whatever points it is given."""

    def __init__(
        self,
        setting: Setting,
        horizon: int,
        batch: int | None,
        lr: float | None,
        weight_decay: float | None,
        recalibrate: int,
    ) -> None:
        task, device = setting.task, setting.device
        self._task = task
        self._device = device
        self._horizon = horizon
        self._recalibrate = recalibrate
        self._schedule = Schedule(lr or task.recipe.lr, warmup=0.0)
        self._train = Batches(task, "train", device, setting.seed, batch=batch)
        self._valid = Batches(task, "valid", device, setting.seed + 1, batch=batch)
        self._seed = setting.seed
        with drawing(device, setting.seed):
            supernet = Supernet(setting.space)
        supernet.to(memory_format=torch.channels_last)
        self.supernet = supernet.to(device.kind, training_dtype(device))
        self._scheduled = [m for m in supernet.modules() if isinstance(m, Scheduled)]
        recipe = task.recipe
        decay = recipe.weight_decay if weight_decay is None else weight_decay
        clip = _CLIP if recipe.clip is None else recipe.clip
        self._passes = Passes(self.supernet, task, recipe.momentum, decay, clip)
        self._recorder = Recorder.of(supernet, device)
        self.spent = Spent()

    def _mixture(self, point: Point) -> Tensor:
        """The weights of all choices, one after another."""
        every = [np.asarray(point.weights(c), float) for c in self.supernet.choices.values()]
        flat = torch.from_numpy(np.concatenate([np.empty(0), *every]))
        return flat.to(self._device.kind, training_dtype(self._device))

    def _whole(self, point: Point, active: Active) -> bool:
        """Whether all that is computed counts as it is, so that nothing needs to be weighed."""
        return all(
            (np.asarray(point.weights(choice))[list(active[name])] == 1).all()
            for name, choice in self.supernet.choices.items()
        )

    def _run(
        self, function: Function, active: Active, about: tuple[Hashable, ...], *inputs: Tensor
    ) -> list[Any]:
        """What ``function(active, *about, *inputs)`` gives, with what this step draws."""
        name = function.__name__, *active.values(), *about, len(inputs)
        with drawing(self._device, self._seed, self.spent.steps):
            return list(self._recorder(name, partial(function, active, *about), *inputs))

    def step(self, point: Point, gradient: bool = False) -> tuple[float, dict[str, np.ndarray]]:
        """One step of SGD on the next training batch. ArithmeticError if the loss is not finite.

        The loss and, with ``gradient``, its gradient in the mixture from the same pass, choice ->
        ``[n_options]``.
        """
        started = time.perf_counter()
        self._to_train()
        active = self.supernet.active(point)
        weighed = gradient or not self._whole(point, active)
        mixture = [self._mixture(point)] if weighed else []
        batch = self._train.training(self.spent.steps)
        for module in self._scheduled:
            module.progress = min(1.0, self.spent.steps / self._horizon)
        loss, slopes, *found = self._run(self._passes.learnt, active, (gradient,), *batch, *mixture)
        value = loss.item()
        if not math.isfinite(value):
            raise ArithmeticError(f"supernet loss is {value} at step {self.spent.steps}")
        # Options that were not computed have no gradient; weight decay leaves them alone too.
        used = tuple(i for i, g in enumerate(found) if g is not None)
        rate = self._tensor(self._rate)
        self._run(self._passes.descended, active, (used,), rate, *(found[i] for i in used))
        steps = self.spent.steps + 1
        self.spent = Spent(steps, steps, self.spent.seconds + time.perf_counter() - started)
        return value, self._by_choice(slopes) if gradient else {}

    def _to_train(self) -> None:
        """Into training mode if it is not: thousands of modules take as long as many kernels."""
        if not self.supernet.training:
            self.supernet.train()

    @property
    def _rate(self) -> float:
        return self._schedule.at(min(self.spent.steps, self._horizon - 1), 0, self._horizon)

    def gradient(self, point: Point, order: int) -> tuple[float, dict[str, np.ndarray]]:
        """Validation loss, and its gradient in the mixture, choice -> ``[n_options]``.

        Order 2 goes through the step that the next training batch would take, momentum and decay
        included, and leaves the weights as they are.
        """
        self._to_train()
        active, mixture = self.supernet.active(point), self._mixture(point)
        valid = self._valid.training(self.spent.steps)
        if order == 1:
            loss, slopes = self._run(self._passes.validated, active, (), *valid, mixture)
        else:
            train = self._train.training(self.spent.steps)
            given = (*train, *valid, mixture, self._tensor(self._rate))
            loss, slopes = self._run(self._passes.unrolled, active, (), *given)
        return loss.item(), self._by_choice(slopes)

    def _tensor(self, value: float) -> Tensor:
        return torch.tensor(value, dtype=training_dtype(self._device), device=self._device.kind)

    def _by_choice(self, gradient: Tensor) -> dict[str, np.ndarray]:
        """A gradient in the mixture, choice -> ``[n_options]``."""
        choices = self.supernet.choices
        ends = np.cumsum([len(c.options) for c in choices.values()])[:-1]
        parts = np.split(gradient.double().cpu().numpy(), ends)
        return dict(zip(choices, parts, strict=True))

    @torch.no_grad()
    def score(self, point: Point, limit: int | None) -> dict[str, float]:
        """The task's validation metrics with batch-norm statistics of this point.

        Of ``limit`` batches, which are others when the weights have been trained further.
        """
        active = self.supernet.active(point)
        weights = None if self._whole(point, active) else self._passes.parts(self._mixture(point))
        with drawing(self._device, self._seed):
            batches = (self._train.training(i)[0] for i in range(self._recalibrate))
            recalibrate(self.supernet, lambda x: self.supernet(x, weights, active), batches)
        self.supernet.eval()
        first = 0 if limit is None else self.spent.steps
        scored = (
            (self.supernet(x, weights, active), y)
            for x, y in self._valid.scoring(limit, first=first)
        )
        return dict(self._task.score(scored))

    def save(self, path: Path) -> None:
        """Keep supernet, momentum and step count."""
        momenta = dict(zip(self._passes.names, self._passes.momenta, strict=True))
        tensors = checkpoint.flat({"weights": self.supernet.state_dict(), "momentum": momenta})
        checkpoint.save(path, tensors, {"steps": self.spent.steps, "seconds": self.spent.seconds})

    def load(self, path: Path) -> None:
        """The inverse of :meth:`save`."""
        tensors, facts = checkpoint.load(path)
        self.supernet.load_state_dict(checkpoint.group(tensors, "weights"))
        momenta = checkpoint.group(tensors, "momentum")
        for name, momentum in zip(self._passes.names, self._passes.momenta, strict=True):
            momentum.copy_(momenta[name])
        self.spent = Spent(facts["steps"], facts["steps"], facts["seconds"])
