// App: files in, results out; the one place that knows them all.
import { ask, get, hasKey, predict, useKey } from "./ask.js";
import * as camera from "./camera.js";
import { $, h, percent, say } from "./dom.js";
import { result } from "./result.js";
import { csv, render } from "./table.js";
import { VERDICTS, inWords } from "./words.js";

const AT_ONCE = 4, LOOK_MS = 5000;
const items = [];
let chosen = null, running = 0, held = false;

function add(files) {
  const fresh = [...files].map((file) => ({ file, url: URL.createObjectURL(file), video: file.type.startsWith("video/") || /\.(mp4|m4v|mov|webm|mkv)$/i.test(file.name), state: "waiting" }));
  if (!fresh.length) return;
  items.push(...fresh);
  choose(fresh[0]);
  $("drop").classList.add("small");
  update();
  work();
}

async function work() {
  while (running < AT_ONCE && !held) {
    const item = items.find((one) => one.state === "waiting" && !one.taken);
    if (!item) break;
    item.taken = true;
    running++;
    look(item).finally(() => { running--; update(); work(); });
  }
}

async function look(item) {
  const answer = item.video ? await ask("predict/video", item.file) : await predict(item.file);
  item.taken = false;
  if (!items.includes(item)) return;
  if (answer.status === 401) return askForKey(item);
  Object.assign(item, { state: "done", value: answer.value, problem: answer.problem });
  if (answer.status === 0) lookAtService();
  if (item === chosen) choose(item);
  if (!items.some((one) => one.state === "waiting")) announce();
}

function askForKey(item) {
  held = true;
  $("key").hidden = false;
  if (hasKey()) $("key").querySelector("label").textContent = "This service does not know that API key. Another one:";
  $("key-value").focus();
  item.state = "waiting";
}

function announce() {
  if (items.length > 1) {
    const count = (name) => items.filter((item) => item.value?.verdict === name).length;
    const failed = items.filter((item) => item.problem).length;
    say(`${items.length} files: ${count("real")} real, ${count("fake")} AI-generated, ${count("uncertain")} not sure${failed ? `, ${failed} without a verdict` : ""}.`);
  } else {
    const [item] = items;
    say(item.value ? `${VERDICTS[item.value.verdict][0]}, chance of AI-generated ${percent(item.value.probabilities.fake)}.` : inWords(item.problem));
  }
}

function choose(item, jump = false) {
  chosen = item;
  $("results").hidden = false;
  $("detail").replaceChildren(...result(item, {
    again,
    evidence: async (then) => {
      const answer = await ask("explain", item.file);
      item.evidence = answer.value?.evidence ?? null;
      if (item === chosen) then(item.evidence);
    },
  }));
  update();
  if (jump) {
    $("detail").scrollIntoView({ block: "nearest" });
    announceOne(item);
  }
}

const announceOne = (item) => say(item.value ? `${item.file.name}: ${VERDICTS[item.value.verdict][0]}` : `${item.file.name}: ${item.problem ? inWords(item.problem) : "being looked at"}`);

function again(item) {
  const lost = item.problem?.code === "gone" ? items.filter((one) => one.problem?.code === "gone") : [item];
  for (const one of lost) Object.assign(one, { state: "waiting", problem: undefined });
  choose(item);
  work();
}

function update() {
  render(items, chosen, choose);
  const done = items.filter((item) => item.state === "done").length;
  $("progress").hidden = items.length < 2 || done === items.length;
  $("bar").value = items.length ? done / items.length : 0;
  $("progress").querySelector("label").textContent = `${done} of ${items.length}`;
}

function clear() {
  for (const item of items) URL.revokeObjectURL(item.url);
  items.length = 0;
  chosen = null;
  $("detail").replaceChildren();
  $("results").hidden = true;
  $("drop").classList.remove("small");
  update();
  $("choose").focus();
}

function download() {
  const link = h("a", { href: URL.createObjectURL(new Blob([csv(items)], { type: "text/csv" })), download: "verdicts.csv" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

async function lookAtService() {
  const [ready, model] = await Promise.all([get("readyz"), get("model")]);
  const line = $("service");
  line.className = `service ${ready.status === 200 ? "ready" : "gone"}`;
  if (ready.status !== 200) line.textContent = ready.status ? inWords(ready.problem) : "The service does not answer.";
  else line.textContent = model.value ? `Ready: ${model.value.name} ${model.value.version}` : "Ready";
  if (model.value) $("model").replaceChildren(...about(model.value));
  $("model").hidden = !model.value;
}

function about({ name, version, thresholds, metrics }) {
  const of = (share) => `${Math.round(1000 * share)} of 1,000`;
  const { test_real_called_fake: alarm, test_fake_called_real: missed, test_uncertain: open } = metrics;
  const rates = [alarm, missed, open].every((rate) => typeof rate === "number");
  return [
    h("h2", {}, `How far to trust ${name} ${version}`),
    rates ? h("p", {}, `On test pictures of the kinds it learned from it called ${of(alarm)} real photos AI-generated, let ${of(missed)} generated ones pass as real, and was not sure of ${of(open)}. On other kinds of pictures it errs more often.`) : null,
    h("p", {}, `It says AI-generated from a chance of ${percent(thresholds.fake)}, real up to ${percent(thresholds.real)}, and in between that it is not sure. Generators that it has not seen, face swaps among them, often pass as real.`),
  ];
}

const drop = $("drop");
$("choose").onclick = () => $("files").click();
$("files").onchange = (event) => { add(event.target.files); event.target.value = ""; };
$("camera").onclick = () => camera.open((file) => add([file]));
$("csv").onclick = download;
$("clear").onclick = clear;
$("key").onsubmit = (event) => {
  event.preventDefault();
  useKey($("key-value").value);
  $("key").hidden = true;
  held = false;
  lookAtService();
  work();
};
document.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.classList.remove("over"); });
document.addEventListener("drop", (event) => { event.preventDefault(); drop.classList.remove("over"); add(event.dataTransfer.files); });
document.addEventListener("paste", (event) => add(event.clipboardData?.files ?? []));
lookAtService();
setInterval(() => { if ($("service").classList.contains("gone")) lookAtService(); }, LOOK_MS);
document.documentElement.dataset.ready = "true";
