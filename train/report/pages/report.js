"use strict";
const cells = [...document.querySelectorAll("button[data-cell]")];

function selectCell(key, focus) {
  const view = key.split("-")[0];
  showView(view);
  const panel = document.getElementById("panel-" + view);
  const content = document.getElementById("cell-" + key);
  panel.replaceChildren(content.content.cloneNode(true));
  for (const cell of cells) {
    if (cell.dataset.cell.startsWith(view + "-")) cell.setAttribute("aria-pressed", String(cell.dataset.cell === key));
  }
  if (focus) {
    document.getElementById("matrix-" + view).scrollIntoView({ block: "start" });
    cells.find((cell) => cell.dataset.cell === key).focus({ preventScroll: true });
  }
}

function showView(view) {
  for (const part of document.querySelectorAll("[data-view]")) part.hidden = part.dataset.view !== view;
  for (const radio of document.querySelectorAll("input[name=view]")) radio.checked = radio.value === view;
}

/* Arrow keys go along the row or column to the next cell that holds photos; where there is none, in reading order. */
function moveInMatrix(event) {
  const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  if (!step) return;
  const here = event.currentTarget;
  const [view, row, column] = here.dataset.cell.split("-");
  const ofView = cells.filter((cell) => cell.dataset.cell.startsWith(view + "-"));
  let next = ofView[ofView.indexOf(here) + step[0] + step[1]];
  for (let i = here.closest("table").rows.length; i >= 1; i--) {
    const key = [view, +row + step[0] * i, +column + step[1] * i].join("-");
    next = ofView.find((cell) => cell.dataset.cell === key) || next;
  }
  if (next) next.focus();
  event.preventDefault();
}

/* One cell of a matrix is in the page's Tab order: the one that was there last. */
function holdTabStop(cell) {
  for (const other of cell.closest("table").querySelectorAll("button")) other.tabIndex = other === cell ? 0 : -1;
}

for (const matrix of document.querySelectorAll(".matrix")) {
  const first = matrix.querySelector("button");
  if (first) holdTabStop(first);
}
for (const cell of cells) {
  cell.addEventListener("click", () => selectCell(cell.dataset.cell, false));
  cell.addEventListener("keydown", moveInMatrix);
  cell.addEventListener("focus", () => holdTabStop(cell));
}
for (const pick of document.querySelectorAll("button[data-pick]")) {
  pick.addEventListener("click", () => selectCell(pick.dataset.pick, true));
}
for (const radio of document.querySelectorAll("input[name=view]")) {
  radio.addEventListener("change", () => showView(radio.value));
}
for (const all of document.querySelectorAll("input[data-maps]")) {
  all.addEventListener("change", () => {
    const shots = document.getElementById(all.dataset.maps);
    for (const one of shots.querySelectorAll(".shot input")) one.checked = all.checked;
  });
}
showView("test");
const worst = document.querySelector("button[data-pick]");
if (worst) selectCell(worst.dataset.pick, false);
