"""A delivered ONNX model in MLflow's model registry."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.models import ModelSignature

    from hwnas.track._mlflow_runs import Runs

_ALIAS = "winner"
_REQUIREMENTS = ("onnx", "numpy")  # and ONNX Runtime, under either of its names


def register(runs: Runs, name: str, folder: Path) -> None:
    """Register the model of an export ``folder`` under ``name``, once; the first is the winner.

    The version carries the file's digest and every delivered figure as tags.
    """
    about = json.loads((folder / "model.json").read_text())
    with (folder / "model.onnx").open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    mine = [v for v in _versions(runs, name) if v.run_id == runs.run_id]
    found = next((v for v in mine if v.tags.get("sha256") == digest), None)
    if found is None:
        found = _new(runs, name, folder, about, digest)
    if not any(v.version != found.version and _is_winner(runs, name, v) for v in mine):
        runs.client.set_registered_model_alias(name, _ALIAS, found.version)


def _new(
    runs: Runs, name: str, folder: Path, about: Mapping[str, Any], digest: str
) -> ModelVersion:
    import mlflow.onnx
    import onnx
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model

    client = runs.client
    provider = about["delivered"].get("provider", "CPUExecutionProvider")
    tags = {"key": about["key"], "sha256": digest, **_figures(about["delivered"])}
    logged = client.create_logged_model(
        runs.experiment_id, name=about["key"], source_run_id=runs.run_id, tags=tags
    )
    with TemporaryDirectory() as temporary:
        path = Path(temporary) / "model"
        mlflow.onnx.save_model(
            onnx.load(folder / "model.onnx"),
            str(path),
            mlflow_model=Model(run_id=runs.run_id, model_id=logged.model_id),
            signature=_signature(folder / "model.onnx"),
            onnx_execution_providers=list(dict.fromkeys([provider, "CPUExecutionProvider"])),
            pip_requirements=_requirements(),  # or MLflow starts processes to find them out
            save_as_external_data=False,
            metadata={"hwnas": json.loads((folder / "model.json").read_text())},
        )
        client.log_model_artifacts(logged.model_id, str(path))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(runs.run_id, [LoggedModelOutput(logged.model_id, step=0)])
    with _everywhere(runs.uri):
        return client.create_model_version(
            name,
            source=f"models:/{logged.model_id}",
            run_id=runs.run_id,
            model_id=logged.model_id,
            tags=tags,
        )


@contextmanager
def _everywhere(uri: str) -> Iterator[None]:
    """MLflow looks a source up at its global address, whatever that of the client is."""
    import mlflow

    before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)  # type: ignore[arg-type]  # None forgets it


def _versions(runs: Runs, name: str) -> list[ModelVersion]:
    from mlflow.exceptions import MlflowException

    try:
        runs.client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    quoted = name.replace("'", "\\'")
    return list(runs.client.search_model_versions(f"name = '{quoted}'"))


def _is_winner(runs: Runs, name: str, candidate: ModelVersion) -> bool:
    aliases = runs.client.get_registered_model(name).aliases
    return str(aliases.get(_ALIAS)) == str(candidate.version)


def _figures(delivered: Mapping[str, Any]) -> dict[str, str]:
    """What was measured of the file, as text; nested conditions are left to ``model.json``."""
    return {
        key: f"{value:.6g}" if isinstance(value, float) else str(value)
        for key, value in delivered.items()
        if isinstance(value, str | int | float)
    }


def _requirements() -> list[str]:
    from mlflow.onnx import get_default_pip_requirements

    defaults = [r for r in get_default_pip_requirements() if r.startswith("onnxruntime")]
    return [*(f"{package}=={version(package)}" for package in _REQUIREMENTS), *defaults]


def _signature(path: Path) -> ModelSignature:
    """Input and output types with a free batch, read from the file."""
    import onnx
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    graph = onnx.load(path, load_external_data=False).graph

    def schema(values: Any) -> Schema:
        specs: list[Any] = []
        for value in values:
            tensor = value.type.tensor_type
            shape = [d.dim_value if d.HasField("dim_value") else -1 for d in tensor.shape.dim]
            kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
            specs.append(TensorSpec(kind, shape, value.name))
        return Schema(specs)

    return ModelSignature(schema(graph.input), schema(graph.output))
