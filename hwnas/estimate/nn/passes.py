"""What a supernet computes in a step."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call

from hwnas.estimate.nn.recorder import Results
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

    def _outputs(
        self, weights: Sequence[Tensor], mixture: Mapping[str, Tensor], active: Active, x: Tensor
    ) -> Tensor:
        """Those with other weights than the supernet's own."""
        named = dict(zip(self.names, weights, strict=True))
        outputs: Tensor = functional_call(self._supernet, named, (x, mixture, active))
        return outputs

    def stepped(
        self, active: Active, x: Tensor, y: Tensor, mixture: Tensor, rate: Tensor
    ) -> Results:
        """The weights after one virtual step."""
        loss = self._task.loss(self._supernet(x, self.parts(mixture), active), y)
        found = torch.autograd.grad(loss, self.parameters, materialize_grads=True)
        with torch.no_grad():
            steps = zip(self.parameters, self.momenta, found, strict=True)
            return [w - rate * (self._momentum * m + g + self._decay * w) for w, m, g in steps]

    def validated(
        self, active: Active, x: Tensor, y: Tensor, mixture: Tensor, *stepped: Tensor
    ) -> Results:
        """The loss, its gradient in the mixture and, if there are any, in the weights ``stepped``.

        Without them none in the supernet's own is computed.
        """
        parts = self.parts(mixture, gradient=True)
        stepped = tuple(w.detach().requires_grad_() for w in stepped)
        weights = stepped or [p.detach() for p in self.parameters]
        loss = self._task.loss(self._outputs(weights, parts, active, x), y)
        leaves = list(parts.values())
        every = torch.autograd.grad(loss, [*leaves, *stepped], materialize_grads=True)
        return [loss.detach(), torch.cat(every[: len(leaves)]), *every[len(leaves) :]]

    def crossed(
        self, active: Active, x: Tensor, y: Tensor, mixture: Tensor, *along: Tensor
    ) -> Results:
        """d/d mixture of <d training loss / d weights, along>: backwards through a tangent.

        Other than the finite differences of DARTS (equation 8) this does not meet the kinks of
        ReLUs, and takes the memory of two networks.
        """
        parts = self.parts(mixture, gradient=True)
        with forward_ad.dual_level():
            pairs = zip(self.parameters, along, strict=True)
            duals = [forward_ad.make_dual(w.detach(), v) for w, v in pairs]
            outputs, tangent = forward_ad.unpack_dual(self._outputs(duals, parts, active, x))
        assert tangent is not None
        loss = self._task.loss(outputs, y)
        (slope,) = torch.autograd.grad(loss, outputs, create_graph=True)
        moved = (slope * tangent).sum()
        found = torch.autograd.grad(moved, list(parts.values()), materialize_grads=True)
        return [torch.cat(found)]
