"""NATS-Bench's folders, ``NATS-tss-v1_0-3ffb9-simple`` or ``NATS-sss-v1_0-50262-simple``.

Dong et al. 2021, arXiv:2009.00437: the topologies are those of NAS-Bench-201, the sizes the space
``size``. ``meta.pickle.pbz2`` lists the architectures, ``000000.pickle.pbz2`` is the first.
"""

import bz2
from pathlib import Path

from hwnas.core.errors import HwnasError
from hwnas.estimate.importer._published import Published
from hwnas.estimate.importer._safe import load
from hwnas.estimate.importer._trainings import Records, published


def read(source: Path) -> Published:
    """Accuracies after each number of epochs that was trained for, flops and parameters."""
    if not (source / "meta.pickle.pbz2").is_file():
        raise HwnasError(
            f"{source}: there is no meta.pickle.pbz2 in it.",
            "Name the folder that NATS-tss-v1_0-3ffb9-simple.tar or -sss- unpacks to.",
        )
    meta = source / "meta.pickle.pbz2"
    try:
        networks = list(load(meta, bz2.open)["meta_archs"])
        records = [_records(source / f"{i:06d}.pickle.pbz2") for i in range(len(networks))]
        space = "size" if ":" in networks[0] else "nas_bench_201"
        return published(networks, records, {"source": source.name, "space": space})
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise HwnasError(
            f"{source}: not a folder of NATS-Bench: {type(error).__name__}: {error}",
            "Is it whole, and its own?",
        ) from None


def _records(path: Path) -> Records:
    if not path.exists():  # not evaluated
        return {}
    return {int(epochs): record for epochs, record in load(path, bz2.open).items()}
