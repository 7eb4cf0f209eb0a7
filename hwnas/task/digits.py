"""Handwritten digits, 8 x 8 pixels."""

from __future__ import annotations

from collections.abc import Mapping

from hwnas.core.tensor_type import TensorType
from hwnas.task._scikit import digits
from hwnas.task.classification import Classification
from hwnas.task.stratify import check_split, partition
from hwnas.task.task import Split, SplitName


class Digits(Classification):
    """1,797 handwritten digits of 8 x 8 pixels, part of scikit-learn: nothing to download.

    ``valid`` and ``test`` are shares of all examples, drawn by ``seed``, stratified. Pixels are
    0 (paper) to 16 (ink). Not augmented: shifts by a pixel slow short trainings and gain nothing.
    """

    paper = "Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI 1998"
    scale = 16.0

    def __init__(self, *, seed: int = 0, valid: float = 0.2, test: float = 0.2) -> None:
        check_split(seed, valid=valid, test=test)
        self._seed = seed
        self._shares = valid, test

    @property
    def input(self) -> TensorType:
        """One grey image, 8 x 8."""
        return TensorType((1, 8, 8))

    @property
    def labels(self) -> list[str]:
        """The digits."""
        return [str(digit) for digit in range(10)]

    def read(self) -> Mapping[SplitName, Split]:
        """All examples, split by class and seed."""
        images, y = digits()
        train, valid, test = (
            Split(images[rows, None], y[rows]) for rows in partition(y, self._shares, self._seed)
        )
        return {"train": train, "valid": valid, "test": test}
