// Timeline: a video, and the chance of AI-generated of each face in each frame; a click shows that moment.
import { h, percent, svg } from "./dom.js";
import { box } from "./picture.js";
import { OF_VIDEO, chance } from "./words.js";

const WIDTH = 640, HEIGHT = 250, LEFT = 64, BOTTOM = 28, TOP = 26, SHOWN = 6;
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

export function timeline(item) {
  const { value } = item;
  const facts = value.video;
  const boxes = svg("svg", { viewBox: `0 0 ${facts.width} ${facts.height}`, "aria-hidden": "true" });
  const player = h("video", { src: item.url, controls: true, muted: true, playsinline: true, preload: "auto", "aria-label": item.file.name });
  const show = (frame) => {
    player.pause();
    player.currentTime = frame.time_s;
    boxes.replaceChildren(...frame.faces.map((face) => box(face.box, "chosen")));
  };
  player.addEventListener("play", () => boxes.replaceChildren());
  const tracks = [...value.tracks].sort((one, other) => other.judged - one.judged || one.track - other.track);
  return h("div", {}, h("div", { class: "frame" }, player, boxes), chart(value, show),
    h("p", { class: "fine" }, "Each point is a face in a frame. Press a moment to see it."), moments(value, show), faces(tracks.slice(0, SHOWN)), others(tracks.slice(SHOWN)));
}

function chart(value, show) {
  const last = Math.max(value.video.duration_s, value.frames.at(-1).time_s) || 1;
  const x = (time) => LEFT + (WIDTH - LEFT - 10) * time / last, y = (p) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - p);
  const judged = value.frames.filter((frame) => frame.faces.some((face) => face.probabilities)).length;
  const plot = svg("svg", { class: "timeline", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img",
    "aria-label": `Chance of AI-generated over time, in ${judged} frames; the list of frames below has each.` });
  const rule = (p, kind, attributes, text) => plot.append(svg("line", { x1: LEFT, x2: WIDTH - 10, y1: y(p), y2: y(p), class: kind }), svg("text", attributes, text));
  for (const p of [0, 0.5, 1]) rule(p, "", { x: LEFT - 6, y: y(p) + 4, "text-anchor": "end" }, `${100 * p} %`);
  const end = { x: WIDTH - 10, "text-anchor": "end" };
  rule(value.thresholds.fake, "bound", { ...end, y: TOP - 6 }, `AI-generated from ${percent(value.thresholds.fake)}`);
  rule(value.thresholds.real, "bound", { x: LEFT + 4, y: y(value.thresholds.real) - 5 }, `real up to ${percent(value.thresholds.real)}`);
  for (let part = 0; part <= 4; part++) {
    plot.append(svg("text", { x: x(last * part / 4), y: HEIGHT - 6, "text-anchor": part === 4 ? "end" : "middle" }, `${(last * part / 4).toFixed(1)} s`));
  }
  plot.addEventListener("click", (event) => {
    const at = (event.clientX - plot.getBoundingClientRect().left) * WIDTH / plot.getBoundingClientRect().width;
    show(value.frames.reduce((one, other) => Math.abs(x(other.time_s) - at) < Math.abs(x(one.time_s) - at) ? other : one));
  });
  const lines = new Map();
  for (const frame of value.frames) {
    for (const face of frame.faces) {
      if (chance(face) === undefined) continue;
      const at = [x(frame.time_s), y(face.probabilities.fake)], colour = COLOURS[face.track % COLOURS.length];
      lines.set(face.track, [...(lines.get(face.track) ?? []), at]);
      plot.append(svg("circle", { cx: at[0], cy: at[1], r: 4.5, fill: colour },
        svg("title", {}, `${frame.time_s} s, face ${face.track + 1}: ${percent(face.probabilities.fake)}`)));
      if (value.tracks.length > 1 && lines.get(face.track).length === 1) plot.append(svg("text", { x: at[0] + 6, y: at[1] - 6 }, `${face.track + 1}`));
    }
  }
  for (const [track, points] of lines) {
    plot.prepend(svg("polyline", { points: points.join(" "), fill: "none", stroke: COLOURS[track % COLOURS.length], "stroke-width": 1.5, opacity: 0.6 }));
  }
  return plot;
}

function moments(value, show) {
  const row = (frame) => h("li", {}, h("button", { type: "button", class: "name", onclick: () => show(frame) }, `${frame.time_s.toFixed(1)} s`), " ",
    frame.faces.map((face) => `face ${face.track + 1}: ${chance(face) === undefined ? "not judged" : percent(chance(face))}`).join(", ") || "no face");
  return h("details", {}, h("summary", {}, "Frame by frame"), h("ul", { class: "plain fine moments" }, value.frames.map(row)));
}

function faces(tracks) {
  return h("ul", { class: "faces fine" }, tracks.map((track) => h("li", {},
    h("i", { style: { background: COLOURS[track.track % COLOURS.length] } }), `Face ${track.track + 1}, ${track.from_s.toFixed(1)} to ${track.to_s.toFixed(1)} s: `,
    h("strong", {}, OF_VIDEO[track.verdict][1]), chance(track) === undefined ? "" : `, ${percent(chance(track))}`,
    track.interval ? ` (${percent(track.interval.low)} to ${percent(track.interval.high)})` : "", `, judged in ${track.judged} of ${track.frames} frames`)));
}

function others(tracks) {
  if (!tracks.length) return null;
  return h("details", {}, h("summary", {}, `${tracks.length} more ${tracks.length === 1 ? "face" : "faces"}`), faces(tracks));
}
