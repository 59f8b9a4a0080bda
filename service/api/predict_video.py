"""``POST /predict/video``: a video in, a verdict on each face in it out."""

import json

from fastapi import APIRouter, Request, Response

from service.api.disconnect import while_connected
from service.api.endpoint import DirectRoute
from service.api.schemas import OF_PARAMETERS, OF_TENSORS, problems
from service.api.single import file_body
from service.api.upload import read_file
from service.api.video_responses import video_answer
from service.api.video_schemas import VideoPrediction
from service.lifecycle.state import state_of
from service.video.score_video import score_video

router = APIRouter()


async def predict_video(request: Request) -> Response:
    """Score sampled frames of one MP4, MOV, WebM or Matroska file, sent as part `file` or as a raw `video/*` body.

    Each face is judged by itself in every frame, and followed from frame to frame.
    """
    state = state_of(request)
    scorer, settings = state.ready_scorer(), state.settings
    limits = settings.video_limits(settings.max_video_bytes)
    with state.permit(scorer):
        state.check_videos()  # before it is sent for nothing
        payload = await read_file(request, "video", limits.max_bytes, settings.video_body_timeout_s, state.arrivals)
        with state.video_permit(), state.arrivals.keep(len(payload)):
            scored = await while_connected(request, score_video(payload, scorer, limits))
    answer = video_answer(scored)
    state.metrics.videos.labels(answer["verdict"]).inc()
    return Response(json.dumps(answer, separators=(",", ":"), allow_nan=False), media_type="application/json")


router.add_api_route(
    "/predict/video",
    predict_video,
    methods=["POST"],
    operation_id="predict_video",
    response_model=VideoPrediction,
    openapi_extra=file_body("video"),
    responses=problems(400, 401, 408, 413, 415, 422, 429, 431, 500, 501, 503, 504, without=OF_PARAMETERS | OF_TENSORS),
    summary="Which faces in this video are AI-generated?",
    route_class_override=DirectRoute,
)
