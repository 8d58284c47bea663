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

/* Arrow keys go to the next cell that holds photos, as in a spreadsheet. */
function moveInMatrix(event) {
  const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  if (!step) return;
  const [view, row, column] = event.currentTarget.dataset.cell.split("-");
  const side = event.currentTarget.closest("table").rows.length;
  for (let i = 1; i <= side; i++) {
    const key = [view, +row + step[0] * i, +column + step[1] * i].join("-");
    const next = cells.find((cell) => cell.dataset.cell === key);
    if (next) {
      next.focus();
      break;
    }
  }
  event.preventDefault();
}

for (const cell of cells) {
  cell.addEventListener("click", () => selectCell(cell.dataset.cell, false));
  cell.addEventListener("keydown", moveInMatrix);
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
