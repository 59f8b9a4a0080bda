// Result: what is said of one file.
import { curl } from "./ask.js";
import { h, percent, say } from "./dom.js";
import { picture } from "./picture.js";
import { timeline } from "./timeline.js";
import { PASSING, REASONS, VERDICTS, inWords } from "./words.js";

export function result(item, actions) {
  if (item.state === "waiting") return [h("p", { class: "whole" }, `${item.file.name}: being looked at …`)];
  if (item.problem) return [refused(item, actions)];
  const shown = item.video ? timeline(item) : picture(item, actions.evidence);
  shown.className = "shown";
  return [h("div", { class: "said" }, ...verdict(item.value)), shown, h("div", { class: "more" }, ...facts(item), ...ends(item))];
}

export function verdict(value) {
  const [words] = VERDICTS[value.verdict];
  return [
    h("p", { class: `verdict ${value.verdict}` }, words),
    h("p", {}, confidence(value)),
    scale(value),
    reasons(value.reasons),
  ];
}

function confidence({ verdict: name, confidence: p, probabilities }) {
  if (name === "uncertain") return `It takes ${percent(probabilities.fake)} for the chance that this is AI-generated: too little to say so, too much to rule it out, or something speaks against a verdict.`;
  const share = p > 0.995 ? "more than 99" : `about ${Math.round(100 * p)}`;
  return `Of 100 pictures with such an answer, ${share} are ${VERDICTS[name][1]}, where pictures are like those that it was calibrated on.`;
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
  if (video) lines.push(`${file.duration_s} s, ${file.sampled} frames looked at${file.unreadable ? `, ${file.unreadable} unreadable` : ""}`);
  return [...origin(value.provenance), h("h3", {}, "The file"),
    h("p", {}, `${lines.join("; ")}. Looked at in ${Math.round(value.timings_ms.total)} ms by ${value.model.name} ${value.model.version}.`)];
}

function origin(provenance) {
  if (!provenance) return [];
  const { content_credentials: seal, camera } = provenance;
  const lines = [];
  if (!seal.present) lines.push("No Content Credentials.");
  else if (!seal.checked) lines.push("There are Content Credentials, but this service does not check them.");
  else if (!seal.valid) lines.push("There are Content Credentials, but they do not hold: they are broken, or were made for another file.");
  else {
    const whose = seal.trusted ? `${seal.issuer}, which this service trusts` : `${seal.issuer ?? "somebody"} (the name that the signer gives; nobody vouches for it here)`;
    lines.push(`Content Credentials that hold, signed by ${whose}.`);
    lines.push(seal.declares_ai ? "They declare that AI generated it, or a part of it." : "They declare no AI generation.");
  }
  if (camera) {
    const { make, model, lens, software, taken } = camera;
    lines.push(`By its own account: ${[[make, model].filter(Boolean).join(" "), lens, software, taken].filter(Boolean).join(", ")}. Anybody can write that.`);
  }
  lines.push("This has no say in the verdict.");
  return [h("h3", {}, "Where it says it comes from"), ...lines.map((line) => h("p", {}, line))];
}

function ends(item) {
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
  return [
    h("div", { class: "actions" }, h("button", { type: "button", onclick: copied }, "Copy as curl")),
    h("details", {}, h("summary", {}, "All of the answer"), h("pre", { tabindex: "0" }, JSON.stringify(item.value, null, 1))),
  ];
}

function refused(item, actions) {
  const { problem } = item;
  return h("div", { class: "whole" },
    h("p", { class: "verdict uncertain" }, `${item.file.name}: no verdict`),
    h("p", {}, inWords(problem)),
    h("p", { class: "fine" }, [problem.detail, problem.code, problem.request_id].filter(Boolean).join(" · ")),
    PASSING.has(problem.code) && h("div", { class: "actions" }, h("button", { type: "button", class: "primary", onclick: () => actions.again(item) }, "Try again")));
}
