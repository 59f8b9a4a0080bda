"""The OpenAPI document, with the schemas that FastAPI cannot derive from routes that read the request directly."""

from typing import Any

from fastapi import FastAPI

from service.api.auth import is_open
from service.api.schemas import Problem
from service.api.v2.protocol import InferenceRequest

_REF_TEMPLATE = "#/components/schemas/{model}"


def complete(app: FastAPI, keys: bool) -> None:
    """Build the document, complete it, and cache it in the application.

    Args:
        app: the application, with all routes.
        keys: whether API keys are required.
    """
    document = app.openapi()
    schemas: dict[str, Any] = document["components"]["schemas"]
    for model in (InferenceRequest, Problem):
        schema = model.model_json_schema(ref_template=_REF_TEMPLATE)
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    if keys:
        document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if keys and not is_open(path):
                operation["security"] = [{"key": []}]
    app.openapi_schema = document
