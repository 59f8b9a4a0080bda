"""The OpenAPI document, completed with what FastAPI cannot tell of routes that read their requests themselves."""

from typing import Any

from fastapi import FastAPI

from service.api.auth import is_open
from service.api.schemas import Problem
from service.api.v2.protocol import InferenceRequest

_COMPONENTS = "#/components/schemas/{model}"


def complete(app: FastAPI, keys: bool) -> None:
    """Build the document once, and complete it.

    Args:
        app: with all of its routes.
        keys: whether API keys are asked for.
    """
    document = app.openapi()
    schemas: dict[str, Any] = document["components"]["schemas"]
    for model in (InferenceRequest, Problem):
        schema = model.model_json_schema(ref_template=_COMPONENTS)
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    if keys:
        document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if keys and not is_open(path):
                operation["security"] = [{"key": []}]
    app.openapi_schema = document
