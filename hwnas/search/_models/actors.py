"""The encoder and the two actors that transform a network."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional

from hwnas.core.choice import Label
from hwnas.search._models.named import Named

Layers = Sequence[tuple[str, int]]
"""A network from its input on: what each layer is, and how many channels it puts out."""

_DOUBLINGS = 10.0  # of a width that is given to the encoder as one


class Action(NamedTuple):
    """What an actor was shown and what it decided; JSON as a list.

    ``places`` are positions of layers, -1 for one whose position is not known. The wider actor has
    ``taken`` 0 or 1 for each of them; the deeper actor the indices of one of ``places`` and one of
    ``details``, of which only it has any.
    """

    layers: list[list[Any]]
    places: list[int]
    taken: list[int]
    details: list[Label]


class Actors:
    """A bi-directional LSTM over the layers; a sigmoid a layer; and a decoder that points at one.

    Cai et al. 2018: the encoder (section "Meta-controller") reads the embedding of each layer, here
    of what it is, with the logarithm of its width and a preference vector ``[n_objectives]`` beside
    it. The Net2Wider actor is one sigmoid classifier on the encoding of each layer. The Net2Deeper
    actor is an LSTM that begins with the last state of the encoder and decides where, then with
    which kernel. In the paper "where" is a block and an index in it, with a limit to both; here it
    is a softmax of attention over the layers, which has none.

    What belongs to a kind of layer or a kernel is made when it is first met, from ``seed`` and its
    name alone.
    """

    def __init__(
        self, objectives: int, seed: int, lr: float = 2e-3, hidden: int = 50, embedding: int = 16
    ) -> None:
        self._embedding = embedding
        self._of = Named(seed, hidden**-0.5, lr)
        read = embedding + 1 + objectives
        encoder = torch.nn.LSTM(read, hidden, bidirectional=True, device="meta")
        self._encoder = self._of.adopt("encoder ", encoder)
        decoder = torch.nn.LSTMCell(2 * hidden, 2 * hidden, device="meta")
        self._decoder = self._of.adopt("decoder ", decoder)
        self._wider = self._of("wider", (2 * hidden + 1,))
        self._attention = self._of("attention", (2 * hidden, 2 * hidden))
        self._begin = self._of("begin", (2 * hidden,))

    def encode(self, layers: Layers, preference: np.ndarray) -> np.ndarray:
        """The encodings of the layers, shape ``[n_layers, 2 * hidden]``."""
        with torch.no_grad():
            return self._encode(layers, preference)[0].numpy()

    def wider(
        self,
        layers: Layers,
        places: Sequence[int],
        preference: np.ndarray,
        rng: np.random.Generator,
    ) -> Action:
        """Which of the layers at ``places`` to widen, each drawn by its own probability."""
        with torch.no_grad():
            encoded, _ = self._encode(layers, preference)
            chances = torch.sigmoid(self._wider_logits(encoded, places)).numpy()
        taken = (rng.random(len(places)) < chances).astype(int).tolist()
        return Action([list(layer) for layer in layers], list(places), taken, [])

    def deeper(
        self,
        layers: Layers,
        places: Sequence[int],
        details: Callable[[int], Sequence[Label]],
        preference: np.ndarray,
        rng: np.random.Generator,
    ) -> Action:
        """After which of the layers at ``places`` to insert one, and with which of ``details``.

        ``details`` is told the index in ``places`` and gives what can be chosen there.
        """
        with torch.no_grad():
            encoded, state = self._encode(layers, preference)
            logits, state = self._place_logits(encoded, state, places)
            place = _draw(logits, rng)
            offered = details(place)
            detail = _draw(self._detail_logits(encoded, state, places[place], offered), rng)
        shown = [list(layer) for layer in layers]
        return Action(shown, list(places), [place, detail], list(offered))

    def log_prob(self, action: Action, preference: np.ndarray) -> float:
        """Of taking an action in the situation in which it was taken."""
        with torch.no_grad():
            return float(self._evaluate(action, preference)[0])

    def ascend(
        self,
        episodes: Sequence[Sequence[Action]],
        preferences: Sequence[np.ndarray],
        advantages: np.ndarray,
        entropy: float = 0.0,
    ) -> None:
        """One step of Adam up ``mean(advantage * log_prob) + entropy * mean(entropies)``.

        The log-probability of an episode is the sum over its actions; an entropy is that of one
        decision, in nats.
        """
        self._of.zero_grad()
        total = torch.zeros(())
        entropies = []
        for actions, preference, advantage in zip(episodes, preferences, advantages, strict=True):
            for action in actions:
                log_prob, spread = self._evaluate(action, preference)
                total = total + float(advantage) / len(episodes) * log_prob
                entropies.append(spread)
        if entropies:
            (total + entropy * torch.cat(entropies).mean()).backward()
            self._of.step()

    def state_dict(self) -> dict[str, Any]:
        """Parameters and moments, by name."""
        return self._of.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of :meth:`state_dict`, on a new one of the same sizes."""
        self._of.load_state_dict(state)

    def _encode(
        self, layers: Layers, preference: np.ndarray
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """Encodings ``[n_layers, 2 * hidden]`` and the last state, both directions together."""
        wish = torch.as_tensor(preference, dtype=torch.float32)
        rows = []
        for label, width in layers:
            size = torch.tensor([np.log2(width) / _DOUBLINGS], dtype=torch.float32)
            rows.append(torch.cat([self._of(f"layer {label}", (self._embedding,)), size, wish]))
        encoded: torch.Tensor
        encoded, (output, cell) = self._encoder(torch.stack(rows))
        return encoded, (output.flatten(), cell.flatten())

    def _wider_logits(self, encoded: torch.Tensor, places: Sequence[int]) -> torch.Tensor:
        logits: torch.Tensor = _at(encoded, places) @ self._wider[:-1] + self._wider[-1]
        return logits

    def _place_logits(
        self,
        encoded: torch.Tensor,
        state: tuple[torch.Tensor, torch.Tensor],
        places: Sequence[int],
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        state = self._decoder(self._begin, state)
        return _at(encoded, places) @ (self._attention @ state[0]), state

    def _detail_logits(
        self,
        encoded: torch.Tensor,
        state: tuple[torch.Tensor, torch.Tensor],
        place: int,
        details: Sequence[Label],
    ) -> torch.Tensor:
        output, _ = self._decoder(_at(encoded, [place])[0], state)
        heads = [self._of(f"detail {d}", (len(self._begin) + 1,)) for d in details]
        return torch.stack([head[:-1] @ output + head[-1] for head in heads])

    def _evaluate(
        self, action: Action, preference: np.ndarray
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The log-probability of an action and the entropies of its decisions."""
        encoded, state = self._encode([(a, b) for a, b in action.layers], preference)
        if not action.details:
            logits = self._wider_logits(encoded, action.places)
            taken = torch.tensor(action.taken, dtype=torch.float32)
            nats = functional.binary_cross_entropy_with_logits
            spread = nats(logits, torch.sigmoid(logits), reduction="none")
            return -nats(logits, taken, reduction="sum"), spread
        place, detail = action.taken
        where, state = self._place_logits(encoded, state, action.places)
        what = self._detail_logits(encoded, state, action.places[place], action.details)
        pairs = [(where.log_softmax(0), place), (what.log_softmax(0), detail)]
        log_prob = torch.stack([logs[i] for logs, i in pairs]).sum()
        return log_prob, torch.stack([-(logs.exp() * logs).sum() for logs, _ in pairs])


def _at(encoded: torch.Tensor, places: Sequence[int]) -> torch.Tensor:
    """The encodings of layers; of one whose position is not known, the mean of all."""
    return torch.stack([encoded[p] if p >= 0 else encoded.mean(0) for p in places])


def _draw(logits: torch.Tensor, rng: np.random.Generator) -> int:
    """An index by the softmax."""
    total = np.cumsum(logits.softmax(0).numpy().astype(float))
    return int(np.searchsorted(total / total[-1], rng.random(), side="right"))
