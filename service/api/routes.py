"""All routes of the service, in matching order."""

from fastapi import APIRouter

from service.api import batch, explain, health, model, page, predict, predict_video, stream
from service.api.v2 import endpoints as v2

router = APIRouter()
for _module in (predict, batch, explain, predict_video, stream, page, v2, health, model):
    router.routes += _module.router.routes
