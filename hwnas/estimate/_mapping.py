"""How the metrics of a tabular benchmark come from its columns."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, model_validator

from hwnas.core.errors import HwnasError
from hwnas.core.metric import Metric
from hwnas.core.registry import nearest


class Column(BaseModel):
    """A metric as ``scale * column + offset``; several columns by their units of training."""

    model_config = ConfigDict(extra="forbid", strict=True)
    column: str | dict[int, str]
    scale: float = 1.0
    offset: float = 0.0
    goal: Literal["min", "max"] | None = None
    cheap: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        """A column, or columns by units of training, alone."""
        whole = isinstance(value, dict) and any(isinstance(key, str) for key in value)
        return value if whole or isinstance(value, Column) else {"column": value}


def own_columns(
    columns: Mapping[str, np.ndarray], rows: str, about: Mapping[str, Any]
) -> dict[str, Column]:
    """A metric for each column of numbers; ``error@3`` is ``error`` after 3 units of training."""
    curves: dict[str, dict[int, str]] = {}
    for column, values in columns.items():
        if column != rows and values.ndim == 1 and values.dtype.kind in "iuf":
            name, _, units = column.partition("@")
            curves.setdefault(name, {})[int(units or about.get("units", 1))] = column
    return {
        name: Column(column=curve if len(curve) > 1 else next(iter(curve.values())))
        for name, curve in curves.items()
    }


def curve_of(
    columns: Mapping[str, np.ndarray], column: Column, where: str
) -> dict[int, np.ndarray]:
    """Values ``[n]`` by units of training; one value at most 1 unit for all of them."""
    given = column.column if isinstance(column.column, dict) else {1: column.column}
    found = {}
    for units, name in given.items():
        if name not in columns:
            raise HwnasError(
                f"{where}: the table has no column {name!r}.", nearest(name, list(columns))
            )
        if columns[name].dtype.kind not in "iuf" or columns[name].ndim != 1:
            raise HwnasError(f"{where}: column {name!r} does not hold a number a row.")
        if units < 1:
            raise HwnasError(f"{where}: units of training must be at least 1, got {units}.")
        found[units] = column.scale * columns[name].astype(float) + column.offset
    if not found:
        raise HwnasError(f"{where}: no column is named.")
    return found


def metric_of(name: str, column: Column, task: Metric | None, told: Mapping[str, Any]) -> Metric:
    """The task's metric, else what the table says of it, else a cheap one to be made small."""
    if task is not None:
        metric = task
    else:
        metric = Metric(
            name, told.get("unit", ""), told.get("goal", "min"), told.get("cheap", True)
        )
    if column.goal is not None:
        metric = replace(metric, goal=column.goal)
    return metric if column.cheap is None else replace(metric, cheap=column.cheap)
