// Camera: frames to the service, each once the last is answered, and the verdict on the newest one.
import { protocols } from "./ask.js";
import { $, h } from "./dom.js";
import { box } from "./picture.js";
import { scale } from "./result.js";
import { REASONS, VERDICTS, chance, inWords } from "./words.js";

const LONGEST = 640, QUALITY = 0.85, STEADY = 9, SPOKEN_MS = 3000;
let stop = () => {};

export async function open(take) {
  const viewer = $("viewer"), video = $("live-video");
  let media = null, socket = null, open = true;
  const end = () => {
    open = false;
    socket?.close();
    media?.getTracks().forEach((track) => track.stop());
    video.srcObject = null;
    $("live-boxes").replaceChildren();
    viewer.close();
  };
  stop = end;
  viewer.onclose = stop;
  $("viewer-close").onclick = stop;
  $("shoot").disabled = true;
  tell("Waiting for the camera …");
  $("live-rate").textContent = "";
  viewer.showModal();
  try {
    if (!navigator.mediaDevices) throw new DOMException("", "SecurityError");
    media = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 }, facingMode: "user" }, audio: false });
  } catch (error) {
    tell(refusal(error));
    return;
  }
  if (!open) return media.getTracks().forEach((track) => track.stop()); // closed, and perhaps opened again
  video.srcObject = media;
  await video.play().catch((error) => {
    if (open) throw error; // closed while it started
  });
  if (!open) return;
  $("shoot").disabled = false;
  $("shoot").onclick = async () => {
    const blob = await shot(video, Infinity, 0.95);
    stop();
    take(new File([blob], `camera-${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}.jpg`, { type: "image/jpeg" }));
  };
  socket = live(video, () => open);
}

function live(video, goesOn) {
  const address = new URL("stream", document.baseURI);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(address, protocols());
  const recent = [], spans = [];
  let sent = 0;
  const next = async () => {
    if (!goesOn() || socket.readyState !== WebSocket.OPEN) return;
    const blob = await shot(video, LONGEST, QUALITY);
    if (socket.readyState !== WebSocket.OPEN) return;
    sent = performance.now();
    socket.send(blob);
  };
  socket.onopen = next;
  socket.onmessage = ({ data }) => {
    const { prediction, problem } = JSON.parse(data), now = performance.now();
    spans.push([now, now - sent]);
    while (spans.length > 30) spans.shift();
    if (prediction) show(prediction, recent, video);
    else tell(inWords(problem));
    const seconds = (now - spans[0][0]) / 1000, delays = spans.map(([, delay]) => delay).sort((a, b) => a - b);
    $("live-rate").textContent = `${seconds ? ((spans.length - 1) / seconds).toFixed(0) : "–"} frames a second, ${delays[delays.length >> 1].toFixed(0)} ms from frame to answer`;
    requestAnimationFrame(next);
  };
  socket.onclose = ({ code }) => { if (goesOn()) tell(code === 1008 ? "The camera was silent for too long. Close and open it again." : "The service does not answer, or answers as many cameras as it can. Close this, and open it again in a minute."); };
  return socket;
}

function show(prediction, recent, video) {
  const ratio = video.videoWidth / prediction.image.width;
  $("live-boxes").setAttribute("viewBox", `0 0 ${video.videoWidth} ${video.videoHeight}`);
  $("live-boxes").replaceChildren(...(prediction.faces ?? []).map(({ box: at }) => box({ left: at.left * ratio, top: at.top * ratio, width: at.width * ratio, height: at.height * ratio }, "chosen")));
  const p = chance(prediction);
  if (p === undefined) recent.length = 0;
  else recent.push(p);
  if (recent.length > STEADY) recent.shift();
  const why = (prediction.reasons ?? []).filter((name) => name !== "between_thresholds").map((name) => REASONS[name]).join(" ");
  if (p === undefined) {
    $("live-verdict").replaceChildren(h("p", { class: "verdict uncertain" }, VERDICTS.uncertain[0]), h("p", { class: "fine" }, why));
    return tellOnce("uncertain");
  }
  const fake = [...recent].sort((a, b) => a - b)[recent.length >> 1], { thresholds } = prediction;
  const verdict = fake >= thresholds.fake ? "fake" : fake <= thresholds.real ? "real" : "uncertain";
  $("live-verdict").replaceChildren(h("p", { class: `verdict ${verdict}` }, VERDICTS[verdict][0]), scale({ thresholds, probabilities: { fake } }), h("p", { class: "fine" }, why || " "));
  tellOnce(verdict);
}

function shot(video, longest, quality) {
  const shrink = Math.min(1, longest / Math.max(video.videoWidth, video.videoHeight));
  const canvas = h("canvas", { width: Math.round(video.videoWidth * shrink), height: Math.round(video.videoHeight * shrink) });
  canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", quality));
}

// To who hears the page: a verdict that has changed, and not every frame of it.
let told = ["", 0];
function tellOnce(verdict) {
  if (verdict === told[0] || performance.now() - told[1] < SPOKEN_MS) return;
  told = [verdict, performance.now()];
  $("live-said").textContent = VERDICTS[verdict][0];
}

const tell = (text) => $("live-verdict").replaceChildren(h("p", {}, text));

function refusal({ name }) {
  if (name === "NotAllowedError") return "The browser was not allowed to use the camera. Allow it in the address bar, then open it again.";
  if (name === "NotFoundError") return "There is no camera. Choose a file instead.";
  if (name === "SecurityError") return "Browsers give pages a camera over HTTPS or on this machine alone. Open this page as https://… or http://localhost….";
  return "The camera does not start. See whether another program uses it, then open it again.";
}
