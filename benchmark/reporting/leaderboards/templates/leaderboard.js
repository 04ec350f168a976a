"use strict";
// Sorts and filters rows, chooses columns and boards, and opens the details of rows. Without it all is shown.
// The address names a board and what its table shows: #BOARD?kind=generator&sort=FID&dir=ascending&columns=rank,row
document.documentElement.classList.add("js");

// The value by which a cell sorts: its own, else the number or the name that it begins with.
function text(cell) {
  if (!cell || "v" in cell.dataset) return cell ? cell.dataset.v : "";
  if (cell.tagName === "TH") return cell.textContent;
  const number = parseFloat(cell.textContent.replace("−", "-"));
  return Number.isNaN(number) ? "" : String(number);
}
const headsOf = (table) => [...table.tHead.rows[0].cells];
const rowsOf = (table) => [...table.tBodies].flatMap((body) => [...body.rows]).filter((row) => !row.classList.contains("band"));

// Better rows come first by default; cells without a value stay at the end, and bands stay apart.
function sort(table, column, order) {
  const heads = headsOf(table), head = heads[column];
  heads.forEach((h) => h.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const compare = (a, b) => {
    const x = text(a.cells[column]), y = text(b.cells[column]);
    if (x === "" || y === "") return (x === "") - (y === "");
    return sign * (head.dataset.kind === "text" ? x.localeCompare(y, "en") : Number(x) - Number(y));
  };
  const byRank = head.classList.contains("rank") && order === "ascending";
  for (const body of table.tBodies) {
    const rows = [...body.rows].filter((row) => !row.classList.contains("band")).sort(compare);
    rows.forEach((row, i) => row.classList.toggle("next", byRank && i > 0 && row.dataset.rank !== rows[i - 1].dataset.rank));
    body.append(...rows);
  }
}

function sortable(table) {
  headsOf(table).forEach((head, column) => {
    const button = head.querySelector("button");
    if (button) button.addEventListener("click", () => {
      const first = head.dataset.first || "descending";
      const other = first === "descending" ? "ascending" : "descending";
      sort(table, column, head.getAttribute("aria-sort") === first ? other : first);
      const board = table.closest("[data-board]");
      if (board) remember(board);
    });
  });
}

// The state of a board's table: filters, sorting and columns.
const tables = new Map(); // by id of the board
function prepare(bar) {
  const board = bar.closest("[data-board]"), table = board.querySelector("table.rows");
  const controls = {};
  for (const control of bar.querySelectorAll("[data-filter]")) controls[control.dataset.filter] = control;
  const state = { bar, table, controls, order: rowsOf(table), ticks: {} };
  for (const head of headsOf(table)) {
    const label = document.createElement("label"), box = document.createElement("input");
    box.type = "checkbox";
    box.checked = !("more" in head.dataset);
    box.disabled = head.dataset.key === "row";
    box.addEventListener("input", (event) => { event.stopPropagation(); columns(state); remember(board); });
    const under = head.querySelector("small");
    label.append(box, " " + head.querySelector("button").textContent + (under ? ` (${under.textContent})` : ""));
    bar.querySelector(".columns div").append(label);
    state.ticks[head.dataset.key] = box;
  }
  tables.set(board.id, state);
  bar.addEventListener("input", () => { filter(state); remember(board); });
  bar.querySelector("[data-act=reset]").addEventListener("click", () => { restore(board, ""); remember(board); });
  bar.querySelector("[data-act=csv]").addEventListener("click", () => download(board.id, state));
  columns(state);
}

const value = (state, name) => {
  const control = state.controls[name];
  return !control ? "" : control.type === "checkbox" ? (control.checked ? "1" : "") : control.value;
};

function filter(state) {
  const q = value(state, "q").trim().toLowerCase();
  for (const row of state.order) {
    row.hidden = !row.dataset.name.includes(q) || (value(state, "clean") && row.dataset.gated === "yes") ||
      ["kind", "standing"].some((name) => value(state, name) && row.dataset[name] !== value(state, name));
  }
  for (const body of state.table.tBodies) {
    body.rows[0].hidden = [...body.rows].slice(1).every((row) => row.hidden);
  }
  state.bar.querySelector("output").textContent = count(state.order);
}

// Ranks refer to all candidates, so hidden candidates that are tied with visible ones are named.
function count(rows) {
  const seen = rows.filter((row) => !row.hidden);
  if (seen.length === rows.length) return `${rows.length} rows`;
  const ranks = new Set(seen.map((row) => row.dataset.rank));
  const tied = rows.filter((row) => row.hidden && row.dataset.rank && ranks.has(row.dataset.rank));
  const names = tied.map((row) => row.dataset.name).sort().join(", ");
  return `${seen.length} of ${rows.length} rows; ranks are of all candidates` + (names ? `; hidden, but tied with these: ${names}` : "");
}

function columns(state) {
  const heads = headsOf(state.table), shown = heads.map((head) => state.ticks[head.dataset.key].checked);
  heads.forEach((head, i) => { head.hidden = !shown[i]; });
  const visible = shown.filter(Boolean).length;
  for (const row of [...state.table.tBodies].flatMap((body) => [...body.rows])) {
    const wide = row.querySelector("[colspan]"), plain = [...row.cells].filter((cell) => cell !== wide);
    plain.forEach((cell, i) => { cell.hidden = !shown[i]; });
    if (wide) wide.colSpan = Math.max(1, visible - plain.filter((cell) => !cell.hidden).length);
  }
}

function query(state) {
  const words = new URLSearchParams();
  for (const name of Object.keys(state.controls)) if (value(state, name)) words.set(name, value(state, name));
  const head = headsOf(state.table).find((h) => h.hasAttribute("aria-sort"));
  if (head) { words.set("sort", head.dataset.key); words.set("dir", head.getAttribute("aria-sort")); }
  const heads = headsOf(state.table), keys = (list) => list.map((h) => h.dataset.key).join(",");
  const shown = keys(heads.filter((h) => state.ticks[h.dataset.key].checked));
  if (shown !== keys(heads.filter((h) => !("more" in h.dataset)))) words.set("columns", shown);
  return words.toString();
}

const addressOf = (board) => {
  const words = tables.has(board.id) ? query(tables.get(board.id)) : "";
  return "#" + board.id + (words ? "?" + words : "");
};
function remember(board) {
  history.replaceState(null, "", addressOf(board));
}

// Words that name no filter, column or direction are ignored.
function restore(board, words) {
  const state = tables.get(board.id);
  if (!state) return;
  const params = new URLSearchParams(words), heads = headsOf(state.table);
  for (const [name, control] of Object.entries(state.controls)) {
    const wanted = params.get(name) || "";
    if (control.type === "checkbox") control.checked = wanted === "1";
    else if (control.tagName === "SELECT") control.value = [...control.options].some((o) => o.value === wanted) ? wanted : "";
    else control.value = wanted;
  }
  const chosen = params.has("columns") ? params.get("columns").split(",") : null;
  for (const head of heads) {
    const key = head.dataset.key;
    state.ticks[key].checked = key === "row" || (chosen ? chosen.includes(key) : !("more" in head.dataset));
  }
  heads.forEach((head) => head.removeAttribute("aria-sort"));
  for (const row of state.order) row.parentElement.append(row); // the order of the page
  const column = heads.findIndex((head) => head.dataset.key === params.get("sort"));
  if (column >= 0) sort(state.table, column, params.get("dir") === "ascending" ? "ascending" : "descending");
  else rowsOf(state.table).forEach((row, i, all) => row.classList.toggle("next", i > 0 && row.dataset.rank !== "" && row.dataset.rank !== all[i - 1].dataset.rank));
  columns(state);
  filter(state);
}

// The visible rows with all columns, hidden ones too; an interval has a column for either end.
function download(name, state) {
  const heads = headsOf(state.table), rows = rowsOf(state.table).filter((row) => !row.hidden);
  const ends = heads.map((_, i) => rows.some((row) => row.cells[i] && "low" in row.cells[i].dataset));
  const line = ["kind", ...heads.flatMap((h, i) => ends[i] ? ["", "_low", "_high"].map((end) => h.dataset.key + end) : [h.dataset.key])];
  const lines = [line, ...rows.map((row) => [row.dataset.kind, ...heads.flatMap((head, i) => {
    const data = row.cells[i] && !row.cells[i].hasAttribute("colspan") ? row.cells[i].dataset : {};
    const own = head.dataset.key === "standing" ? row.dataset.standing : data.v;
    return ends[i] ? [own, data.low, data.high] : [own];
  })])];
  const quoted = (cell) => { const s = String(cell ?? ""); return /[",\n]/.test(s) ? `"${s.replaceAll('"', '""')}"` : s; };
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([lines.map((l) => l.map(quoted).join(",") + "\n").join("")], { type: "text/csv" }));
  link.download = name + ".csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

const boards = [...document.querySelectorAll("[data-board]")];
const picker = document.querySelector(".boards select");
let current = null; // the visible board

function show(board) {
  current = board;
  for (const other of boards) other.hidden = other !== board;
  for (const link of document.querySelectorAll(".boards a")) {
    if (decodeURIComponent(link.hash.slice(1)) === board.id) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
  if (picker) picker.value = board.id;
}

const dialog = document.querySelector("dialog");
let opened = null; // the card whose content is in the dialog
let opener = null; // the link that opened it

function open(card) {
  opened = card;
  dialog.querySelector("h2").textContent = card.querySelector("summary").textContent;
  dialog.querySelector(".body").append(...card.lastElementChild.childNodes);
  dialog.showModal();
}

function shut() {
  opened.lastElementChild.append(...dialog.querySelector(".body").childNodes);
  opened = null;
  dialog.close();
}

dialog.addEventListener("close", () => {
  if (!opened || dialog.open) return; // closed by route()
  shut();
  remember(current);
  if (opener) opener.focus({ preventScroll: true });
});
dialog.querySelector(".close").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close(); // the backdrop
});

// The address names a board with its state, a section, or the card of a row. An empty one shows the first board;
// a target outside the boards, such as the glossary, leaves the visible board as it is.
function route() {
  if (opened) shut();
  const [name, words] = location.hash.slice(1).split("?");
  const target = document.getElementById(decodeURIComponent(name));
  const board = target && target.closest("[data-board]");
  if (board || !current || !location.hash) show(board || boards[0]);
  if (board && target === board) restore(board, words || "");
  else if (board && target.matches("details.card")) open(target);
  else if (board) target.scrollIntoView();
}

if (picker) {
  picker.closest("label").hidden = false;
  picker.addEventListener("change", () => { location.hash = picker.value; });
}
document.querySelectorAll("table.sortable").forEach(sortable);
document.querySelectorAll(".filters").forEach(prepare);
for (const link of document.querySelectorAll("a.title")) {
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return; // opens a new tab or window
    event.preventDefault(); // no scrolling
    opener = link;
    history.pushState(null, "", link.hash);
    route();
  });
}
window.addEventListener("hashchange", route);
route();
