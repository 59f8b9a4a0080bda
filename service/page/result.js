// Result: what is said of one file.
import { curl } from "./ask.js";
import { h, percent, say } from "./dom.js";
import { picture } from "./picture.js";
import { timeline } from "./timeline.js";
import { OF_VIDEO, PASSING, REASONS, VERDICTS, chance, inWords } from "./words.js";

export function result(item, actions) {
  if (item.problem) return [refused(item, actions)];
  if (!item.value) return [h("h2", { class: "whole", tabindex: "-1" }, `${item.file.name}: ${item.state === "held" ? "waiting for the API key" : "being looked at"} …`)];
  const shown = item.video ? timeline(item) : picture(item, actions.evidence);
  shown.className = "shown";
  return [h("div", { class: "said" }, ...verdict(item)), shown, h("div", { class: "more" }, ...facts(item), developers(item))];
}

function verdict({ file, video, value }) {
  const judged = chance(value) !== undefined;
  return [
    h("p", { class: "fine filename" }, file.name),
    h("h2", { class: `verdict ${value.verdict}`, tabindex: "-1" }, (video ? OF_VIDEO : VERDICTS)[value.verdict][0]),
    judged ? h("p", {}, video ? overFrames(value) : confidence(value)) : null,
    judged ? scale(value) : null,
    reasons(value.reasons.filter((name) => name !== "between_thresholds" || !judged)),
    video ? h("p", { class: "fine" }, "It does not recognise face swaps (deepfakes), and makes nothing of how a face moves.") : null,
  ].filter(Boolean);
}

const overFrames = ({ probabilities }) => `Over the frames in which the face could be judged, the middle of the estimated chances is ${percent(probabilities.fake)}.`;

function confidence({ verdict: name, confidence: p, probabilities }) {
  if (name === "uncertain") return `The estimated chance that this is AI-generated is ${percent(probabilities.fake)}. That is not enough for a verdict either way.`;
  const share = p > 0.995 ? "more than 99" : `about ${Math.round(100 * p)}`;
  return `Of 100 pictures with such an answer, ${share} are ${VERDICTS[name][1]}. That holds for pictures like its test pictures, about half of them AI-generated: on others it errs more often, and where AI-generated ones are rare most alarms are false.`;
}

export function scale({ probabilities, thresholds, interval }) {
  const at = (p) => `${100 * p}%`;
  const p = probabilities.fake;
  const text = `Chance of AI-generated ${percent(p)}. Up to ${percent(thresholds.real)} it says real, from ${percent(thresholds.fake)} AI-generated, in between not sure.`;
  // Towards the middle from where it points, so that it stays on a narrow screen.
  const side = p > 0.5 ? { right: at(1 - p), textAlign: "right" } : { left: at(p) };
  const label = h("em", { style: side }, `${percent(p)} AI-generated`);
  return h("div", { class: "scale", role: "img", "aria-label": text },
    h("span", { class: "real", style: { width: at(thresholds.real) } }),
    h("span", { class: "unsure", style: { flex: "1" } }),
    h("span", { class: "fake", style: { width: at(1 - thresholds.fake) } }),
    interval && h("u", { style: { left: at(interval.low), width: at(Math.max(0.004, interval.high - interval.low)) } }),
    h("i", { style: { left: at(thresholds.real) } }), h("i", { style: { left: at(thresholds.fake) } }),
    h("b", { style: { left: at(p) } }), label,
    h("small", { style: { left: "0" } }, `real up to ${percent(thresholds.real)}`),
    h("small", { style: { right: "0" } }, `AI-generated from ${percent(thresholds.fake)}`));
}

const reasons = (names) => names?.length ? h("ul", { class: "plain" }, names.map((name) => h("li", {}, REASONS[name] ?? name))) : null;

function facts({ value, video }) {
  const file = video ? value.video : value.image;
  const lines = [`${file.format}, ${file.width} × ${file.height}`];
  if (video) lines.push(`${file.duration_s.toFixed(1)} s`, `${file.sampled} frames${file.unreadable ? `, and ${file.unreadable} that cannot be read` : ""}`);
  return [...origin(value.provenance), h("h3", {}, "The file"), h("p", {}, `${lines.join("; ")}; looked at in ${Math.round(value.timings_ms.total)} ms.`)];
}

function origin(provenance) {
  if (!provenance) return [];
  const { content_credentials: seal, camera } = provenance;
  const lines = [];
  if (!seal.present) lines.push("There is no signed note of origin (Content Credentials) in the file. Most files have none.");
  else if (!seal.checked) lines.push("There is a note of origin (Content Credentials), but this service does not check it.");
  else if (!seal.valid) lines.push("There is a note of origin (Content Credentials), but it does not hold: it is broken, or was made for another file.");
  else {
    if (seal.declares_ai) lines.push(h("strong", {}, "Its signed note of origin says that AI made it, or a part of it."));
    const whose = seal.trusted ? `${seal.issuer}, which this service trusts` : `${seal.issuer ?? "somebody"} (the name that the signer gives; nobody vouches for it here)`;
    lines.push(`There is a signed note of origin (Content Credentials) that holds, by ${whose}.${seal.declares_ai ? "" : " It speaks of no AI."}`);
  }
  if (camera) lines.push(`By its own account: ${told(camera)}. Anybody can write that.`);
  lines.push("The verdict above does not depend on this.");
  return [h("h3", {}, "Where it says it comes from"), ...lines.map((line) => h("p", {}, line))];
}

function told({ make, model, lens, software, taken }) {
  const camera = model && make && !model.toLowerCase().startsWith(make.toLowerCase()) ? `${make} ${model}` : model ?? make;
  const when = taken?.replace(/^(\d{4}):(\d\d):(\d\d)/, "$1-$2-$3");
  return [camera, lens, software, when && `taken ${when}`].filter(Boolean).join(", ");
}

function developers(item) {
  const copied = async (event) => {
    const button = event.currentTarget;
    try {
      await navigator.clipboard.writeText(curl(item));
      button.textContent = "Copied";
      say("The command is copied.");
    } catch {
      button.after(h("pre", {}, curl(item)));
    }
  };
  return h("div", {}, h("div", { class: "actions" }, h("button", { type: "button", onclick: copied }, "Copy as curl")),
    h("details", {}, h("summary", {}, "The full answer, for developers"), h("pre", { tabindex: "0" }, JSON.stringify(item.value, null, 1))));
}

function refused(item, actions) {
  const { problem } = item;
  return h("div", { class: "whole" },
    h("p", { class: "fine filename" }, item.file.name),
    h("h2", { class: "verdict uncertain", tabindex: "-1" }, "No verdict"),
    h("p", {}, inWords(problem)),
    PASSING.has(problem.code) && h("div", { class: "actions" }, h("button", { type: "button", class: "primary", onclick: actions.again }, "Try again")),
    problem.detail && h("details", {}, h("summary", {}, "What the service said"),
      h("p", { class: "fine" }, `${problem.detail} (${problem.code})`), problem.request_id && h("p", { class: "fine" }, `Number for whoever runs it: ${problem.request_id}`)));
}
