"""What is written comes back, to the last bit."""

import json
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays, scalar_dtypes

from hwnas.core import Architecture, Choice, Mixture, Proposal
from hwnas.core.preference import Preference
from hwnas.core.state import dumps, loads

NAMES = st.text(min_size=1, max_size=8)
LABELS = st.none() | st.booleans() | st.integers(-9, 9) | NAMES | st.floats(-1e6, 1e6)
VALUES = LABELS | st.lists(LABELS, min_size=1, max_size=3).map(tuple)
ARCHITECTURES = st.dictionaries(NAMES, VALUES, max_size=6).map(Architecture)
WEIGHTS = st.lists(st.floats(allow_nan=False), min_size=1, max_size=5).map(np.array)
ACTIVE = st.lists(st.integers(0, 4), max_size=3).map(tuple)
MIXTURES = st.builds(
    Mixture,
    st.dictionaries(NAMES, WEIGHTS, min_size=1, max_size=4),
    st.dictionaries(NAMES, ACTIVE, max_size=2),
)
PROPOSALS = st.builds(
    Proposal,
    id=st.integers(0, 10**9),
    point=ARCHITECTURES | MIXTURES,
    train=st.integers(0, 100),
    score=st.none() | st.integers(0, 9),
    parent=st.none() | st.integers(0, 10**9),
    gradient=st.sampled_from([0, 1, 2]),
)


@given(ARCHITECTURES)
def test_architecture(architecture: Architecture) -> None:
    back = Architecture.from_json(json.loads(json.dumps(architecture.to_json())))
    assert back == architecture
    assert hash(back) == hash(architecture)
    assert back.key == architecture.key
    assert len(back.key) == 10


@given(ARCHITECTURES, st.randoms())
def test_the_key_does_not_depend_on_order(architecture: Architecture, random: Any) -> None:
    items = list(architecture.items())
    random.shuffle(items)
    assert Architecture(dict(items)).key == architecture.key


@given(MIXTURES)
def test_mixture(mixture: Mixture) -> None:
    text = json.dumps(mixture.to_json())
    back = Mixture.from_json(json.loads(text))
    assert back == mixture
    assert hash(back) == hash(mixture)
    assert back.active == mixture.active
    assert json.dumps(back.to_json()) == text


@given(PROPOSALS)
def test_proposal(proposal: Proposal) -> None:
    back = Proposal.from_json(json.loads(json.dumps(proposal.to_json())))
    assert back == proposal
    assert back.is_trial == proposal.is_trial


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
ARRAYS = scalar_dtypes().flatmap(
    lambda dtype: arrays(dtype, array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)


@given(PLAIN)
def test_plain_state(state: Any) -> None:
    assert loads(dumps(state)) == state


@given(ARRAYS)
def test_arrays_keep_type_shape_and_bytes(array: np.ndarray) -> None:
    text = dumps({"a": [array]})
    (back,) = loads(text)["a"]
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()
    assert back.flags.writeable
    assert dumps({"a": [back]}) == text


@given(st.integers(0, 2**32), st.integers(0, 50))
def test_random_state(seed: int, drawn: int) -> None:
    first, second = np.random.default_rng(seed), np.random.default_rng(0)
    first.random(drawn)
    second.bit_generator.state = loads(dumps(first.bit_generator.state))
    assert first.integers(10**9, size=8).tolist() == second.integers(10**9, size=8).tolist()


@given(st.lists(LABELS, min_size=2, max_size=6, unique_by=repr), st.data())
def test_one_hot(options: list[Any], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(options)))
    labels = tuple(str(i) for i in range(len(options)))
    one, some = Choice("c", labels), Choice("c", labels, k=k)
    for value in one.values:
        weights = Architecture({"c": value}).weights(one)
        assert weights.tolist() == [float(label == value) for label in labels]
    for value in some.values:
        assert Architecture({"c": value}).weights(some).sum() == k
    assert not Architecture({}).weights(one).any()


def test_preference_state() -> None:
    from tests.property.test_pareto import objectives

    first, second = Preference(objectives(None)), Preference(objectives(None))
    first.observe({"m0": 1.0, "m1": 2.0})
    first.observe({"m0": 3.0, "m1": 9.0})
    second.load_state_dict(loads(dumps(first.state_dict())))
    metrics = {"m0": 2.0, "m1": 2.0}
    vector = np.array([0.3, 0.7])
    assert first.value(metrics, vector) == second.value(metrics, vector)
