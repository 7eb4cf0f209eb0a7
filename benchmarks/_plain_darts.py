"""DARTS as its paper and its code have it, written plainly: what the supernet is compared with.

Every option is computed in NCHW by torch's own modules, one autograd operation after another; the
architecture's step fills the gradients of the weights as well; the second order is the finite
difference of section 2.3. Only graph and initial weights are shared with hwnas.
"""

from collections.abc import Mapping
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional

from hwnas.graph.graph import INPUT
from hwnas.graph.ops.mix import Mix
from hwnas.graph.ops.sum import Sum
from hwnas.space.nn.network import module_name
from hwnas.space.nn.supernet import Supernet

Batch = tuple[Tensor, Tensor]
CLIP, MOMENTUM = 5.0, 0.9


class Plain(nn.Module):
    """All options of a space, mixed by the softmax of alpha; with ``path`` one of each choice."""

    def __init__(self, supernet: Supernet) -> None:
        super().__init__()
        self.graph, self.choices = supernet.graph, supernet.choices
        self.ops = nn.ModuleDict({name: _plain(op) for name, op in supernet.ops.items()})
        self.alpha = nn.ParameterDict(
            {n.replace(".", ","): torch.zeros(len(c.options)) for n, c in self.choices.items()}
        )

    def forward(self, x: Tensor, path: Mapping[str, int] | None = None) -> Tensor:
        """Logits."""
        values = {INPUT: x}
        weights = {n: self.alpha[n.replace(".", ",")].softmax(0) for n in self.choices}
        for node in self.graph if path is None else self._needed(path):
            if isinstance(node.op, Mix):
                name = node.op.choice.name
                if path is not None:
                    values[node.id] = values[node.inputs[path[name]].id]
                else:
                    terms = zip(weights[name], node.inputs, strict=True)
                    values[node.id] = sum(w * values[i.id] for w, i in terms)
            elif isinstance(node.op, Sum):
                gated = weights if path is None else None
                values[node.id] = sum(self._gated(i, values, gated) for i in node.inputs)
            else:
                inputs = [values[i.id] for i in node.inputs]
                values[node.id] = self.ops[module_name(node.weights)](*inputs)
        return values[self.graph.output.id]

    def _gated(self, node, values, weights):  # type: ignore[no-untyped-def]
        value = values[node.id]
        for choice, i in node.gates if weights is not None else ():
            value = value * weights[choice.name][i]
        return value

    def _needed(self, path: Mapping[str, int]) -> list:  # type: ignore[type-arg]
        needed = {self.graph.output.id}
        found = []
        for node in reversed(list(self.graph)):
            if node.id in needed:
                taken = node.inputs
                if isinstance(node.op, Mix):
                    taken = (node.inputs[path[node.op.choice.name]],)
                needed.update(i.id for i in taken)
                found.append(node)
        return found[::-1]

    @property
    def weights(self) -> list[nn.Parameter]:
        """All parameters but alpha."""
        return list(self.ops.parameters())


def _plain(module: nn.Module) -> nn.Module:
    """A copy with torch's own convolutions and norms, in NCHW.

    Weights that lie channels last would make torch compute everything so.
    """
    twin = deepcopy(module).to(memory_format=torch.contiguous_format)
    for part in twin.modules():
        if isinstance(part, nn.Conv2d):
            part.__class__ = nn.Conv2d  # the same parameters, torch's own passes
        elif isinstance(part, nn.BatchNorm2d):
            part.__class__ = nn.BatchNorm2d
    return twin


class Trainer:
    """Weight step, then alpha's step by Adam."""

    def __init__(self, net: Plain, lr: float, alpha_lr: float, decay: float) -> None:
        self.net = net
        self.decay = decay
        self.sgd = torch.optim.SGD(net.weights, lr, momentum=MOMENTUM, weight_decay=decay)
        self.adam = torch.optim.Adam(
            net.alpha.parameters(), lr=alpha_lr, betas=(0.5, 0.999), weight_decay=1e-3
        )

    def step(
        self, train: Batch, rate: float, valid: Batch, after: Batch, order: int, next: float
    ) -> float:
        """Weights, then alpha; the loss that alpha's gradient is of."""
        self.descend(train, rate)
        self.adam.zero_grad()
        loss = self.loss(valid) if order == 1 else self._second(after, valid, next)
        if order == 1:
            loss.backward()
        self.adam.step()
        return loss.item()

    def descend(self, train: Batch, rate: float, path: Mapping[str, int] | None = None) -> float:
        """The weights' step, and its loss."""
        self.sgd.param_groups[0]["lr"] = rate
        self.sgd.zero_grad()
        loss = self.loss(train, path)
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.weights, CLIP)
        self.sgd.step()
        return loss.item()

    def loss(self, batch: Batch, path: Mapping[str, int] | None = None) -> Tensor:
        """Cross entropy."""
        return functional.cross_entropy(self.net(batch[0], path), batch[1])

    def _second(self, train: Batch, valid: Batch, rate: float) -> Tensor:
        """Equations 6 to 8; the gradient is left in alpha."""
        net, alpha = self.net, list(self.net.alpha.parameters())
        held = [w.detach().clone() for w in net.weights]
        found = torch.autograd.grad(self.loss(train), net.weights, allow_unused=True)
        with torch.no_grad():
            for w, g in zip(net.weights, found, strict=True):
                momentum = self.sgd.state[w].get("momentum_buffer")
                change = self.decay * w if g is None else g + self.decay * w
                w.sub_(rate * (change if momentum is None else MOMENTUM * momentum + change))
        loss = self.loss(valid)
        both = torch.autograd.grad(loss, [*alpha, *net.weights], allow_unused=True)
        direct, dw = both[: len(alpha)], both[len(alpha) :]
        dw = [torch.zeros_like(w) if g is None else g for w, g in zip(held, dw, strict=True)]
        epsilon = 0.01 / torch.sqrt(sum((g**2).sum() for g in dw))
        sides = []
        for sign in (1, -1):
            with torch.no_grad():
                for w, base, g in zip(net.weights, held, dw, strict=True):
                    w.copy_(base + sign * epsilon * g)
            sides.append(torch.autograd.grad(self.loss(train), alpha))
        with torch.no_grad():
            for w, base in zip(net.weights, held, strict=True):
                w.copy_(base)
        for a, d, up, down in zip(alpha, direct, *sides, strict=True):
            a.grad = d - rate * (up - down) / (2 * epsilon)
        return loss
