// Table: all files, sorted by what was pressed last, and as CSV. A row is made once, so that whoever stands on it stays.
import { $, h, percent } from "./dom.js";
import { REASONS, called, chance, inWords } from "./words.js";

const faces = (item) => item.value ? (item.value.tracks ?? item.value.faces ?? []).length : null;
const why = (item) => item.problem ? inWords(item.problem) : (item.value?.reasons ?? []).map((name) => REASONS[name]).join(" ");
const word = (item) => item.problem ? "no verdict" : item.value ? called(item) : item.state === "held" ? "waiting for the key" : "…";
// Heading, what is sorted by (null: at the end, either way), what is shown, and whether it is a number.
const COLUMNS = [
  ["File", (item) => item.file.name, null, false],
  ["Verdict", word, word, false],
  ["AI-generated", (item) => chance(item.value) ?? null, (item) => chance(item.value) === undefined ? "" : percent(chance(item.value)), true],
  ["Faces", faces, (item) => faces(item) ?? "", true],
  ["Why", (item) => why(item) || null, why, false],
  ["Time", (item) => item.value?.timings_ms.total ?? null, (item) => item.value ? `${Math.round(item.value.timings_ms.total)} ms` : "", true],
];
let by = null, down = false, head = [];

export function setUp(items) {
  head = COLUMNS.map(([title, , , number], column) => h("button", { type: "button", onclick: () => {
    [by, down] = [column, by === column ? !down : number];
    arrange(items);
  } }, title));
  $("list").querySelector("thead").replaceChildren(h("tr", {}, head.map((button) => h("th", { scope: "col" }, button))));
}

export function add(item, choose) {
  const name = h("button", { type: "button", class: "name", onclick: () => choose(item, true) }, item.file.name);
  item.cells = COLUMNS.slice(1).map(([, , , number]) => h("td", { class: number ? "number" : "" }));
  item.row = h("tr", {}, h("td", {}, name), item.cells);
  show(item);
}

export function show(item) {
  COLUMNS.slice(1).forEach(([, , shown], place) => { item.cells[place].textContent = shown(item); });
  item.cells[0].className = item.value?.verdict ?? "";
}

export function arrange(items) {
  head.forEach((button, column) => {
    button.textContent = COLUMNS[column][0] + (by === column ? (down ? " ▾" : " ▴") : "");
    if (by === column) button.parentElement.setAttribute("aria-sort", down ? "descending" : "ascending");
    else button.parentElement.removeAttribute("aria-sort");
  });
  const focused = document.activeElement, rows = $("list").querySelector("tbody");
  rows.replaceChildren(...sorted(items).map((item) => item.row));
  if (rows.contains(focused)) focused.focus();
}

function sorted(items) {
  if (by === null) return items;
  const [, of] = COLUMNS[by];
  return [...items].sort((one, other) => {
    const [a, b] = [of(one), of(other)];
    if (a === null || b === null) return (a === null) - (b === null);
    const order = typeof a === "number" ? a - b : a.localeCompare(b, undefined, { numeric: true });
    return down ? -order : order;
  });
}

export function csv(items) {
  const columns = ["file", "verdict", "confidence", "p_real", "p_fake", "threshold_real", "threshold_fake", "faces", "reasons", "width", "height", "sha256", "model", "model_version", "error_code", "error_detail"];
  const rows = items.map(({ file, value, problem }) => {
    const about = value?.image ?? value?.video ?? {};
    return [file.name, value?.verdict, value?.confidence, value?.probabilities?.real, value?.probabilities?.fake, value?.thresholds.real, value?.thresholds.fake,
      value ? (value.tracks ?? value.faces ?? []).length : "", (value?.reasons ?? []).join(" "), about.width, about.height, about.sha256, value?.model.name, value?.model.version, problem?.code, problem?.detail];
  });
  return [columns, ...rows].map((cells) => cells.map(cell).join(",")).join("\r\n") + "\r\n";
}

function cell(value) {
  let text = value === undefined || value === null ? "" : String(value);
  if (/^[=+\-@\t\r]/.test(text) && typeof value !== "number") text = `'${text}`; // a spreadsheet would run it
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
