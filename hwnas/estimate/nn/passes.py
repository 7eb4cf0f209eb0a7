"""What a supernet computes in a step."""

import torch
from torch import Tensor, nn
from torch.func import functional_call

from hwnas.estimate.nn.recorder import Results
from hwnas.graph.twice import differentiated_twice
from hwnas.space.nn.supernet import Active, Supernet
from hwnas.task.task import Task


class Passes:
    """Functions of tensors that a :class:`~hwnas.estimate.nn.recorder.Recorder` can record.

    ``active`` options are computed; ``x`` and ``y`` are a batch, and a ``mixture`` the weights of
    all choices, one after another. Weights are those of SGD with ``momentum``; a gradient longer
    than ``clip`` is shortened to it.
    """

    def __init__(
        self, supernet: Supernet, task: Task, momentum: float, decay: float, clip: float
    ) -> None:
        self._supernet = supernet
        self._task = task
        self._momentum, self._decay, self._clip = momentum, decay, clip
        self.names = [name for name, _ in supernet.named_parameters()]
        self.parameters: list[Tensor] = [p for _, p in supernet.named_parameters()]
        self.momenta = [torch.zeros_like(p) for p in self.parameters]

    def parts(self, mixture: Tensor, gradient: bool = False) -> dict[str, Tensor]:
        """Those of each choice, ``[n_options]``; leaves, if a ``gradient`` in them is wanted."""
        parts = mixture.detach().split([len(c.options) for c in self._supernet.choices.values()])
        return {
            name: part.detach().requires_grad_(gradient)
            for name, part in zip(self._supernet.choices, parts, strict=True)
        }

    def learnt(
        self, active: Active, gradient: bool, x: Tensor, y: Tensor, *mixture: Tensor
    ) -> Results:
        """The training loss, its gradient in the mixture if wanted, and those in the weights."""
        parts = self.parts(mixture[0], gradient) if mixture else None
        loss = self._task.loss(self._supernet(x, parts, active), y)
        leaves = list(parts.values()) if parts and gradient else []
        every = torch.autograd.grad(loss, [*self.parameters, *leaves], allow_unused=True)
        found, slopes = every[: len(self.parameters)], every[len(self.parameters) :]
        filled = [
            torch.zeros_like(leaf) if s is None else s
            for leaf, s in zip(leaves, slopes, strict=True)
        ]
        return [loss.detach(), torch.cat(filled) if leaves else None, *found]

    @torch.no_grad()
    def descended(self, _: Active, used: tuple[int, ...], rate: Tensor, *found: Tensor) -> Results:
        """Nothing; the step of those weights of which gradients are ``found``."""
        gradients = list(found)
        parameters, momenta = ([of[i] for i in used] for of in (self.parameters, self.momenta))
        norm = nn.utils.get_total_norm(gradients)
        torch._foreach_mul_(gradients, (self._clip / (norm + 1e-6)).clamp(max=1.0))
        torch._foreach_add_(gradients, parameters, alpha=self._decay)
        torch._foreach_mul_(momenta, self._momentum)
        torch._foreach_add_(momenta, gradients)
        torch._foreach_sub_(parameters, torch._foreach_mul(momenta, rate))
        return []

    def validated(
        self, active: Active, x: Tensor, y: Tensor, mixture: Tensor, *stepped: Tensor
    ) -> Results:
        """The loss, its gradient in the mixture and, if there are any, in the weights ``stepped``.

        Without them none in the supernet's own is computed.
        """
        parts = self.parts(mixture, gradient=True)
        stepped = tuple(w.detach().requires_grad_() for w in stepped)
        weights = stepped or [p.detach() for p in self.parameters]
        named = dict(zip(self.names, weights, strict=True))
        loss = self._task.loss(functional_call(self._supernet, named, (x, parts, active)), y)
        leaves = list(parts.values())
        every = torch.autograd.grad(loss, [*leaves, *stepped], materialize_grads=True)
        return [loss.detach(), torch.cat(every[: len(leaves)]), *every[len(leaves) :]]

    def unrolled(
        self,
        active: Active,
        train_x: Tensor,
        train_y: Tensor,
        x: Tensor,
        y: Tensor,
        mixture: Tensor,
        rate: Tensor,
    ) -> Results:
        """The loss after a virtual step on a training batch, and its gradient in the mixture.

        Through that step (equation 7 of DARTS), and exactly: the finite differences of equation 8
        meet the kinks of ReLUs.
        """
        parts = self.parts(mixture, gradient=True)
        with differentiated_twice():
            loss = self._task.loss(self._supernet(train_x, parts, active), train_y)
            found = torch.autograd.grad(loss, self.parameters, create_graph=True, allow_unused=True)
        with torch.no_grad():
            steps = list(torch._foreach_mul(self.momenta, self._momentum))
            torch._foreach_add_(steps, self.parameters, alpha=self._decay)
            for step, g in zip(steps, found, strict=True):
                if g is not None:
                    step.add_(g)
            stepped = [w - rate * s for w, s in zip(self.parameters, steps, strict=True)]
        after, slopes, *along = self.validated(active, x, y, mixture, *stepped)
        assert slopes is not None
        used = [(g, v) for g, v in zip(found, along, strict=True) if g is not None]
        gradients, directions = zip(*used, strict=True)
        cross = torch.autograd.grad(
            gradients, list(parts.values()), directions, materialize_grads=True
        )
        return [after, slopes - rate * torch.cat(cross)]
