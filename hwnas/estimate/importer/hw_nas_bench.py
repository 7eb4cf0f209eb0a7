"""HW-NAS-Bench's file, ``HW-NAS-Bench-v1_0.pickle``: its costs of the NAS-Bench-201 networks.

Li et al. 2021, arXiv:2103.10584. Its second part, a table of FBNet's operators, is left out.
"""

from pathlib import Path

import numpy as np

from hwnas.core.errors import HwnasError
from hwnas.core.metric import Metric
from hwnas.estimate.importer._published import COSTS, Published, prefix
from hwnas.estimate.importer._safe import load

_UNITS = {"latency": "ms", "energy": "mJ"}


def read(source: Path) -> Published:
    """Latency and energy on every device, of CIFAR-10 networks without a prefix."""
    data = load(source, lambda path: path.open("rb"))
    columns: dict[str, np.ndarray] = {}
    metrics = []
    try:
        tables = data["nasbench201"]
        networks = [config["arch_str"] for config in tables[COSTS]["config"]]
        for dataset, table in tables.items():
            if [config["arch_str"] for config in table["config"]] != networks:
                raise HwnasError(f"{source}: its data sets have different architectures.")
            for name, values in table.items():
                unit = _UNITS.get(name.rpartition("_")[2])
                if unit is None:
                    continue
                metrics.append(Metric(f"{prefix(dataset)}{name}_{unit.lower()}", unit, cheap=True))
                column = np.array(values, np.float32)
                if column.shape != (len(networks),):
                    raise HwnasError(f"{source}: {name} has {len(column)} of {len(networks)} rows.")
                columns[metrics[-1].name] = column
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise HwnasError(
            f"{source}: not the file of HW-NAS-Bench: {type(error).__name__}: {error}",
            "Is it HW-NAS-Bench-v1_0.pickle?",
        ) from None
    about = {"source": source.name, "space": "nas_bench_201"}
    return Published(networks, columns, metrics, about)
