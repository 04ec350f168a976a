"use strict";
// Sorts and filters rows, chooses boards and opens the details of rows. Without it all boards are shown.
document.documentElement.classList.add("js");

function sortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = head.querySelector("button");
    if (button) button.addEventListener("click", () => sort(table, heads, column));
  });
}

// The first click puts better rows first; cells without a value stay at the end.
function sort(table, heads, column) {
  const head = heads[column];
  const first = head.dataset.first || "descending";
  const other = first === "descending" ? "ascending" : "descending";
  const order = head.getAttribute("aria-sort") === first ? other : first;
  heads.forEach((h) => h.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const value = (row) => {
    const cell = row.cells[column];
    return cell && "v" in cell.dataset ? cell.dataset.v : "";
  };
  const compare = (a, b) => {
    const x = value(a), y = value(b);
    if (x === "" || y === "") return (x === "") - (y === "");
    return sign * (head.dataset.kind === "text" ? x.localeCompare(y, "en") : Number(x) - Number(y));
  };
  const sorted = [...table.tBodies[0].rows].sort(compare);
  const byRank = head.classList.contains("rank") && order === "ascending";
  sorted.forEach((row, i) => row.classList.toggle("next", byRank && i > 0 && row.dataset.rank !== sorted[i - 1].dataset.rank));
  table.tBodies[0].append(...sorted);
}

function filterable(bar) {
  const rows = [...bar.parentElement.querySelector("table.rows").tBodies[0].rows];
  const shown = bar.querySelector("output");
  const controls = {};
  for (const control of bar.querySelectorAll("[data-filter]")) controls[control.dataset.filter] = control;
  const value = (name) => (controls[name] ? controls[name].value : "");
  const matches = (row) =>
    row.dataset.name.includes(value("text").trim().toLowerCase()) &&
    (!value("role") || row.dataset.role === value("role")) &&
    (!value("standing") || row.dataset.standing === value("standing")) &&
    !(controls.gated.checked && row.dataset.gated === "yes");
  const apply = () => {
    for (const row of rows) row.hidden = !matches(row);
    shown.textContent = count(rows);
  };
  bar.addEventListener("input", apply);
  controls.reset.addEventListener("click", () => {
    controls.text.value = "";
    for (const name of ["role", "standing"]) if (controls[name]) controls[name].value = "";
    controls.gated.checked = false;
    apply();
  });
}

// Ranks and letters refer to all rows, so hidden rows that are tied with visible ones are named.
function count(rows) {
  const seen = rows.filter((row) => !row.hidden);
  if (seen.length === rows.length) return `${rows.length} rows`;
  const ranks = new Set(seen.map((row) => row.dataset.rank));
  const tied = rows.filter((row) => row.hidden && row.dataset.rank && ranks.has(row.dataset.rank));
  const names = tied.map((row) => row.dataset.name).sort().join(", ");
  return `${seen.length} of ${rows.length} rows; ranks are of all rows` + (names ? `; hidden, but tied with these: ${names}` : "");
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
  history.replaceState(null, "", "#" + current.id);
  if (opener) opener.focus({ preventScroll: true });
});
dialog.querySelector(".close").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close(); // the backdrop
});

// The address names a board, a section, or the card of a row. An empty one shows the first board; a target
// outside the boards, such as the glossary, leaves the visible board as it is.
function route() {
  if (opened) shut();
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const board = target && target.closest("[data-board]");
  if (board || !current || !location.hash) show(board || boards[0]);
  if (board && target.matches("details.card")) open(target);
  else if (board && target !== board) target.scrollIntoView();
}

if (picker) {
  picker.closest("label").hidden = false;
  picker.addEventListener("change", () => { location.hash = picker.value; });
}
document.querySelectorAll("table.sortable").forEach(sortable);
document.querySelectorAll(".filters").forEach(filterable);
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
