"""The OpenAPI document, with the schemas that FastAPI cannot derive from routes that read the request directly."""

import functools
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service.api.auth import is_open
from service.api.routes import router
from service.api.schemas import Problem
from service.api.v2.protocol import InferenceRequest

_REF_TEMPLATE = "#/components/schemas/{model}"


def set_openapi(app: FastAPI, keys: bool) -> None:
    """Give an application its document, which is made once per process.

    Args:
        app: the application of :data:`service.api.routes.router`.
        keys: whether API keys are required.
    """
    document = _document(app.title, app.summary, app.version, keys)
    app.openapi = lambda: document  # type: ignore[method-assign]  # FastAPI's own way to extend it


@functools.cache
def _document(title: str, summary: str | None, version: str, keys: bool) -> dict[str, Any]:
    document = get_openapi(title=title, summary=summary, version=version, routes=router.routes)
    schemas: dict[str, Any] = document["components"]["schemas"]
    for model in (InferenceRequest, Problem):
        schema = model.model_json_schema(ref_template=_REF_TEMPLATE)
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    if keys:
        document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        for path, operations in document["paths"].items():
            if not is_open(path):
                for operation in operations.values():
                    operation["security"] = [{"key": []}]
    return document
