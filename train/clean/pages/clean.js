"use strict";
// Every mark is answered only after it is saved; so the page holds nothing that could be lost.  One request at a time:
// a key pressed meanwhile waits, and then means the photo that is in focus by then.

const PER_PAGE = 60;
const QUICK_KEYS = "1234567890";
const VIEW_NAMES = {
  likely: "likely wrong", conflicts: "conflicts", duplicates: "near-duplicates", people: "nobody, several", all: "all",
  removed: "removed", marked: "marked",
};
const NOTHING = {
  likely: "Nothing to see here.", conflicts: "No picture lies under several poses.", duplicates: "There are no near-duplicates.",
  people: "No photo of nobody or of several people was found, and no collage.",
  all: "Nothing to see here.", removed: "Nothing was removed.", marked: "Nothing is marked yet.",
};
const GROUPED = ["conflicts", "duplicates", "people"];
const $ = (id) => document.getElementById(id);
const percent = (share) => (share >= 0.995 && share < 1 ? "> 99 %" : `${Math.round(share * 100)} %`);

let session = { poses: [], views: {} };
let page = { photos: [], first: 0, total: 0 };
let here = 0; // position in the view
let filter = { view: "likely", pose: "", split: "" };
let queue = Promise.resolve();

function enqueue(task) {
  queue = queue.then(task).then(() => show("trouble", ""), (error) => show("trouble", error.message));
  return queue;
}

function show(id, words) {
  $(id).textContent = words;
  $(id).hidden = !words;
}

async function ask(path, content) {
  const options = content && {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(content),
  };
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The cleaner has ended; every mark up to here is saved. Start it again in the terminal.");
  }
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error);
  return body;
}

// --- which photos ---

function remember() { // a reload comes back to the same view
  history.replaceState(null, "", `#${new URLSearchParams(filter)}`);
}

function recall(start) {
  const words = new URLSearchParams(location.hash.slice(1));
  for (const name of Object.keys(filter)) filter[name] = words.get(name) ?? filter[name];
  if (!words.has("view") || !(filter.view in VIEW_NAMES)) filter.view = start;
}

async function load(position, onlyOpen = false) {
  const query = new URLSearchParams({ ...filter, from: Math.max(0, position), count: PER_PAGE });
  if (onlyOpen) query.set("open", "1");
  page = await ask(`api/photos?${query}`);
  drawGrid();
  focusOn(page.focus);
}

function select(changes) {
  return enqueue(async () => {
    filter = { ...filter, ...changes };
    remember();
    drawViews();
    const looksBack = filter.view === "removed" || filter.view === "marked";
    await load(0, !looksBack);
  });
}

const photoAt = (position) => page.photos[position - page.first];

async function goTo(position) {
  if (position < 0 || position >= page.total) return;
  if (photoAt(position)) focusOn(position);
  else await load(position);
}

async function goToOpen() {
  for (let position = here + 1; photoAt(position); position += 1) {
    if (!photoAt(position).mark) return focusOn(position);
  }
  if (page.first + page.photos.length < page.total) await load(page.first + page.photos.length, true);
  else if (here + 1 < page.total) focusOn(here + 1);
}

// --- marks ---

async function markFocus(action, pose) {
  const photo = photoAt(here);
  if (!photo) return;
  const answer = await ask("api/mark", { photo: photo.number, action, pose });
  update(answer);
  say(`${describeMark(answer.photo)}: ${answer.photo.path}`);
  if (filter.view === "removed" || filter.view === "marked") await load(here + (page.total > here + 1 ? 1 : 0));
  else await goToOpen();
}

async function takeSuggestion() {
  const suggestion = suggestionFor(photoAt(here));
  if (suggestion) await markFocus("relabel", suggestion.pose);
}

const mark = (action, pose = "") => enqueue(() => markFocus(action, pose));

function undo() {
  return enqueue(async () => {
    const answer = await ask("api/undo", filter);
    say(answer.photo ? `undone: ${answer.photo.path}` : "there is nothing to undo");
    if (answer.position === null) await load(here);
    else await load(answer.position);
    update(answer);
  });
}

function update({ photo, summary }) {
  page.summary = summary;
  const index = photo ? page.photos.findIndex((other) => other.number === photo.number) : -1;
  if (index >= 0) {
    const before = page.photos[index];
    const change = Number(Boolean(photo.mark)) - Number(Boolean(before.mark));
    page.done += change;
    page.suspects_done += photo.suspect ? change : 0;
    page.photos[index] = { ...photo, group: before.group };
    $("grid").children[index].replaceWith(makeThumbnail(page.photos[index], index));
  }
  drawFocus();
  drawCounts();
}

function describeMark(photo) {
  if (photo.mark === "remove") return "removed";
  if (photo.mark === "relabel") return `${photo.first_pose} → ${photo.pose}`;
  return photo.mark === "keep" ? "kept" : "";
}

const classOfMark = (photo) => ({ remove: "removed", relabel: "moved", keep: "kept" })[photo.mark] ?? "";

function suggestionFor(photo) {
  const other = photo?.guesses.find(([pose]) => pose !== photo.pose);
  return other ? { pose: other[0], share: other[1] } : null;
}

function pick() {
  if (!photoAt(here)) return;
  $("search").value = "";
  drawFound();
  $("picker").showModal();
}

function choose(pose) {
  $("picker").close();
  if (pose) mark("relabel", pose);
}

// --- drawing ---

function say(words) {
  $("said").textContent = words;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => { $("said").textContent = ""; }, 4000);
}

function make(tag, words = "", name = "") {
  const element = document.createElement(tag);
  element.textContent = words;
  if (name) element.className = name;
  return element;
}

function makeKey(name) { // for the eye; a screen reader says the button's name alone
  const key = make("kbd", name);
  key.setAttribute("aria-hidden", "true");
  return key;
}

function drawViews() {
  $("views").replaceChildren(...Object.entries(VIEW_NAMES).map(([view, words]) => {
    const button = make("button", `${words} `);
    const count = view === "likely" ? session.suspects : session.views[view];
    button.append(make("span", count ?? "…", "count"));
    button.setAttribute("aria-pressed", String(view === filter.view));
    button.addEventListener("click", () => select({ view }));
    return button;
  }));
}

function drawCounts() {
  const { summary } = page;
  session.views.removed = summary.removed;
  session.views.marked = (summary.keep ?? 0) + (summary.remove ?? 0) + (summary.relabel ?? 0);
  drawViews();
  $("undo").disabled = !summary.undo;
  const likely = filter.view === "likely";
  const [done, total] = likely ? [page.suspects_done, page.suspects] : [page.done, page.total];
  const words = `${done} of ${total} ${likely ? `${VIEW_NAMES.likely} ones` : ""} done`;
  $("progress").textContent = `${words}, ${total - done} left · ${summary.keep ?? 0} kept, ${summary.relabel ?? 0} relabelled, ${summary.remove ?? 0} removed`;
  const last = page.first + page.photos.length;
  $("where").textContent = page.total ? `${page.first + 1}–${last} of ${page.total}` : "0 of 0";
  $("previous").disabled = page.first === 0;
  $("next").disabled = last >= page.total;
  show("empty", page.total ? "" : filter.pose || filter.split ? "No photo fits these filters." : NOTHING[filter.view]);
}

function makeThumbnail(photo, index) {
  const position = page.first + index;
  const button = make("button");
  const groups = GROUPED.includes(filter.view);
  const isFirst = groups && page.photos[index - 1]?.group !== photo.group;
  button.className = [classOfMark(photo), photo.mark && "done", !photo.mark && photo.suspect && "suspect", isFirst && "first", position === here && "here"].filter(Boolean).join(" ");
  const picture = new Image();
  picture.loading = "lazy";
  picture.alt = "";
  picture.src = `thumbnail/${photo.number}`;
  const seen = (filter.view === "people" && photo.people) || photo.pose;
  const words = photo.mark === "relabel" ? `→ ${photo.pose}` : describeMark(photo) || seen;
  button.append(picture, make("span", words));
  button.setAttribute("aria-label", `${photo.pose}, ${describeMark(photo) || "no mark"}, photo ${position + 1}`);
  button.title = photo.path;
  button.addEventListener("click", () => enqueue(() => goTo(position)));
  return button;
}

function drawGrid() {
  $("groups").hidden = !page.total || !GROUPED.includes(filter.view);
  $("grid").replaceChildren(...page.photos.map(makeThumbnail));
  drawCounts();
}

function focusOn(position) {
  $("grid").children[here - page.first]?.classList.remove("here");
  here = position;
  const button = $("grid").children[here - page.first];
  if (button) {
    button.classList.add("here");
    if (matchMedia("(min-width: 801px)").matches) button.scrollIntoView({ block: "nearest" });
  }
  drawFocus();
  for (const next of [here + 1, here + 2]) {
    if (photoAt(next)) new Image().src = `picture/${photoAt(next).number}`;
  }
}

function drawFocus() {
  const photo = photoAt(here);
  $("focus").hidden = !photo;
  if (!photo) return;
  const source = `picture/${photo.number}`;
  if ($("picture").getAttribute("src") !== source) {
    show("unreadable", "");
    $("picture").src = source;
  }
  $("picture").alt = `photo labelled ${photo.pose}`;
  $("people").textContent = photo.people;
  drawBoxes();
  $("path").textContent = photo.path;
  $("label").textContent = photo.pose;
  $("label-probability").textContent = photo.probability === null ? "not seen by this run" : `the network gives it ${percent(photo.probability)}`;
  $("guesses").replaceChildren(...photo.guesses.map(([pose, share]) => {
    const row = make("li", "", pose === photo.pose ? "" : "other");
    const bar = make("progress");
    bar.max = 1;
    bar.value = share;
    bar.setAttribute("aria-label", pose);
    row.append(make("span", pose, "name"), bar, make("span", percent(share)));
    return row;
  }));
  $("split-of").textContent = photo.split === "new" ? "newer than the run" : `${photo.split} photo`;
  $("split-of").className = `badge ${photo.split}`;
  $("split-of").title = photo.split === "test" ? "Cleaning test photos changes what the next run is measured with." : "";
  const by = photo.mark && photo.by.startsWith("auto") ? ", by --auto" : "";
  $("state").textContent = describeMark(photo) + by;
  $("state").className = `badge ${classOfMark(photo)}`;
  $("keep-words").textContent = photo.removed ? `put back: ${photo.pose}` : `keep: ${photo.pose}`;
  $("remove").disabled = photo.removed;
  const suggestion = suggestionFor(photo);
  $("suggest").disabled = !suggestion;
  $("suggest-words").textContent = suggestion ? `it is ${suggestion.pose}` : "no suggestion";
  for (const button of $("poses").children) button.setAttribute("aria-pressed", String(button.value === photo.pose));
}

function drawBoxes() { // around the people; in the picture's own pixels, which the drawing scales as the picture is scaled
  const { naturalWidth: width, naturalHeight: height } = $("picture");
  const boxes = (photoAt(here)?.boxes ?? []).map(([left, top, right, bottom]) => {
    const box = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    const numbers = { x: left * width, y: top * height, width: (right - left) * width, height: (bottom - top) * height };
    for (const [name, value] of Object.entries(numbers)) box.setAttribute(name, value);
    return box;
  });
  $("boxes").setAttribute("viewBox", `0 0 ${width || 1} ${height || 1}`);
  $("boxes").replaceChildren(...boxes);
}

function drawPoses() {
  $("poses").replaceChildren(...session.poses.map((pose, index) => {
    const button = make("button");
    button.value = pose;
    if (index < QUICK_KEYS.length) button.append(makeKey(QUICK_KEYS[index]), " ");
    button.append(pose);
    button.addEventListener("click", () => mark("relabel", pose));
    return button;
  }));
  const more = make("button", "search ");
  more.append(makeKey("R"));
  more.addEventListener("click", pick);
  $("poses").append(more);
  for (const [id, values] of [["pose", session.poses], ["split", session.splits]]) {
    const names = values.map((value) => new Option(value === "new" ? "newer than the run" : value, value));
    $(id).replaceChildren(new Option("all", ""), ...names);
    $(id).value = filter[id];
    filter[id] = $(id).value;
  }
}

function drawFound() {
  const words = $("search").value.trim().toLowerCase();
  const fitting = session.poses.filter((pose) => pose.toLowerCase().includes(words));
  $("found").replaceChildren(...fitting.map((pose) => {
    const button = make("button", pose);
    button.type = "button";
    button.addEventListener("click", () => choose(pose));
    return button;
  }));
}

// --- keys ---

function columns() {
  return getComputedStyle($("grid")).gridTemplateColumns.split(" ").length;
}

const KEYS = {
  k: () => mark("keep"), " ": () => mark("keep"), enter: () => mark("keep"),
  x: () => mark("remove"), delete: () => mark("remove"),
  s: () => enqueue(takeSuggestion),
  u: undo, r: pick, n: () => enqueue(goToOpen),
  arrowright: () => enqueue(() => goTo(here + 1)), arrowleft: () => enqueue(() => goTo(here - 1)),
  arrowdown: () => enqueue(() => goTo(Math.min(here + columns(), page.total - 1))),
  arrowup: () => enqueue(() => goTo(Math.max(here - columns(), 0))),
};

document.addEventListener("keydown", (event) => {
  const target = event.target;
  if (event.ctrlKey || event.metaKey || event.altKey || $("picker").open || target.matches("select, input")) return;
  const key = event.key.toLowerCase();
  if ((key === " " || key === "enter") && target.matches("button, summary, a")) return; // they press what has the focus
  const pose = session.poses[QUICK_KEYS.indexOf(key)];
  const action = key in KEYS ? KEYS[key] : pose && (() => mark("relabel", pose));
  if (!action) return;
  event.preventDefault();
  if (!event.repeat || key.startsWith("arrow")) action();
});

// A button that was clicked keeps the focus, and the next Space would press it again: only the keyboard's user wants that.
document.addEventListener("click", (event) => {
  if (event.detail && event.target.closest("button")) document.activeElement?.blur();
});

for (const [id, key] of [["keep", "k"], ["remove", "x"], ["suggest", "s"], ["undo", "u"], ["open", "n"]]) {
  $(id).addEventListener("click", () => KEYS[key]());
}
$("previous").addEventListener("click", () => enqueue(() => load(page.first - PER_PAGE)));
$("next").addEventListener("click", () => enqueue(() => load(page.first + PER_PAGE)));
$("pose").addEventListener("change", (event) => { event.target.blur(); select({ pose: event.target.value }); });
$("split").addEventListener("change", (event) => { event.target.blur(); select({ split: event.target.value }); });
$("search").addEventListener("input", drawFound);
$("search").addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  event.preventDefault();
  choose($("found").firstElementChild?.textContent);
});
$("picture").addEventListener("load", drawBoxes);
$("picture").addEventListener("error", () => show("unreadable", "This file can't be shown."));

async function start() {
  session = await ask("api/session?start=1");
  recall(session.start);
  document.title = `clean ${session.folder}`;
  if (!session.trusted) VIEW_NAMES.likely = "doubted";
  $("title").textContent = `${session.folder}, as ${session.run} sees it`;
  const gone = session.missing ? ` ${session.missing} photos of the run are no longer in the folder.` : "";
  const none = session.start === "likely" ? "" : ` No ${VIEW_NAMES.likely} label is left to check.`;
  show("note", (session.note + none + gone).trim());
  drawPoses();
  await select({});
  const counted = await ask("api/session?conflicts=1");
  session.views.conflicts = counted.views.conflicts;
  drawViews();
  const looked = await ask("api/session?people=1");
  session.views.people = looked.views.people;
  if (looked.people_note) NOTHING.people = looked.people_note;
  drawViews();
  if (filter.view === "people") drawCounts();
}

start().catch((error) => show("trouble", error.message));
