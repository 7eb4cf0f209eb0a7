"""The weights of a supernet: steps, gradients in the mixture, scores."""

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call

from hwnas.core.architecture import Architecture
from hwnas.core.mixture import Mixture
from hwnas.core.outcome import Spent
from hwnas.core.setting import Setting
from hwnas.estimate.nn import checkpoint
from hwnas.estimate.nn.batches import Batches, training_dtype
from hwnas.estimate.nn.compute import drawing
from hwnas.estimate.nn.learner import Schedule
from hwnas.estimate.nn.recalibrate import recalibrate
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
        self._momentum = task.recipe.momentum
        self._decay = task.recipe.weight_decay if weight_decay is None else weight_decay
        self._clip = _CLIP if task.recipe.clip is None else task.recipe.clip
        self._schedule = Schedule(lr or task.recipe.lr, warmup=0.0)
        self._train = Batches(task, "train", device, setting.seed, batch=batch)
        self._valid = Batches(task, "valid", device, setting.seed + 1, batch=batch)
        self._seed = setting.seed
        with drawing(device, setting.seed):
            supernet = Supernet(setting.space)
        supernet.to(memory_format=torch.channels_last)
        self.supernet = supernet.to(device.kind, training_dtype(device))
        self._scheduled = [m for m in supernet.modules() if isinstance(m, Scheduled)]
        self._names = [name for name, _ in self.supernet.named_parameters()]
        self._parameters: list[Tensor] = [p for _, p in self.supernet.named_parameters()]
        self._momenta = [torch.zeros_like(p) for p in self._parameters]
        self.spent = Spent()

    def _mixture(self, point: Point) -> dict[str, Tensor]:
        """The weights as tensors, choice -> ``[n_options]``."""
        dtype, kind = training_dtype(self._device), self._device.kind
        return {
            name: torch.tensor(point.weights(choice), dtype=dtype, device=kind)
            for name, choice in self.supernet.choices.items()
        }

    def _weights(self, point: Point, active: Active) -> dict[str, Tensor] | None:
        """None where all that is computed counts as it is, so that nothing needs to be weighed."""
        whole = all(
            (np.asarray(point.weights(choice))[list(active[name])] == 1).all()
            for name, choice in self.supernet.choices.items()
        )
        return None if whole else self._mixture(point)

    def step(self, point: Point, gradient: bool = False) -> tuple[float, dict[str, np.ndarray]]:
        """One step of SGD on the next training batch. ArithmeticError if the loss is not finite.

        The loss and, with ``gradient``, its gradient in the mixture from the same pass, choice ->
        ``[n_options]``.
        """
        started = time.perf_counter()
        self.supernet.train()
        active = self.supernet.active(point)
        mixture = self._mixture(point) if gradient else {}
        for weights in mixture.values():
            weights.requires_grad_()
        x, y = self._train.training(self.spent.steps)
        for module in self._scheduled:
            module.progress = min(1.0, self.spent.steps / self._horizon)
        with drawing(self._device, self._seed, self.spent.steps):
            outputs = self.supernet(x, mixture or self._weights(point, active), active)
        loss = self._task.loss(outputs, y)
        value = loss.item()
        if not math.isfinite(value):
            raise ArithmeticError(f"supernet loss is {value} at step {self.spent.steps}")
        # Options that were not computed have no gradient; weight decay leaves them alone too.
        wanted = [*self._parameters, *mixture.values()]
        every = torch.autograd.grad(loss, wanted, allow_unused=True)
        found, slopes = every[: len(self._parameters)], every[len(self._parameters) :]
        used = [i for i, gradient in enumerate(found) if gradient is not None]
        gradients = [gradient for gradient in found if gradient is not None]
        self._descend(
            [self._parameters[i] for i in used], [self._momenta[i] for i in used], gradients
        )
        steps = self.spent.steps + 1
        self.spent = Spent(steps, steps, self.spent.seconds + time.perf_counter() - started)
        return value, _numpy(mixture, slopes)

    @torch.no_grad()
    def _descend(
        self, parameters: list[Tensor], momenta: list[Tensor], gradients: list[Tensor]
    ) -> None:
        norm = nn.utils.get_total_norm(gradients)
        torch._foreach_mul_(gradients, (self._clip / (norm + 1e-6)).clamp(max=1.0))
        torch._foreach_add_(gradients, parameters, alpha=self._decay)
        torch._foreach_mul_(momenta, self._momentum)
        torch._foreach_add_(momenta, gradients)
        torch._foreach_add_(parameters, momenta, alpha=-self._rate)

    @property
    def _rate(self) -> float:
        return self._schedule.at(min(self.spent.steps, self._horizon - 1), 0, self._horizon)

    def gradient(self, point: Point, order: int) -> tuple[float, dict[str, np.ndarray]]:
        """Validation loss, and its gradient in the mixture, choice -> ``[n_options]``.

        Order 2 goes through the step that the next training batch would take, momentum and decay
        included, and leaves the weights as they are.
        """
        self.supernet.train()
        mixture = {name: w.requires_grad_() for name, w in self._mixture(point).items()}
        wanted = list(mixture.values())
        active = self.supernet.active(point)
        # Where they are detached no gradient of theirs is computed.
        weights = [p.detach() for p in self._parameters]
        if order == 2:
            weights = self._stepped(mixture, active)
            wanted += weights
        x, y = self._valid.training(self.spent.steps)
        loss = self._task.loss(self._outputs(weights, mixture, active, x, order), y)
        every = torch.autograd.grad(loss, wanted, materialize_grads=True)
        found, slopes = every[: len(mixture)], every[len(mixture) :]
        if order == 2:
            cross = self._cross(mixture, active, slopes)
            found = tuple(torch._foreach_sub(found, cross, alpha=self._rate))
        return loss.item(), _numpy(mixture, found)

    def _outputs(
        self,
        parameters: Sequence[Tensor],
        mixture: Mapping[str, Tensor],
        active: Active,
        x: Tensor,
        *draw: int,
    ) -> Tensor:
        """Those with other weights than the supernet's own."""
        named = dict(zip(self._names, parameters, strict=True))
        with drawing(self._device, self._seed, self.spent.steps, *draw):
            outputs: Tensor = functional_call(self.supernet, named, (x, mixture, active))
        return outputs

    def _stepped(self, mixture: Mapping[str, Tensor], active: Active) -> list[Tensor]:
        """The weights after one virtual step on the next training batch."""
        x, y = self._train.training(self.spent.steps)
        held = {name: w.detach() for name, w in mixture.items()}
        loss = self._task.loss(self._outputs(self._parameters, held, active, x), y)
        found = torch.autograd.grad(loss, self._parameters, materialize_grads=True)
        with torch.no_grad():
            steps = zip(self._parameters, self._momenta, found, strict=True)
            return [
                (w - self._rate * (self._momentum * m + g + self._decay * w)).requires_grad_()
                for w, m, g in steps
            ]

    def _cross(
        self, mixture: Mapping[str, Tensor], active: Active, along: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        """d/d mixture of <d training loss / d weights, along>: backwards through a tangent.

        Other than the finite differences of DARTS (equation 8) this does not meet the kinks of
        ReLUs, and takes the memory of two networks.
        """
        x, y = self._train.training(self.spent.steps)
        with forward_ad.dual_level():
            pairs = zip(self._parameters, along, strict=True)
            duals = [forward_ad.make_dual(w.detach(), v) for w, v in pairs]
            outputs, tangent = forward_ad.unpack_dual(self._outputs(duals, mixture, active, x))
        assert tangent is not None
        loss = self._task.loss(outputs, y)
        (slope,) = torch.autograd.grad(loss, outputs, create_graph=True)
        moved = (slope * tangent).sum()
        return torch.autograd.grad(moved, list(mixture.values()), materialize_grads=True)

    @torch.no_grad()
    def score(self, point: Point, limit: int | None) -> dict[str, float]:
        """The task's validation metrics with batch-norm statistics of this point.

        Of ``limit`` batches, which are others when the weights have been trained further.
        """
        active = self.supernet.active(point)
        weights = self._weights(point, active)
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
        momenta = dict(zip(self._names, self._momenta, strict=True))
        tensors = checkpoint.flat({"weights": self.supernet.state_dict(), "momentum": momenta})
        checkpoint.save(path, tensors, {"steps": self.spent.steps, "seconds": self.spent.seconds})

    def load(self, path: Path) -> None:
        """The inverse of :meth:`save`."""
        tensors, facts = checkpoint.load(path)
        self.supernet.load_state_dict(checkpoint.group(tensors, "weights"))
        momenta = checkpoint.group(tensors, "momentum")
        for name, momentum in zip(self._names, self._momenta, strict=True):
            momentum.copy_(momenta[name])
        self.spent = Spent(facts["steps"], facts["steps"], facts["seconds"])


def _numpy(
    mixture: Mapping[str, Tensor], gradients: Sequence[Tensor | None]
) -> dict[str, np.ndarray]:
    """Gradients in the mixture, zeros where it does not matter."""
    return {
        name: (torch.zeros_like(w) if gradient is None else gradient).double().cpu().numpy()
        for (name, w), gradient in zip(mixture.items(), gradients, strict=True)
    }
