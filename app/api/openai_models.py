"""OpenAI's models: the responders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
from litestar import Response, get

from app.api.node import PathId, ThisNode
from app.api.openai_errors import request_id
from app.api.responses import json_response
from app.errors import Invalid


class Model(msgspec.Struct, frozen=True):
    """A responder as a model; nobody knows when it was made."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "tickertape"


class ModelList(msgspec.Struct, frozen=True):
    """All models."""

    data: Sequence[Model]
    object: Literal["list"] = "list"


@get("/v1/models")
async def list_models(node: ThisNode) -> Response[bytes]:
    """List the responders as models, the default one first."""
    await node.registry.refresh(None, until=node.running.draining)
    names = sorted((responder.name for responder in node.registry), key=lambda name: name != node.registry.default)
    return json_response(ModelList([Model(name) for name in names]), headers=request_id())


@get("/v1/models/{model:str}")
async def retrieve_model(node: ThisNode, model: PathId) -> Response[bytes]:
    """Retrieve a responder as a model."""
    await node.registry.refresh(None, until=node.running.draining)
    if model not in [responder.name for responder in node.registry]:
        raise Invalid(f"There is no responder named {model[:100]!r}.", "responder")
    return json_response(Model(model), headers=request_id())
