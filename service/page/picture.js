// Picture: one picture with its faces, and the evidence over it as strong as the slider says.
import { h, percent, svg } from "./dom.js";
import { chance } from "./words.js";

const FAKE = [213, 94, 0], REAL = [0, 114, 178];
const FULL = 2, STRONGEST = 0.8;

export function picture(item, fetchEvidence) {
  const { value } = item;
  const boxes = svg("svg", { viewBox: `0 0 ${value.image.width} ${value.image.height}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  const canvas = h("canvas", { "aria-hidden": "true" });
  const alone = (value.faces ?? []).length === 1;
  for (const [number, face] of (value.faces ?? []).entries()) {
    boxes.append(box(face.box, alone || number === 0 || face.verdict ? "chosen" : "other"));
  }
  const image = h("img", { src: item.url, alt: described(item), onerror: (event) => { event.target.alt = `${item.file.name} (this browser cannot show it)`; } });
  const slider = h("input", { type: "range", min: 0, max: 100, value: item.opacity ?? 60, id: "evidence", "aria-describedby": "evidence-help" });
  const paint = () => { canvas.style.opacity = slider.value / 100; item.opacity = slider.value; slider.setAttribute("aria-valuetext", slider.value === "0" ? "hidden" : `${slider.value} % strong`); };
  slider.addEventListener("input", paint);
  paint();
  const frame = h("div", { class: "frame still" }, image, canvas, boxes);
  const help = h("p", { class: "fine", id: "evidence-help" }, item.evidence ? meaning(item.evidence) : "Looking at which parts speak for what …");
  if (item.evidence) draw(canvas, item.evidence, value.image);
  else fetchEvidence(item, (evidence) => {
    if (evidence) draw(canvas, evidence, value.image);
    help.textContent = evidence ? meaning(evidence) : "The evidence could not be fetched. Press the file's name to try again.";
  });
  return h("div", {},
    frame,
    h("div", { class: "slider" }, h("label", { for: "evidence" }, "Show what spoke for it"), slider),
    h("p", { class: "legend" }, h("span", {}, swatch("var(--real-fill)"), "speaks for real"), h("span", {}, swatch("var(--fake-fill)"), "speaks for AI-generated")),
    help);
}

export function box({ left, top, width, height }, kind) {
  return svg("rect", { x: left, y: top, width, height, class: kind });
}

function draw(canvas, evidence, image) {
  const { rows, columns, values, box: at } = evidence;
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext("2d"), pixels = context.createImageData(columns, rows);
  const strongest = Math.max(FULL, ...values.flat().map(Math.abs));
  values.flat().forEach((value, place) => {
    pixels.data.set([...(value > 0 ? FAKE : REAL), 255 * STRONGEST * Math.abs(value) / strongest], 4 * place);
  });
  context.putImageData(pixels, 0, 0);
  Object.assign(canvas.style, {
    left: `${100 * at.left / image.width}%`, top: `${100 * at.top / image.height}%`,
    width: `${100 * at.width / image.width}%`, height: `${100 * at.height / image.height}%`,
  });
}

const swatch = (colour) => h("i", { style: { background: colour } });

function meaning(evidence) {
  return evidence.method === "map"
    ? "Orange parts of the face pushed the answer towards AI-generated, blue ones towards real; their mean is the answer. Only the tinted part was looked at. It shows what this model read, not what a forger did."
    : "Orange parts pushed the answer towards AI-generated, blue ones towards real, as blurring them one by one shows. It shows what this model looked at, not what a forger did.";
}

function described(item) {
  const faces = (item.value.faces ?? []).length;
  const found = item.value.faces ? `, ${faces === 1 ? "one face" : `${faces} faces`} found` : "";
  const p = chance(item.value);
  return `${item.file.name}${found}${p === undefined ? "" : `, chance of AI-generated ${percent(p)}`}`;
}
