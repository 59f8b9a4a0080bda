// Words: what the service's codes mean to a person, and what to do.
import { percent } from "./dom.js";

export const VERDICTS = {
  real: ["Probably a real photo", "real"],
  fake: ["Probably AI-generated", "AI-generated"],
  uncertain: ["Not sure", "not sure"],
};

// Of a video less can be said: it knows nothing of how faces move, and of faces that were swapped.
export const OF_VIDEO = {
  real: ["No sign of a generated face", "no sign"],
  fake: ["A face is probably AI-generated", "AI-generated"],
  uncertain: ["Not sure", "not sure"],
};

export const called = ({ value, video }) => (video ? OF_VIDEO : VERDICTS)[value.verdict][1];

export function summary(items) {
  if (items.length === 1) {
    const [{ value }] = items;
    if (!value) return "";
    const p = chance(value);
    return `${(value.tracks ? OF_VIDEO : VERDICTS)[value.verdict][0]}${p === undefined ? "" : `, estimated chance of AI-generated ${percent(p)}`}.`;
  }
  const count = (name) => items.filter((item) => item.value?.verdict === name).length;
  const failed = items.filter((item) => item.problem).length;
  return `${items.length} files: ${count("real")} real, ${count("fake")} AI-generated, ${count("uncertain")} not sure${failed ? `, ${failed} without a verdict` : ""}.`;
}

export const REASONS = {
  no_face: "No face was found that it could judge, and it judges faces alone. Use a picture or video that shows one well.",
  face_too_small: "A face is too small to be judged. Use a larger picture of it.",
  face_turned: "A face is on its side or upside down. Turn the picture upright.",
  face_cut: "The border cuts off a good part of a face. Use a picture that shows it whole.",
  drawn: "The face seems to be drawn, and it judges photos alone. Use a photo.",
  framed_too_wide: "The face is a small part of the picture. Cut the picture closer around it.",
  tight_crop: "The face fills the picture, or is cut by it. A little more around it would help.",
  several_faces: "There is more than one face. The verdict is on the one with the solid frame, or on the most suspicious where each was judged.",
  unstable_under_recompression: "Saved once more, the picture would get another verdict. Use the original file if you have it.",
  between_thresholds: "The evidence is too weak for either verdict. A larger or less compressed copy may help.",
  none_judged: "Faces were found, but none could be judged: they are too small, turned or cut. Use a video that shows them larger.",
  few_frames: "A face could be judged in too few frames. Use a longer video, or one that shows it larger.",
  unsteady: "The frames disagree too much. A longer video, or a clearer one, may help.",
  incomplete: "Part of the file is damaged or missing. This is what could be read.",
};

const ADVICE = {
  malformed_tensor: "This page and the service do not fit together. Reload the page.",
  invalid_parameter: "This page and the service do not fit together. Reload the page.",
  unauthorized: "Give an API key that this service knows, then try again.",
  empty_payload: "The file is empty. Choose another copy of it.",
  malformed_multipart: "The file did not arrive whole. Try again.",
  missing_file: "No file arrived. Choose it again.",
  too_many_files: "Send one file at a time.",
  client_disconnected: "The connection was cut. Try again.",
  body_timeout: "The file took too long to arrive. Try again, or make it smaller.",
  header_timeout: "The connection is too slow. Try again.",
  headers_too_large: "The file's name is too long. Give it a shorter one.",
  payload_too_large: "The file is too large. Save it smaller, or cut it.",
  unsupported_media_type: "It takes JPEG, PNG and WebP pictures, and MP4, MOV, WebM and Matroska videos. Save it as one of these.",
  unsupported_format: "This is not a JPEG, PNG or WebP picture. If it is another kind of picture (an iPhone's HEIC, say), save it as one of these.",
  too_many_pixels: "It has too many pixels. Make it smaller.",
  unsupported_video: "It takes MP4, MOV, WebM and Matroska with usual codecs. Convert it to MP4 (H.264).",
  video_too_long: "The video is too long. Cut out the part that matters.",
  no_frames: "There is no video in the file, only sound or nothing. Choose another one.",
  corrupt_video: "The video is damaged. Use another copy of it.",
  video_unavailable: "This service judges pictures only. Take a screenshot of the moment in question and use that.",
  image_too_small: "The picture is too small to be judged. Use a larger one.",
  animated_image: "It is an animation. Save one frame of it as a still picture.",
  corrupt_image: "The picture is damaged or cut off. Use another copy of it.",
  overloaded: "The service has more to do than it can. Press “Try again” in a minute.",
  inference_failed: "The model failed; your picture is not at fault. Try again, and tell whoever runs this service.",
  internal_error: "Something is wrong with the service. Tell whoever runs it, with the number that it said.",
  not_ready: "The service is starting or stopping. Press “Try again” in a minute.",
  deadline_exceeded: "The service was too busy to finish in time. Try again.",
  not_found: "This page and the service do not fit together. Reload the page.",
  unknown_model: "Another model is served by now. Reload the page.",
  method_not_allowed: "This page and the service do not fit together. Reload the page.",
  bad_request: "The service did not understand. Try again, or reload the page.",
  gone: "The service does not answer. See whether it is still running, then press “Try again”. Your files are still here.",
};

// With one of these, what the model says of the picture means nothing, and is not shown.
const UNJUDGED = new Set(["no_face", "face_too_small", "face_turned", "face_cut", "drawn", "framed_too_wide", "none_judged", "few_frames"]);

export const chance = (value) => value && value.probabilities && !value.reasons?.some((name) => UNJUDGED.has(name)) ? value.probabilities.fake : undefined;

// What may go better another time; the other refusals are the file's own.
export const PASSING = new Set(["gone", "overloaded", "not_ready", "deadline_exceeded", "body_timeout", "header_timeout", "client_disconnected",
  "malformed_multipart", "missing_file", "inference_failed", "internal_error", "bad_request"]);

export function inWords(problem) {
  return ADVICE[problem.code] ?? "Something went wrong. Try again.";
}
