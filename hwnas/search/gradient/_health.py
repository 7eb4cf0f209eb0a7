"""Signs of a gradient search that goes wrong, and what to do."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import numpy as np

from hwnas.search.gradient._descent import Descent, Parameters
from hwnas.search.gradient._strongest import Strongest

_COLLAPSED = 0.5  # of the choices led by a skip-connection
# Times the steps: the strongest decay of Zela et al. 2020, section 5, .0243 over 20,000 steps. It
# helps in benchmarks/collapse.py, an eighth of it does not.
_DECAY = 480


def diagnostics(
    descents: Sequence[Descent],
    shares: Callable[[Parameters], Parameters],
    strongest: Callable[[Descent], Strongest],
    skips: Mapping[str, Collection[int]],
) -> dict[str, float]:
    """Entropy in shares of the largest, skip-connections that lead, the last eigenvalue.

    ``shares`` gives those of the options, ``strongest`` what would be taken in the end; ``skips``
    are the options of a choice that are skip-connections.
    """
    entropies, skipping = [], []
    for descent in descents:
        leading = strongest(descent)
        for name, p in shares(descent.parameters).items():
            entropies.append(float(-(p * np.log(p + 1e-12)).sum() / np.log(len(p))))
            if name in skips:
                skipping.append(leading.leader(name) in skips[name])
    found = {"entropy": float(np.mean(entropies))}
    if skipping:
        found["skip_share"] = float(np.mean(skipping))
    eigenvalues = [d.eigenvalues[-1] for d in descents if d.eigenvalues]
    if eigenvalues:
        found["eigenvalue"] = max(eigenvalues)
    return found


def collapsed(diagnostics: Mapping[str, float], steps: int) -> Iterator[str]:
    """A warning if skip-connections lead in a search of so many ``steps``."""
    share = diagnostics.get("skip_share", 0.0)
    if share > _COLLAPSED:
        yield (
            f"Skip-connections lead in {share:.0%} of the choices. Unless the preference asks"
            " for them, as they cost nothing, the search collapses: let the weights decay more"
            f" (estimator: {{weight_decay: {min(1.0, _DECAY / steps):.2g}}}), stop early (search:"
            " {watch: N, stop: 0.75}), or score whole networks with the shared weights (one_shot)."
        )
