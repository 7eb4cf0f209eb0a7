"""The trainings of NAS-Bench-201 and NATS-Bench, whose files have the same records."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from hwnas.core.metric import Metric
from hwnas.estimate.importer._published import Published, prefix

Records = Mapping[int, Mapping[str, Any]]
"""What was found of one architecture, by the epochs of its training."""

_SPLITS = {  # as the paper reports them: (trained on, scored on)
    "cifar10_valid": ("cifar10-valid", "x-valid"),
    "cifar10_test": ("cifar10", "ori-test"),
    "cifar100_valid": ("cifar100", "x-valid"),
    "cifar100_test": ("cifar100", "x-test"),
    "imagenet16_120_valid": ("ImageNet16-120", "x-valid"),
    "imagenet16_120_test": ("ImageNet16-120", "x-test"),
}
_COSTS = {"cifar10": ("cifar10", "cifar10-valid"), "cifar100": ("cifar100",),
          "ImageNet16-120": ("ImageNet16-120",)}  # fmt: skip


def published(
    architectures: Sequence[str], records: Sequence[Records], about: Mapping[str, Any]
) -> Published:
    """Accuracies in %, means over seeds after all epochs, with multiply-adds and parameters.

    What no architecture has is left out; NaN is what one of them does not have.
    """
    levels = sorted({epochs for found in records for epochs in found})
    full = levels[-1]
    columns: dict[str, np.ndarray] = {}
    metrics = []
    for name, (dataset, split) in _SPLITS.items():
        for epochs in levels:
            values = [_accuracy(found.get(epochs), dataset, split) for found in records]
            if not all(map(math.isnan, values)):
                key = name if epochs == full else f"{name}@{epochs}"
                columns[key] = np.array(values, np.float32)
        if name in columns:
            metrics.append(Metric(name, "%", "max", worst=0.0, best=100.0))
    for dataset, trained in _COSTS.items():
        for key, name in (("flop", "flops"), ("params", "params")):
            values = [_cost(found, trained, key) for found in records]
            if all(map(math.isnan, values)):
                continue
            metrics.append(Metric(f"{prefix(dataset)}{name}", cheap=True))
            counts = np.rint(1e6 * np.array(values))  # the files have millions
            whole = np.isfinite(counts).all()
            columns[metrics[-1].name] = counts.astype(np.int64) if whole else counts
    return Published(architectures, columns, metrics, {**about, "units": full})


def _results(record: Mapping[str, Any] | None, dataset: str) -> Iterator[Mapping[str, Any]]:
    if record is not None:
        for seed in record["dataset_seed"].get(dataset, ()):
            yield record["all_results"][dataset, seed]


def _accuracy(record: Mapping[str, Any] | None, dataset: str, split: str) -> float:
    found = [
        result["eval_acc1es"].get(f"{split}@{result['epochs'] - 1}", math.nan)
        for result in _results(record, dataset)
    ]
    known = [accuracy for accuracy in found if not math.isnan(accuracy)]
    return float(np.mean(known)) if known else math.nan


def _cost(records: Records, datasets: Sequence[str], key: str) -> float:
    for record in records.values():
        for dataset in datasets:
            for result in _results(record, dataset):
                return float(result[key])
    return math.nan
