"""The nouns and contracts that everything else speaks."""

from hwnas.core.architecture import Architecture
from hwnas.core.choice import Choice, Label, Value
from hwnas.core.context import Context
from hwnas.core.device import Device
from hwnas.core.errors import HwnasError
from hwnas.core.estimator import Estimator
from hwnas.core.exporter import Artifact, Exporter
from hwnas.core.metric import Metric
from hwnas.core.mixture import Mixture
from hwnas.core.objective import Objective, Objectives
from hwnas.core.outcome import Outcome, Spent
from hwnas.core.profiler import Profiler
from hwnas.core.proposal import Proposal
from hwnas.core.setting import Setting
from hwnas.core.space import Pick, Space
from hwnas.core.strategy import Strategy
from hwnas.core.tensor_type import TensorType
from hwnas.core.tracker import Event, Tracker

__all__ = [
    "Architecture",
    "Artifact",
    "Choice",
    "Context",
    "Device",
    "Estimator",
    "Event",
    "Exporter",
    "HwnasError",
    "Label",
    "Metric",
    "Mixture",
    "Objective",
    "Objectives",
    "Outcome",
    "Pick",
    "Profiler",
    "Proposal",
    "Setting",
    "Space",
    "Spent",
    "Strategy",
    "TensorType",
    "Tracker",
    "Value",
]
