"""NAS-Bench-201's own file, ``NAS-Bench-201-v1_0-e61699.pth`` or ``-v1_1-096897.pth``.

Dong & Yang 2020, arXiv:2001.00326. The whole file is read into memory, several gigabytes.
"""

import pickle
from pathlib import Path

from hwnas.core.errors import HwnasError
from hwnas.estimate.importer._published import Published
from hwnas.estimate.importer._safe import numpy_globals
from hwnas.estimate.importer._trainings import published

_EPOCHS = {"less": 12, "full": 200}  # two trainings, each with a schedule of its own


def read(source: Path) -> Published:
    """Accuracies after 200 epochs and after those of 12, flops and parameters."""
    import torch

    try:
        with torch.serialization.safe_globals(numpy_globals()):
            data = torch.load(source, map_location="cpu", weights_only=True)
        networks = list(data["meta_archs"])
        infos = data["arch2infos"]
        records = [
            {_EPOCHS[name]: info for name, info in infos.get(i, {}).items() if name in _EPOCHS}
            for i in range(len(networks))
        ]
        return published(networks, records, {"source": source.name, "space": "nas_bench_201"})
    except (
        OSError, EOFError, RuntimeError, pickle.UnpicklingError,
        KeyError, IndexError, TypeError, AttributeError, ValueError,
    ) as error:  # fmt: skip
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise HwnasError(
            f"{source}: not a file of NAS-Bench-201: {reason}",
            "Is it NAS-Bench-201-v1_1-096897.pth, whole?",
        ) from None
