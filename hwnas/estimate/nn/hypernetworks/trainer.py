"""A hypernetwork in training: steps, scores of networks with generated weights."""

import math
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn
from torch.func import functional_call

from hwnas.core.outcome import Spent
from hwnas.core.setting import Setting
from hwnas.estimate.nn import checkpoint
from hwnas.estimate.nn.batches import Batches, training_dtype
from hwnas.estimate.nn.compute import drawing
from hwnas.estimate.nn.hypernetworks.hypernetwork import Hypernetwork
from hwnas.estimate.nn.learner import Schedule
from hwnas.estimate.nn.recalibrate import recalibrate
from hwnas.graph.graph import Graph
from hwnas.graph.modules import Scheduled
from hwnas.space.nn.network import Network

_CLIP = 5.0  # Knyazev et al. 2021, appendix C, where the task has none of its own
_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


class Trainer:
    """Trains a hypernetwork by Adam on whatever networks it is given, a batch each."""

    def __init__(
        self,
        setting: Setting,
        hypernetwork: Hypernetwork,
        horizon: int,
        batch: int | None,
        lr: float,
        recalibrate: int,
    ) -> None:
        task, device = setting.task, setting.device
        self._task = task
        self._device = device
        self._seed = setting.seed
        self._horizon = horizon
        self._recalibrate = recalibrate
        self._clip = _CLIP if task.recipe.clip is None else task.recipe.clip
        self._schedule = Schedule(lr, warmup=0.0)
        self._train = Batches(task, "train", device, setting.seed, batch=batch)
        self._valid = Batches(task, "valid", device, setting.seed + 1, batch=batch)
        self.hypernetwork = hypernetwork.to(device.kind, training_dtype(device))
        self._optimiser = torch.optim.Adam(self.hypernetwork.parameters(), lr)
        self.spent = Spent()

    def network(self, graph: Graph) -> Network:
        """The network of a graph; its weights are drawn by what was spent so far."""
        with drawing(self._device, self._seed, self.spent.steps):
            network = Network(graph)
        return network.to(self._device.kind, training_dtype(self._device))

    def step(self, graph: Graph, network: Network) -> None:
        """One step on the next training batch. ArithmeticError if it is not finite."""
        started = time.perf_counter()
        steps = self.spent.steps
        network.train()
        x, y = self._train.training(steps)
        for module in network.modules():
            if isinstance(module, Scheduled):
                module.progress = min(1.0, steps / self._horizon)
        weights = self.hypernetwork(graph, network)
        with drawing(self._device, self._seed, steps):
            loss = self._task.loss(functional_call(network, weights, (x,)), y)
        self.hypernetwork.zero_grad(set_to_none=True)
        loss.backward()
        # By name, as a sum is rounded otherwise in the order in which a checkpoint has them.
        parameters = [p for _, p in sorted(self.hypernetwork.named_parameters())]
        norm = nn.utils.clip_grad_norm_(parameters, self._clip)
        if not math.isfinite(loss.item() + norm.item()):  # it would spoil all that is shared
            raise ArithmeticError(
                f"hypernetwork loss is {loss.item()}, its gradient {norm.item()} at step {steps}"
            )
        self._optimiser.param_groups[0]["params"] = parameters  # there may be new ones
        self._optimiser.param_groups[0]["lr"] = self._schedule.at(
            min(steps, self._horizon - 1), 0, self._horizon
        )
        self._optimiser.step()
        seconds = self.spent.seconds + time.perf_counter() - started
        self.spent = Spent(steps + 1, steps + 1, seconds)

    @torch.no_grad()
    def fill(self, graph: Graph, network: Network) -> None:
        """Give a network the weights generated for it, and its batch-norm statistics."""
        network.load_state_dict(self.hypernetwork(graph, network), strict=False)
        with drawing(self._device, self._seed):
            batches = (self._train.training(i)[0] for i in range(self._recalibrate))
            recalibrate(network, network, batches)

    @torch.inference_mode()
    def score(self, network: Network, limit: int | None) -> Mapping[str, float]:
        """The task's validation metrics of a network as it is."""
        network.eval()
        return self._task.score((network(x), y) for x, y in self._valid.scoring(limit))

    def save(self, path: Path) -> None:
        """Keep hypernetwork, moments of the gradient and step count."""
        states = {
            name: self._optimiser.state[parameter]
            for name, parameter in self.hypernetwork.named_parameters()
            if parameter in self._optimiser.state
        }
        moments = {m: {name: state[m] for name, state in states.items()} for m in _MOMENTS}
        tensors = checkpoint.flat({"weights": self.hypernetwork.state_dict(), **moments})
        checkpoint.save(path, tensors, {"steps": self.spent.steps, "seconds": self.spent.seconds})

    def load(self, path: Path) -> None:
        """The inverse of :meth:`save`."""
        tensors, facts = checkpoint.load(path)
        self.hypernetwork.restore(checkpoint.group(tensors, "weights"))
        self._optimiser.state.clear()
        moments = {m: checkpoint.group(tensors, m) for m in _MOMENTS}
        for name, parameter in self.hypernetwork.named_parameters():
            if name in moments["step"]:
                state = {m: group[name].to(parameter) for m, group in moments.items()}
                state["step"] = moments["step"][name]  # which stays on the CPU
                self._optimiser.state[parameter] = state
        self.spent = Spent(facts["steps"], facts["steps"], facts["seconds"])
