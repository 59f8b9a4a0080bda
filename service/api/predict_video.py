"""``POST /predict/video``: the verdict on each face in a video."""

from fastapi import APIRouter, Request, Response

from service.api.direct_route import DirectRoute
from service.api.disconnect import until_disconnect
from service.api.openapi import PARAMETER_CODES, TENSOR_CODES, file_body, problems
from service.api.responses import json_response
from service.api.upload import read_file
from service.api.video_responses import video_answer
from service.api.video_schemas import VideoPrediction
from service.lifecycle.state import state_of
from service.video.score_video import score_video

router = APIRouter(route_class=DirectRoute)


@router.post(
    "/predict/video",
    operation_id="predict_video",
    response_model=VideoPrediction,
    openapi_extra=file_body("video"),
    responses=problems(
        400, 401, 408, 413, 415, 422, 429, 431, 500, 501, 503, 504, exclude=PARAMETER_CODES | TENSOR_CODES
    ),
    summary="Classify the faces in a video as real or AI-generated",
)
async def predict_video(request: Request) -> Response:
    """Score sampled frames of one video.

    The video is an MP4, MOV, WebM or Matroska file, sent as multipart part `file` or as a raw `video/*` body.
    Each face is judged independently in every frame and tracked from frame to frame.
    """
    state = state_of(request)
    limits = state.settings.video_limits(state.settings.max_video_bytes)
    with state.admit() as admitted:
        state.videos.check()  # before the client uploads a video that would be refused
        payload = await read_file(request, "video", state.video_body)
        with state.videos.take(), state.bodies.hold(len(payload)):
            async with until_disconnect(request):
                scored = await score_video(payload, admitted.scorer, limits, state.provenance)
    body = video_answer(scored)
    state.metrics.videos.labels(body["verdict"]).inc()
    return json_response(body)
