// Table: all files, sorted by what was pressed last, and as CSV.
import { $, h, percent } from "./dom.js";
import { REASONS, VERDICTS, inWords } from "./words.js";

const COLUMNS = [
  ["File", (item) => item.file.name],
  ["Verdict", (item) => item.problem ? "no verdict" : item.value ? VERDICTS[item.value.verdict][1] : "…"],
  ["AI-generated", (item) => item.value ? item.value.probabilities.fake : -1],
  ["Faces", (item) => item.value ? (item.value.tracks ?? item.value.faces ?? []).length : -1],
  ["Why", (item) => item.problem ? inWords(item.problem) : (item.value?.reasons ?? []).map((name) => REASONS[name]).join(" ")],
  ["ms", (item) => item.value ? item.value.timings_ms.total : -1],
];
let by = null, down = false;

export function render(items, chosen, choose) {
  $("list").hidden = items.length < 2;
  const table = $("list").querySelector("table");
  table.tHead.replaceChildren(h("tr", {}, COLUMNS.map(([title], column) => h("th", { scope: "col", "aria-sort": by === column ? (down ? "descending" : "ascending") : null },
    h("button", { type: "button", "data-column": column, onclick: () => sort(column, items, chosen, choose) }, title + (by === column ? (down ? " ▾" : " ▴") : ""))))));
  table.tBodies[0].replaceChildren(...sorted(items).map((item) => row(item, item === chosen, choose)));
}

function sort(column, ...rest) {
  [by, down] = [column, by === column ? !down : false];
  render(...rest);
  $("list").querySelector(`[data-column="${column}"]`).focus();
}

function sorted(items) {
  if (by === null) return items;
  const [, of] = COLUMNS[by];
  return [...items].sort((one, other) => {
    const [a, b] = [of(one), of(other)];
    const order = typeof a === "number" ? a - b : a.localeCompare(b, undefined, { numeric: true });
    return down ? -order : order;
  });
}

function row(item, current, choose) {
  const p = item.value?.probabilities.fake;
  return h("tr", { "aria-current": current ? "true" : null },
    h("td", {}, h("button", { type: "button", class: "name", onclick: () => choose(item, true) }, item.file.name)),
    h("td", { class: item.value?.verdict ?? "" }, COLUMNS[1][1](item)),
    h("td", { class: "number" }, p === undefined ? "" : percent(p)),
    h("td", { class: "number" }, item.value ? COLUMNS[3][1](item) : ""),
    h("td", {}, COLUMNS[4][1](item)),
    h("td", { class: "number" }, item.value ? Math.round(item.value.timings_ms.total) : ""));
}

export function csv(items) {
  const head = ["file", "verdict", "confidence", "p_real", "p_fake", "threshold_real", "threshold_fake", "faces", "reasons", "width", "height", "sha256", "model", "model_version", "error_code", "error_detail"];
  const rows = items.map(({ file, value, problem }) => {
    const about = value?.image ?? value?.video ?? {};
    return [file.name, value?.verdict, value?.confidence, value?.probabilities.real, value?.probabilities.fake, value?.thresholds.real, value?.thresholds.fake,
      value ? (value.tracks ?? value.faces ?? []).length : "", (value?.reasons ?? []).join(" "), about.width, about.height, about.sha256, value?.model.name, value?.model.version, problem?.code, problem?.detail];
  });
  return [head, ...rows].map((cells) => cells.map(cell).join(",")).join("\r\n") + "\r\n";
}

function cell(value) {
  let text = value === undefined || value === null ? "" : String(value);
  if (/^[=+\-@\t\r]/.test(text) && typeof value !== "number") text = `'${text}`; // a spreadsheet would run it
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
