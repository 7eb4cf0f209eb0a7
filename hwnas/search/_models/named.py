"""Parameters that are made as they are met, and Adam for them."""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

import torch

_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


class Named:
    """Parameters by name, each drawn from ``seed`` and its name alone, uniformly to ``spread``.

    So it does not matter in which order they are met, nor who else draws random numbers. A step
    goes up.
    """

    def __init__(self, seed: int, spread: float, lr: float) -> None:
        self._seed = seed
        self._spread = spread
        self._known: dict[str, torch.nn.Parameter] = {}
        first = torch.nn.Parameter(torch.zeros(0))  # Adam wants one to begin with
        self._adam = torch.optim.Adam([first], lr=lr, maximize=True)

    def __call__(self, name: str, shape: Iterable[int]) -> torch.nn.Parameter:
        """The parameter of a name, made when it is first asked for."""
        if name not in self._known:
            self._add(name, torch.nn.Parameter(self._initial(name, shape)))
        return self._known[name]

    def adopt(self, prefix: str, module: torch.nn.Module) -> torch.nn.Module:
        """A module on the device "meta", made here with parameters drawn as all others."""
        module = module.to_empty(device="cpu")
        for name, parameter in module.named_parameters():
            parameter.data = self._initial(f"{prefix}{name}", parameter.shape)
            self._add(f"{prefix}{name}", parameter)
        return module

    def items(self) -> Iterable[tuple[str, torch.nn.Parameter]]:
        """Names and parameters."""
        return self._known.items()

    def zero_grad(self) -> None:
        """Forget the gradients."""
        self._adam.zero_grad()

    def step(self) -> None:
        """One of Adam, up the gradients."""
        self._adam.step()

    def state_dict(self) -> dict[str, Any]:
        """Parameters and moments, by name."""
        return {
            "seed": self._seed,
            "parameters": {n: p.detach().numpy().copy() for n, p in self._known.items()},
            "moments": {
                name: [self._adam.state[p][moment].numpy().copy() for moment in _MOMENTS]
                for name, p in self._known.items()
                if p in self._adam.state
            },
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of :meth:`state_dict`."""
        self._seed = state["seed"]
        for name, value in state["parameters"].items():
            self(name, value.shape).data = torch.from_numpy(value.copy())
        for name, values in state["moments"].items():
            tensors = [torch.from_numpy(value.copy()) for value in values]
            self._adam.state[self._known[name]] = dict(zip(_MOMENTS, tensors, strict=True))

    def _add(self, name: str, parameter: torch.nn.Parameter) -> None:
        self._known[name] = parameter
        self._adam.param_groups[0]["params"].append(parameter)

    def _initial(self, name: str, shape: Iterable[int]) -> torch.Tensor:
        drawn = torch.rand(tuple(shape), generator=generator(self._seed, name))
        return (2 * drawn - 1) * self._spread


def generator(seed: int, name: str) -> torch.Generator:
    """Random numbers of a seed and a name alone."""
    digest = sha256(f"{seed} {name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
