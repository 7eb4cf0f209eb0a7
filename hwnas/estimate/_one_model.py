"""The base of estimators with one model that every proposal trains."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from hwnas.core.errors import HwnasError
from hwnas.core.estimator import Estimator
from hwnas.core.setting import Setting


class Model(Protocol):
    """What is kept."""

    def save(self, path: Path) -> None:
        """Keep weights, what the optimiser knows, and the step count."""

    def load(self, path: Path) -> None:
        """The inverse of :meth:`save`."""


class OneModel(Estimator):
    """Keeps its model at each snapshot; authors set ``_model``.

    Proposals share it, so they are in work one after another.
    """

    divisible = False
    _model: Model

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._kept: Path | None = None  # what the last snapshot may name

    def checkpoint(self, id: int) -> None:
        """Keep the model; the checkpoint before stays until the next."""
        path = self._path(id)
        self._model.save(path)
        for old in path.parent.glob("shared-*.safetensors"):
            if old not in (path, self._kept):
                old.unlink()
        self._kept = path

    def restore(self, id: int) -> None:
        """Take up the model as it was after proposal ``id``."""
        self._kept = self._path(id)
        self._model.load(self._kept)

    def _path(self, id: int) -> Path:
        return self._folder / f"shared-{id}.safetensors"

    @property
    def _folder(self) -> Path:
        if self.setting.folder is None:
            raise HwnasError("weights can be kept only where there is a folder for them.")
        return self.setting.folder / "weights"
