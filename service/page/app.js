// App: files in, results out; the one place that knows them all.
import { ask, get, hasKey, predict, useKey } from "./ask.js";
import * as camera from "./camera.js";
import { $, h, say } from "./dom.js";
import { about } from "./model.js";
import { result } from "./result.js";
import * as table from "./table.js";
import { PASSING, inWords, summary } from "./words.js";

const AT_ONCE = 4, LOOK_MS = 5000, BUSY_MS = 2000, PATIENCE = 30;
const items = [];
let chosen = null, running = 0, abilities = {}, drawing = false;

async function add(files) {
  const fresh = await Promise.all([...files].map(async (file) => ({ file, url: URL.createObjectURL(file), video: await isVideo(file), state: "waiting" })));
  if (!fresh.length) return;
  for (const item of fresh) table.add(item, choose);
  items.push(...fresh);
  table.arrange(items);
  choose(fresh[0]);
  document.body.classList.add("busy");
  update();
  work();
}

// By its first bytes, whatever its name says; HEIC and AVIF pictures lie in the same boxes as videos.
async function isVideo(file) {
  const head = new Uint8Array(await file.slice(0, 12).arrayBuffer().catch(() => new ArrayBuffer(0)));
  const text = String.fromCharCode(...head);
  return text.startsWith("\x1a\x45\xdf\xa3") || (text.slice(4, 8) === "ftyp" && !/^(he|mif|msf|avi)/.test(text.slice(8)));
}

async function work() {
  while (running < AT_ONCE) {
    const watching = items.some((one) => one.taken && one.video); // the service reads few at once
    const item = items.find((one) => one.state === "waiting" && !one.taken && !(one.video && watching));
    if (!item) break;
    item.taken = true;
    running++;
    look(item).finally(() => { item.taken = false; running--; update(); work(); });
  }
}

async function look(item) {
  if (item.video && abilities.video === false) return settle(item, { problem: { code: "video_unavailable" } });
  const answer = item.video ? await ask("predict/video", item.file) : await predict(item.file);
  if (!items.includes(item)) return;
  if (answer.status === 401) return hold(item);
  if (answer.problem?.code === "overloaded" && (item.tries = (item.tries ?? 0) + 1) < PATIENCE) {
    await new Promise((resolve) => setTimeout(resolve, BUSY_MS)); // somebody else's turn
    return;
  }
  settle(item, answer);
  if (answer.status === 0) lookAtService();
}

function settle(item, { value, problem }) {
  Object.assign(item, { state: "done", tries: 0, value, problem });
  table.show(item);
  if (item === chosen) show(item);
  if (items.every((one) => one.state === "done")) say(items.length > 1 ? summary(items) : heard(items[0]));
}

const heard = ({ file, value, problem }) => `${file.name}: ${problem ? `no verdict. ${inWords(problem)}` : summary([{ value }])}`;

function hold(item) {
  item.state = "held";
  table.show(item);
  askForKey();
}

function askForKey() {
  const form = $("key"), value = $("key-value");
  if (form.hidden && hasKey()) form.querySelector("label").textContent = "This service does not know that API key. Another one:";
  form.hidden = false;
  value.focus();
  value.select();
}

function choose(item, asked = false) {
  table.show(item);
  chosen?.row.removeAttribute("aria-current");
  chosen = item;
  item.row.setAttribute("aria-current", "true");
  $("results").hidden = false;
  show(item);
  if (asked && item.state === "done") say(heard(item));
}

function show(item) {
  const inside = $("detail").contains(document.activeElement);
  $("detail").replaceChildren(...result(item, { again, evidence }));
  if (inside) $("detail").querySelector("h2")?.focus();
}

async function evidence(item, then) {
  const answer = await ask("explain", item.file);
  item.evidence = answer.value?.evidence ?? null;
  if (item === chosen) then(item.evidence);
}

function again() {
  for (const one of items.filter(({ problem }) => problem && PASSING.has(problem.code))) {
    Object.assign(one, { state: "waiting", problem: undefined });
    table.show(one);
  }
  show(chosen);
  $("detail").querySelector("h2")?.focus();
  work();
}

function update() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    const done = items.filter((item) => item.state === "done").length;
    $("list").hidden = items.length < 2;
    $("one").hidden = items.length !== 1;
    $("sum").textContent = summary(items);
    $("progress").hidden = items.length < 2 || done === items.length;
    $("bar").value = items.length ? done / items.length : 0;
    $("progress").querySelector("label").textContent = `${done} of ${items.length}`;
    if (items.length && done === items.length) table.arrange(items);
  });
}

function clear() {
  for (const item of items) URL.revokeObjectURL(item.url);
  items.length = 0;
  chosen = null;
  table.arrange(items);
  $("detail").replaceChildren();
  $("results").hidden = true;
  document.body.classList.remove("busy");
  say("");
  update();
  $("choose").focus();
}

function download() {
  // The mark at its beginning tells spreadsheets that it is UTF-8.
  const link = h("a", { href: URL.createObjectURL(new Blob(["\ufeff", table.csv(items)], { type: "text/csv" })), download: "verdicts.csv" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

async function lookAtService() {
  const [ready, model] = await Promise.all([get("readyz"), get("model")]);
  const line = $("service");
  line.className = `service ${ready.status === 200 ? "ready" : "gone"}`;
  if (ready.status !== 200) line.textContent = ready.status ? inWords(ready.problem) : "The service does not answer.";
  else line.textContent = model.status === 401 ? "Ready, asks for an API key" : "Ready";
  if (!model.value) return;
  abilities = model.value.abilities;
  document.body.classList.toggle("still", !abilities.video);
  $("files").accept = `image/jpeg,image/png,image/webp${abilities.video ? ",video/mp4,video/quicktime,video/webm,video/x-matroska" : ""}`;
  $("model").replaceChildren(...about(model.value));
  $("model").hidden = false;
}

table.setUp(items);
$("choose").onclick = () => $("files").click();
$("files").onchange = (event) => { add([...event.target.files]); event.target.value = ""; };
$("camera").onclick = async () => {
  const { status } = await get("model"); // a browser does not tell why a camera's connection was refused
  if (status === 401) askForKey();
  else camera.open((file) => add([file]));
};
$("csv").onclick = download;
for (const button of document.querySelectorAll(".clear")) button.onclick = clear;
$("key").onsubmit = (event) => {
  event.preventDefault();
  useKey($("key-value").value);
  $("key").hidden = true;
  for (const item of items.filter((one) => one.state === "held")) item.state = "waiting";
  (chosen ? $("detail").querySelector("h2") : $("choose"))?.focus();
  lookAtService();
  work();
};
document.addEventListener("dragover", (event) => { event.preventDefault(); $("drop").classList.add("over"); });
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) $("drop").classList.remove("over"); });
document.addEventListener("drop", (event) => { event.preventDefault(); $("drop").classList.remove("over"); add(event.dataTransfer.files); });
document.addEventListener("paste", (event) => add(event.clipboardData?.files ?? []));
lookAtService();
setInterval(() => { if ($("service").classList.contains("gone")) lookAtService(); }, LOOK_MS);
document.documentElement.dataset.ready = "true";
