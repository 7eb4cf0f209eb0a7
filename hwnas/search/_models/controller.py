"""The recurrent controller: a policy that answers the choices of a space one after another."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from hwnas.core.architecture import Architecture
from hwnas.core.choice import Choice, Value
from hwnas.core.space import Space
from hwnas.search._models.named import Named
from hwnas.space.moves import choices, walk

_SPREAD = 0.08  # of the weights at the beginning (Zoph & Le 2017, section 4.1)

Weigh = Callable[[np.ndarray], np.ndarray]
"""From log-probabilities ``[n, steps]`` to what weighs their gradients, ``[n, steps]``."""


class Controller:
    """An LSTM whose step answers one choice (Zoph & Le 2017, section 3.1; Zoph et al. 2018).

    A step is given the embedding of the previous answer and a preference vector ``[n_objectives]``,
    and a softmax over the options of the choice asked gives its answer. Embeddings and softmax are
    a choice's own, by name, options and ``k``, made when it is first met, from ``seed`` and that
    key alone.

    Of a choice that takes ``k`` options each set S is as likely as the product of ``exp(logit)``
    over S: the conditional Bernoulli distribution (Chen, Dempster & Liu 1994), which is the softmax
    where ``k`` is 1. It is drawn option by option, and an architecture has one probability, that
    does not depend on an order in which options were drawn.
    """

    def __init__(self, objectives: int, seed: int, hidden: int = 32, lr: float = 0.01) -> None:
        self._hidden = hidden
        self._parameters = Named(seed, _SPREAD, lr)
        lstm = torch.nn.LSTM(hidden + objectives, hidden, batch_first=True, device="meta")
        self._lstm = self._parameters.adopt("", lstm)
        self._begin = self._parameters("begin", (hidden,))

    def sample(
        self, space: Space, preference: np.ndarray, rng: np.random.Generator
    ) -> tuple[Architecture, np.ndarray]:
        """An architecture drawn under a preference, and the log-probabilities of its answers."""
        wish = _standard(preference)
        answer: torch.Tensor = self._begin
        memory = None
        log_probs: list[float] = []

        def decide(choice: Choice) -> Value:
            nonlocal answer, memory
            output, memory = self._lstm(torch.cat([answer, wish])[None, None], memory)
            embedding, weight, bias = self._of(choice)
            logits = (weight @ output[0, 0] + bias).numpy().astype(float)
            taken, log_prob = _draw(logits, choice.k or 1, rng)
            log_probs.append(log_prob)
            answer = embedding[taken].mean(0)
            labels = tuple(choice.options[i] for i in taken)
            return labels[0] if choice.k is None else labels

        with torch.no_grad():
            architecture = walk(space, decide)
        return architecture, np.array(log_probs)

    def evaluate(
        self, space: Space, architectures: Sequence[Architecture], preferences: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Log-probabilities and entropies under ``preferences [n, n_objectives]``, step by step.

        Both have shape ``[n, steps]``, zeros after the last answer. A step's entropy, in nats, is
        that of the distribution which its answer was drawn from, so that the mean over draws of
        the sums is the entropy of the policy.
        """
        log_prob, entropy = self._forward(space, architectures, preferences)
        return log_prob.detach().numpy(), entropy.detach().numpy()

    def gradient(
        self,
        space: Space,
        architectures: Sequence[Architecture],
        preferences: np.ndarray,
        weigh: Weigh,
        entropy: float = 0.0,
    ) -> dict[str, np.ndarray]:
        """That of ``sum(weigh(log_prob) * log_prob) + entropy * sum(entropies) / n`` by parameter.

        The weights are constants to it. Parameters that are not concerned are left out.
        """
        self._parameters.zero_grad()
        log_prob, entropies = self._forward(space, architectures, preferences)
        weights = weigh(log_prob.detach().numpy())
        total = (torch.as_tensor(weights, dtype=torch.float32) * log_prob).sum()
        total = total + entropy * entropies.sum() / len(entropies)
        if total.requires_grad:  # it does not where there is nothing to choose
            total.backward()
        named = self._parameters.items()
        return {name: p.grad.numpy().copy() for name, p in named if p.grad is not None}

    def ascend(
        self,
        space: Space,
        architectures: Sequence[Architecture],
        preferences: np.ndarray,
        weigh: Weigh,
        entropy: float = 0.0,
    ) -> None:
        """One step of Adam up that :meth:`gradient`."""
        self.gradient(space, architectures, preferences, weigh, entropy)
        self._parameters.step()

    def state_dict(self) -> dict[str, Any]:
        """Parameters and moments, by name."""
        return self._parameters.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of :meth:`state_dict`, on a new one of the same sizes."""
        self._parameters.load_state_dict(state)

    def _of(self, choice: Choice) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Embedding, weight and bias of a choice."""
        key = json.dumps([choice.name, choice.options, choice.k])
        options, hidden = len(choice.options), self._hidden
        embedding = self._parameters(f"embedding {key}", (options, hidden))
        weight = self._parameters(f"weight {key}", (options, hidden))
        return embedding, weight, self._parameters(f"bias {key}", (options,))

    def _forward(
        self, space: Space, architectures: Sequence[Architecture], preferences: np.ndarray
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probabilities and entropies ``[n, steps]`` of all architectures at once."""
        met = [choices(space, architecture) for architecture in architectures]
        places: dict[Choice, list[tuple[int, int]]] = {}
        for row, sequence in enumerate(met):
            for step, choice in enumerate(sequence):
                places.setdefault(choice, []).append((row, step))
        n, length = len(met), max(map(len, met))
        answers = torch.zeros(n, length + 1, self._hidden)
        answers[:, 0] = self._begin
        asked = []
        for choice, where in places.items():
            embedding, weight, bias = self._of(choice)
            rows, steps = np.array(where).T
            taken = torch.tensor(np.stack([architectures[r].weights(choice) for r in rows])).float()
            answers[rows, steps + 1] = taken @ embedding / (choice.k or 1)
            asked.append((rows, steps, taken, weight, bias, choice.k or 1))
        wish = _standard(preferences)[:, None].expand(-1, length + 1, -1)
        output, _ = self._lstm(torch.cat([answers, wish], dim=2))
        log_prob, entropy = torch.zeros(n, length), torch.zeros(n, length)
        for rows, steps, taken, weight, bias, k in asked:
            logits = output[rows, steps] @ weight.T + bias
            total, share = _partition(logits, k)
            log_prob[rows, steps] = (taken * logits).sum(1) - total
            entropy[rows, steps] = total - (share * logits).sum(1)
        return log_prob, entropy


def _standard(preference: np.ndarray) -> torch.Tensor:
    """Preferences of mean 0 and variance 1 where they are drawn uniformly over the simplex."""
    n = preference.shape[-1]
    spread = np.sqrt((n - 1) / (n + 1)) / n
    return torch.as_tensor((preference - 1 / n) / (spread or 1.0), dtype=torch.float32)


def _partition(logits: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Of sets of ``k``: the logarithm of their sum ``[n]``, and how often each option is in one.

    The sum is the elementary symmetric polynomial of ``exp(logits)``, the shares ``[n, n_options]``
    are the derivative of its logarithm.
    """
    if k == 1:
        return logits.logsumexp(1), logits.softmax(1)
    sums = [torch.zeros(len(logits))]  # of the sets of 0, 1, ... of the options so far
    for logit in logits.T:
        longer = [one + logit for one in sums]
        kept = [torch.logaddexp(a, b) for a, b in zip(sums[1:], longer[:-1], strict=True)]
        sums = [sums[0], *kept, longer[-1]][: k + 1]
    (share,) = torch.autograd.grad(sums[k].sum(), logits, create_graph=True)
    return sums[k], share


def _draw(logits: np.ndarray, k: int, rng: np.random.Generator) -> tuple[list[int], float]:
    """A set of ``k`` options, ascending, and its log-probability.

    Each option in turn is taken with its probability, given what was taken before it.
    """
    tails = np.full((len(logits) + 1, k + 1), -np.inf)  # sums over sets of the options from i on
    tails[:, 0] = 0.0
    for i in reversed(range(len(logits))):
        tails[i, 1:] = np.logaddexp(tails[i + 1, 1:], tails[i + 1, :-1] + logits[i])
    taken: list[int] = []
    for i, logit in enumerate(logits):
        left = k - len(taken)
        if not left:
            break
        if rng.random() < np.exp(logit + tails[i + 1, left - 1] - tails[i, left]):
            taken.append(i)
    return taken, float(logits[taken].sum() - tails[0, k])
