"use strict";
const study = JSON.parse(document.getElementById("study").textContent);
const $ = (id) => document.getElementById(id);
const several = study.screens.some((screen) => screen.length > 1);
const pairs = study.protocol === "pairs";
let reader = "", order = [], place = 0, current = 0, answers = {};

// A number from a text, and random numbers from it: the order of a reader is the same whenever it is made.
function seeded(text) {
  let state = 2166136261;
  for (const letter of text) state = Math.imul(state ^ letter.codePointAt(0), 16777619);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
function shuffled(count, random) {
  const all = [...Array(count).keys()];
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [all[i], all[j]] = [all[j], all[i]];
  }
  return all;
}
const slot = () => `synththorax-${study.id}-${reader}`;
const stored = () => { try { return JSON.parse(localStorage.getItem(slot())) || {}; } catch { return {}; } };
const save = () => { try { localStorage.setItem(slot(), JSON.stringify(answers)); } catch { /* private window */ } };

const shown = () => study.screens[order[place]].map((k) => study.images[k]);
const own = (name) => (answers[name] ||= {});
const isDone = (screen) => several
  ? screen.some((k) => answers[study.images[k].name]?.seen)
  : study.questions.every((q) => q.column in (answers[study.images[screen[0]].name] || {}));

function begin(name) {
  reader = name.trim();
  if (!reader) return;
  answers = stored();
  order = shuffled(study.screens.length, seeded(`${study.id} ${reader}`));
  place = order.findIndex((k) => !isDone(study.screens[k]));
  $("start").hidden = true;
  place < 0 ? finish() : show();
}
function finish() {
  place = order.length;
  $("screen").hidden = true; $("end").hidden = false;
  state();
}
function state() {
  const done = study.screens.filter(isDone).length;
  $("done").value = done / study.screens.length;
  $("place").textContent = reader && `${Math.min(place + 1, order.length)} of ${order.length}, ${done} done`;
}
function show() {
  $("screen").hidden = false; $("end").hidden = true;
  const images = shown();
  $("class").textContent = images[0].class && `The image should show: ${images[0].class}`;
  const box = $("images");
  box.className = images.length === 1 ? "one" : "";
  box.replaceChildren(...images.map((image, i) => {
    const view = document.createElement(several ? "button" : "div");
    view.className = "view"; view.dataset.name = image.name;
    const picture = document.createElement("img");
    picture.src = image.source; picture.alt = `image ${i + 1}`; picture.draggable = false;
    view.append(picture);
    if (several) {
      view.type = "button";
      view.setAttribute("aria-pressed", String(own(image.name).real_or_fake === study.real));
      view.addEventListener("click", () => { if (!moved) choose(i); });
    }
    return view;
  }));
  current = 0;
  questions(); adjust(true); state();
}
function choose(i) {
  shown().forEach((image, k) => {
    const answer = own(image.name), before = answer.real_or_fake === study.real;
    answer.seen = true;
    answer.real_or_fake = (pairs ? k === i : (k === i ? !before : before)) ? study.real : "fake";
  });
  save();
  document.querySelectorAll(".view").forEach((view) =>
    view.setAttribute("aria-pressed", String(own(view.dataset.name).real_or_fake === study.real)));
  state();
  if (pairs) next();
}
function questions() {
  if (several) {
    $("questions").textContent = pairs ? "Which of the two is an image of a patient?" : "Mark every image of a patient, then go on.";
    return;
  }
  const answer = own(shown()[0].name);
  $("questions").replaceChildren(...study.questions.map((question, i) => {
    const box = document.createElement("div");
    box.className = "question" + (i === current ? " current" : "");
    box.append(question.text);
    const list = document.createElement("div");
    list.className = "answers";
    const options = Object.entries(question.answers);
    if (question.optional) options.push(["", "not applicable"]);
    for (const [value, label] of options) {
      const button = document.createElement("button");
      button.type = "button"; button.textContent = label;
      button.dataset.column = question.column; button.dataset.value = value;
      button.setAttribute("aria-pressed", String(answer[question.column] === value));
      button.addEventListener("click", () => give(i, value));
      list.append(button);
    }
    box.append(list);
    return box;
  }));
}
function give(i, value) {
  const answer = own(shown()[0].name);
  answer[study.questions[i].column] = value;
  save();
  const open = study.questions.findIndex((q) => !(q.column in answer));
  if (open < 0 && i === study.questions.length - 1) return next();
  current = open < 0 ? Math.min(i + 1, study.questions.length - 1) : open;
  questions(); state();
}
function next() {
  if (several) { shown().forEach((image) => { const a = own(image.name); a.seen = true; a.real_or_fake ||= "fake"; }); save(); }
  if (place + 1 < order.length) { place++; show(); return; }
  const open = order.findIndex((k) => !isDone(study.screens[k]));
  if (open < 0) finish(); else { place = open; show(); }
}
function back() {
  if (place > 0) { place = Math.min(place, order.length) - 1; show(); }
}

// Zoom and window of all images of a screen.
let moved = false, from = null;
function adjust(reset) {
  if (reset) { $("level").value = 0; $("width").value = 100; $("zoom").value = 100; }
  const level = 1 + $("level").value / 100, contrast = 100 / $("width").value, zoom = $("zoom").value / 100;
  document.querySelectorAll(".view img").forEach((picture) => {
    picture.style.filter = `brightness(${level}) contrast(${contrast})`;
    picture.style.transform = `scale(${zoom})`;
  });
}
["level", "width", "zoom"].forEach((id) => $(id).addEventListener("input", () => adjust(false)));
$("reset").addEventListener("click", () => adjust(true));
$("images").addEventListener("pointerdown", (event) => { from = [event.clientX, event.clientY, +$("level").value, +$("width").value]; moved = false; });
addEventListener("pointermove", (event) => {
  if (!from) return;
  const [x, y] = [event.clientX - from[0], event.clientY - from[1]];
  if (Math.abs(x) + Math.abs(y) < 8) return;
  moved = true;
  $("level").value = from[2] - y / 2; $("width").value = from[3] + x / 2;
  adjust(false);
});
addEventListener("pointerup", () => { from = null; });
$("images").addEventListener("wheel", (event) => {
  event.preventDefault();
  $("zoom").value = +$("zoom").value - Math.sign(event.deltaY) * 20;
  const view = event.target.closest(".view");
  if (view) {
    const box = view.getBoundingClientRect();
    view.firstChild.style.transformOrigin = `${event.clientX - box.left}px ${event.clientY - box.top}px`;
  }
  adjust(false);
}, { passive: false });

addEventListener("keydown", (event) => {
  if ($("screen").hidden || event.target.tagName === "INPUT" || event.ctrlKey || event.metaKey) return;
  const key = event.key;
  if (key === "ArrowLeft") back();
  else if (key === "ArrowRight") next();
  else if (key === "+" || key === "-") { $("zoom").value = +$("zoom").value + (key === "+" ? 20 : -20); adjust(false); }
  else if (several && /^[1-9]$/.test(key) && +key <= shown().length) choose(+key - 1);
  else if (!several) {
    const i = "rf".includes(key) ? study.questions.findIndex((q) => q.column === "real_or_fake") : current;
    const value = { r: study.real, f: "fake" }[key] ?? (key === "0" ? "" : key);
    const question = study.questions[i];
    if (question && (value in question.answers || (value === "" && question.optional))) give(i, value);
    else return;
  } else return;
  event.preventDefault();
});

function csv() {
  const key = JSON.parse(atob(study.key));
  const columns = several ? ["real_or_fake"] : study.questions.map((q) => q.column);
  const lines = [["reader", "image", "model", "class", ...columns, ...(pairs ? ["pair"] : [])]];
  study.screens.forEach((screen, number) => screen.forEach((k) => {
    const name = study.images[k].name, answer = answers[name] || {};
    const values = columns.map((column) => answer[column] ?? "");
    if (values.some((value) => value !== ""))
      lines.push([reader, name, key[name].model, key[name].class, ...values, ...(pairs ? [`pair-${number + 1}`] : [])]);
  }));
  const cell = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  return lines.map((line) => line.map(cell).join(",")).join("\n") + "\n";
}
$("export").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
  link.download = `${study.protocol}-${reader || "nobody"}.csv`;
  $("csv").textContent = csv();
  link.click();
});
$("start").addEventListener("submit", (event) => { event.preventDefault(); begin($("reader").value); });
$("back").addEventListener("click", back);
$("next").addEventListener("click", next);
