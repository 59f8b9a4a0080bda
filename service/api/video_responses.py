"""Response bodies for videos, shared by the HTTP endpoint and offline scoring."""

from collections.abc import Sequence
from typing import Any

from service.contract.verdict.judgement import FaceJudgement
from service.contract.verdict.reasons import NOT_JUDGED
from service.inference.answer import face_fields, verdict_fields
from service.video.aggregate import Aggregate, aggregate
from service.video.frames import SampledFrame, VideoFacts
from service.video.score_video import ScoredVideo
from service.video.tracks import Track
from service.video.video_reasons import VIDEO_REASONS, VideoReason


def video_answer(scored: ScoredVideo) -> dict[str, Any]:
    """Return the body that :class:`service.api.video_schemas.VideoPrediction` describes."""
    spec, frames = scored.engine.spec, scored.frames
    scores_by_track = [
        [_judged_p_fake(scored.faces[frame][face]) for frame, face in track.seen] for track in scored.tracks
    ]
    aggregates = [aggregate([p for p in scores if p is not None], spec) for scores in scores_by_track]
    # A track with too few judged frames decides only if all tracks have too few.
    candidates = [item for item in aggregates if item.interval is not None] or aggregates
    decisive = max(candidates, key=_severity, default=Aggregate(None, None, ("no_face",)))
    reasons: set[VideoReason] = set(decisive.reasons)
    if sum(len(scores) > 1 for scores in scores_by_track) > 1:
        reasons.add("several_faces")
    if scored.unreadable or not scored.facts.complete:
        reasons.add("incomplete")
    return {
        **_aggregate_fields(decisive),
        "thresholds": {"real": spec.threshold_real, "fake": spec.threshold_fake},
        "reasons": _sorted_reasons(reasons),
        "tracks": [
            _track_fields(track, item, scores, frames)
            for track, item, scores in zip(scored.tracks, aggregates, scores_by_track, strict=True)
        ],
        "frames": _timeline(frames, scored.faces, scored.tracks),
        **({} if scored.provenance is None else {"provenance": scored.provenance}),
        "video": _file_fields(scored.facts, frames, len(scored.unreadable)) | {"sha256": scored.sha256},
        "model": {"name": spec.name, "version": spec.version, "sha256": scored.engine.sha256},
        "timings_ms": {"total": scored.total_ms},
    }


def _track_fields(
    track: Track, aggregated: Aggregate, scores: Sequence[float | None], frames: Sequence[SampledFrame]
) -> dict[str, Any]:
    return {
        "track": track.number,
        **_aggregate_fields(aggregated),
        "reasons": _sorted_reasons(aggregated.reasons),
        "frames": len(scores),
        "judged": sum(p is not None for p in scores),
        "from_s": frames[track.seen[0][0]].time_s,
        "to_s": frames[track.seen[-1][0]].time_s,
    }


def _file_fields(facts: VideoFacts, frames: Sequence[SampledFrame], unreadable: int) -> dict[str, Any]:
    width, height = frames[0].size
    return {
        "format": facts.container,
        "codec": facts.codec,
        "width": width,
        "height": height,
        "duration_s": facts.duration_s,
        "declared_duration_s": facts.declared_duration_s,
        "frames": facts.frames,
        "sampled": len(frames),
        "unreadable": unreadable,
        "complete": facts.complete,
    }


def _severity(aggregated: Aggregate) -> tuple[bool, float]:
    if aggregated.verdict is None:
        return False, -1.0
    return aggregated.verdict.verdict == "fake", aggregated.verdict.p_fake


def _judged_p_fake(face: FaceJudgement) -> float | None:
    """Return P(fake) of a face; None if it could not be judged."""
    if face.verdict is None or NOT_JUDGED.intersection(face.reasons):
        return None
    return face.verdict.p_fake


def _aggregate_fields(aggregated: Aggregate) -> dict[str, Any]:
    interval = None if aggregated.interval is None else {"low": aggregated.interval[0], "high": aggregated.interval[1]}
    if aggregated.verdict is None:
        return {"verdict": "uncertain", "confidence": None, "probabilities": None, "interval": None}
    return {**verdict_fields(aggregated.verdict), "interval": interval}


def _timeline(
    frames: Sequence[SampledFrame], faces: Sequence[Sequence[FaceJudgement]], tracks: Sequence[Track]
) -> list[dict[str, Any]]:
    track_of = {seen: track.number for track in tracks for seen in track.seen}
    return [
        {
            "frame": frame.index,
            "time_s": frame.time_s,
            "faces": [
                {"track": track_of[position, index], **face_fields(face)} for index, face in enumerate(faces[position])
            ],
        }
        for position, frame in enumerate(frames)
    ]


def _sorted_reasons(reasons: "set[VideoReason] | tuple[VideoReason, ...]") -> list[VideoReason]:
    return [reason for reason in VIDEO_REASONS if reason in reasons]
