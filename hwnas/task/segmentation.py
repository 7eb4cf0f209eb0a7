"""Semantic segmentation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hwnas.core.errors import HwnasError
from hwnas.core.metric import Metric
from hwnas.core.tensor_type import TensorType
from hwnas.task._scikit import digits
from hwnas.task.augment import crop, flip
from hwnas.task.canvas import canvases
from hwnas.task.image_set import CACHE
from hwnas.task.location import expand
from hwnas.task.normalised import Normalised
from hwnas.task.pixel_maps import IGNORE, PETS, VOC, PixelMaps
from hwnas.task.stratify import check_split, interleave, partition
from hwnas.task.task import Recipe, Split, SplitName

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_SOURCES = {"voc": VOC, "pets": PETS}
_CANVASES = 1500, 300  # with digits to learn from, and with others to test on
_SMALLEST = 8  # pixels


class Segmentation(Normalised):
    """The class of every pixel, of digits scattered on a canvas, of VOC 2012 or of pets.

    ``digits`` needs no download: 1,500 grey canvases with handwritten digits of scikit-learn, and
    300 of other digits to test on; ``voc`` (tested on its validation set) and ``pets`` are read
    from ``root`` by torchvision, which may ``download`` them. Images are squares of side ``size``,
    by default 32 (digits) or 128. ``valid`` is the share of the training set, drawn by ``seed``,
    that is held out; ``limit`` keeps that many examples of each split. ``balanced`` weighs a pixel
    in the loss by how rare its class is in training (as Eigen & Fergus 2015, arXiv:1411.4734), by
    default with digits, as most of a canvas is background.

    ``error`` is 1 - ``mean_iou``, the intersection over union of pixels, averaged over the classes
    that occur; ``pixel_error`` the share of pixels misclassified. Pixels labelled 255 do not count.
    """

    paper = (
        "Everingham et al. 2015, PASCAL VOC; Parkhi et al. 2012, Cats and dogs;"
        " Alpaydin and Kaynak, UCI 1998"
    )
    metrics = (
        Metric("error", worst=1.0),
        Metric("mean_iou", goal="max", worst=0.0, best=1.0),
        Metric("pixel_error", worst=1.0),
        Metric("loss"),
    )
    recipe = Recipe(batch=16, lr=0.1)

    def __init__(
        self,
        *,
        dataset: Literal["digits", "voc", "pets"] = "digits",
        root: str | None = None,
        download: bool = False,
        size: int | None = None,
        limit: int | None = None,
        seed: int = 0,
        valid: float = 0.2,
        balanced: bool | None = None,
    ) -> None:
        if dataset not in ("digits", *_SOURCES):
            allowed = ", ".join(("digits", *_SOURCES))
            raise HwnasError(f"task.dataset: got {dataset!r}.", f"Allowed: {allowed}.")
        check_split(seed, valid=valid)
        for name, value, least in (("size", size, _SMALLEST), ("limit", limit, 1)):
            if value is not None and value < least:
                raise HwnasError(f"task.{name}: got {value}.", f"Allowed: {least} or more.")
        self._source = _SOURCES.get(dataset)
        self._root = expand(root or CACHE)
        self._download = download
        self._size = size or (128 if self._source else 32)
        self._limit = limit
        self._seed = seed
        self._valid = valid
        self._balanced = dataset == "digits" if balanced is None else balanced

    @property
    def input(self) -> TensorType:
        """One square image, grey if of digits."""
        return TensorType((3 if self._source else 1, self._size, self._size))

    @property
    def outputs(self) -> int:
        """One logit a class."""
        return len(self.labels)

    @property
    def output(self) -> TensorType:
        """The logits of every pixel."""
        return TensorType((self.outputs, self._size, self._size))

    @property
    def labels(self) -> list[str]:
        """The names of the classes."""
        return list(self._source.classes) if self._source else ["background", *"0123456789"]

    @property
    def preprocessing(self) -> Mapping[str, Any]:
        """As for every image task, and how a photograph gets its ``size``."""
        resize = "shorter side to size, bilinear, then centre crop"
        return {**super().preprocessing, "resize": resize, "mode": "RGB" if self._source else "L"}

    def load(self) -> Mapping[SplitName, Split]:
        """Targets are uint8 ``[n, size, size]``."""
        return self._scattered() if self._source is None else self._photographs()

    def _scattered(self) -> Mapping[SplitName, Split]:
        """Canvases; no digit is in two splits."""
        images, labels = digits()
        learnt, tested = partition(labels, [0.2], 0)  # to test on the same for every seed
        parts = partition(labels[learnt], [self._valid], self._seed)
        pools = [learnt[parts[0]], learnt[parts[1]], tested]
        held = min(max(1, round(_CANVASES[0] * self._valid)), _CANVASES[0] - 1)
        counts = [_CANVASES[0] - held, held, _CANVASES[1]]
        seeds = [(self._seed, 0), (self._seed, 1), (0, 2)]
        names: tuple[SplitName, ...] = ("train", "valid", "test")
        splits: dict[SplitName, Split] = {}
        for name, pool, count, seed in zip(names, pools, counts, seeds, strict=True):
            rng = np.random.default_rng(seed)
            n = count if self._limit is None else min(count, self._limit)
            ink = images[pool] / 16
            splits[name] = Split(*canvases(ink, labels[pool], n, self._size, rng))
        return splits

    def _photographs(self) -> Mapping[SplitName, Split]:
        """What torchvision finds, the training set in two parts."""
        assert self._source is not None
        known, test = (
            PixelMaps(self._source, train, self._root, self._download) for train in (True, False)
        )
        if len(known) < 2 or len(test) < 1:
            raise HwnasError(
                f"task.root: {self._root} holds {len(known)} examples to learn from and"
                f" {len(test)} to test on.",
                "Fetch the data again, e.g. with task.download: true into another task.root.",
            )
        train, valid = partition(np.zeros(len(known)), [self._valid], self._seed)
        rows = interleave(np.zeros(len(test)), 0)
        return {
            "train": known.take(train[: self._limit], self._size),
            "valid": known.take(valid[: self._limit], self._size),
            "test": test.take(rows[: self._limit], self._size),
        }

    def augment(self, x: Tensor, y: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Photographs mirrored by even chance and shifted by up to an eighth of the size.

        Images and maps alike; what comes in at the border is not labelled. Canvases stay as they
        are: their digits lie anywhere already, and shifts slow short trainings.
        """
        import torch

        if self._source is None:
            return x, y
        # As one more channel, 0 where there is no label, as what comes in is.
        both = torch.cat([x, (y.to(x.dtype) - IGNORE)[:, None]], dim=1)
        both = crop(flip(both, generator), self._size // 8, generator)
        return both[:, :-1], (both[:, -1] + IGNORE).to(y.dtype)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean cross entropy of logits ``[n, classes, h, w]`` and labelled pixels ``[n, h, w]``."""
        total, weight = self._entropy(outputs, targets)
        return total / weight.clamp(min=1.0)  # none is labelled where this is less

    def _entropy(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The sum over labelled pixels of their weighted cross entropies, and of the weights."""
        from torch.nn import functional

        known, labels, weights = targets != IGNORE, targets.long(), self._weights(outputs)
        total = functional.cross_entropy(
            outputs, labels, weights, ignore_index=IGNORE, reduction="sum"
        )
        # Not of the known pixels alone: how many there are, a GPU would be waited for.
        return total, (weights[labels * known] * known).sum()

    def _weights(self, like: Tensor) -> Tensor:
        """Those of the classes, kept for each device and type."""
        import torch

        place = like.device, like.dtype
        if place not in self._kept:
            weights = self._rarity if self._balanced else np.ones(self.outputs)
            self._kept[place] = torch.as_tensor(weights).to(*place)
        return self._kept[place]

    @cached_property
    def _kept(self) -> dict[tuple[torch.device, torch.dtype], Tensor]:
        return {}

    @cached_property
    def _rarity(self) -> np.ndarray:
        """The weight of each class, inverse to its training pixels, the commonest one's 1."""
        y = self.splits["train"].y
        pixels = np.bincount(y.ravel(), minlength=IGNORE + 1)[: self.outputs]
        return np.asarray(pixels.max() / np.maximum(pixels, 1))

    def score(self, batches: Iterable[tuple[Tensor, Tensor]]) -> Mapping[str, float]:
        """All metrics, of logits ``[n, classes, h, w]`` and labels ``[n, h, w]``."""
        import torch

        n = self.outputs
        matrix = torch.zeros(n, n, dtype=torch.int64)  # of pixels, [label, answer]
        loss = weight = 0.0
        for outputs, targets in batches:
            known = targets != IGNORE
            cell = targets[known].long() * n + outputs.argmax(1)[known]
            matrix += torch.bincount(cell, minlength=n * n).reshape(n, n).cpu()
            total, weights = self._entropy(outputs.double(), targets)
            loss, weight = loss + float(total), weight + float(weights)
        count, right = max(1, int(matrix.sum())), matrix.diagonal()
        union = matrix.sum(0) + matrix.sum(1) - right
        met = union > 0
        iou = float((right[met] / union[met]).double().mean()) if met.any() else 0.0
        return {
            "error": 1 - iou,
            "mean_iou": iou,
            "pixel_error": 1 - int(right.sum()) / count,
            "loss": loss / max(weight, 1.0),
        }
