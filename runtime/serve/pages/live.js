// The page holds what it was told, so that it can still be read when the stream has stopped.

import { clock, drawStrip, hold } from "./strip.js";

const SILENCE_MS = 5000; // the server says something every second
const TRY_AGAIN_MS = 2000;
const PICTURE_MS = 12000;
const MOST_ROWS = 60;
const RESTING = "none";
const $ = (id) => document.getElementById(id);

let begun = { run: "", poses: {}, colours: [], goals_s: {} };
let now = null; // the newest state
let colours = new Map();
let past = []; // finished segments: [start_s, end_s, pose]
let events = null;
let heardAt = performance.now();
let pictureNumber = -1;

// --- what is said when something is missing: small above, or large in the pose's place, and what to know of it ---

const WORDS = {
  connecting: ["connecting", "", ""],
  waiting: ["", "waiting", "The source is being opened."],
  watching: ["live", "", ""],
  silent: ["", "no picture", "It goes on by itself when the source gives pictures again."],
  ended: ["finished", "", ""],
  closed: ["", "stopped", "yoga-live was stopped. This page goes on by itself when it runs again."],
  lost: ["", "no connection", "The stream has stopped. This page goes on by itself when yoga-live can be reached."],
  full: ["", "full", ""],
};
let state = "connecting";

function setState(next, more) {
  const hasEnded = next === "ended" || (document.body.classList.contains("ended") && ["closed", "lost"].includes(next));
  state = next;
  document.body.dataset.state = next;
  document.body.classList.toggle("ended", hasEnded); // who stops yoga-live after the class has read what was held
  const [short, large, notice] = WORDS[next];
  $("state").textContent = short;
  show("notice", more ?? notice);
  if (hasEnded) sayWhole();
  else if (large) sayNow(large, "", "", null, "");
}

function show(id, words) {
  if ($(id).textContent !== words) $(id).textContent = words;
  $(id).hidden = !words;
}

// --- now ---

const nameOf = (pose) => begun.poses[pose]?.name ?? pose;

function drawPeople() { // each of several people, who stand in the picture by these numbers
  const held = now.people.filter((person) => person.pose !== RESTING);
  document.body.classList.toggle("resting", !held.length);
  document.body.classList.toggle("reached", held.length > 0 && held.every((person) => person.hold_s >= (begun.goals_s[person.pose] ?? Infinity)));
  const lines = held.map((person) => `${person.person} ${[nameOf(person.pose), person.side].filter(Boolean).join(" ")} ${readClock(person.hold_s, begun.goals_s[person.pose])}`);
  const count = now.people.length;
  sayNow(count === 1 ? "1 person" : count ? `${count} people` : "nobody", lines.join(", ") || "no pose", "", null, "");
}

function drawNow() {
  const reached = now.hold_s >= (begun.goals_s[now.pose] ?? Infinity);
  document.body.classList.toggle("resting", now.pose === RESTING || !now.leads); // before the words are fitted: it changes their weight
  document.body.classList.toggle("reached", reached);
  if (now.pose === RESTING) {
    const last = past.findLast(isHeld);
    sayNow("no pose", last ? `after ${nameOf(last[2])}, ${hold(last[1] - last[0])}` : "", "", null, "");
  } else {
    const goalS = begun.goals_s[now.pose];
    const sure = now.note || (now.leads ? `${Math.round(now.confidence * 100)}% sure` : ""); // only kept for a moment: nothing speaks for it
    const share = goalS ? Math.min(1, now.hold_s / goalS) : now.leads ? now.confidence : null;
    const goal = goalS ? `goal ${clock(goalS)}` : "";
    sayNow([nameOf(now.pose), now.side].filter(Boolean).join(" "), begun.poses[now.pose]?.sanskrit ?? "", readClock(now.hold_s, goalS), share,
      [goal, sure].filter(Boolean).join(", "));
  }
}

function readClock(holdS, goalS) { // as the overlay has it
  if (!goalS) return clock(holdS);
  return holdS < goalS ? `−${clock(Math.ceil(goalS - holdS))}` : `✓ ${clock(holdS)}`;
}

function sayNow(large, second, time, share, sure) {
  const changed = $("pose").textContent !== large || $("clock").textContent.length !== time.length;
  for (const [id, words] of [["pose", large], ["second", second], ["clock", time], ["sure", sure]]) {
    if ($(id).textContent !== words) $(id).textContent = words;
  }
  $("fill").parentElement.hidden = share === null;
  $("fill").style.width = `${100 * (share ?? 0)}%`;
  if (changed) fitWords();
}

function fitWords() { // as large as the page allows, in one line; long names in two
  for (const id of ["pose", "clock"]) {
    const element = $(id);
    element.style.fontSize = "";
    element.style.whiteSpace = "nowrap";
    const share = element.clientWidth / Math.max(1, element.scrollWidth);
    if (share >= 1) continue;
    const size = parseFloat(getComputedStyle(element).fontSize);
    element.style.fontSize = `${size * Math.max(share, 0.5) * 0.99}px`;
    if (share < 0.5) element.style.whiteSpace = "normal";
  }
}

// --- the class so far ---

function listSegments() { // the running one included
  return [...past, [Math.max(0, now.time_s - now.hold_s), now.time_s, now.pose]];
}

const isOver = () => document.body.classList.contains("ended");
const isHeld = (segment) => segment[2] !== RESTING;

function sayWhole() { // as the summary picture has it
  const segments = listSegments();
  const heldS = segments.filter(isHeld).reduce((sum, [startS, endS]) => sum + endS - startS, 0);
  sayNow("", `${clock(now.time_s - segments[0][0])}, in poses ${clock(heldS)}`, "", null, "");
}

function drawPast() {
  const segments = listSegments();
  const held = segments.filter(isHeld);
  drawStrip($("strip"), held.map(([startS, endS, pose]) => [startS, endS, colourOf(pose)]), segments[0][0], now.time_s);
  const totals = addUp(held);
  show("nothing", held.length ? "" : state === "ended" ? "No pose was held." : "No pose has been held yet.");
  $("sums").hidden = totals.length === held.length; // each was held once: the list of the holds says it all
  fillRows($("totals"), totals.map(describeTotal));
  fillRows($("list"), held.slice(-MOST_ROWS).reverse().map(describeSegment));
}

function colourOf(pose) { // in the order in which poses first came
  if (!colours.has(pose)) colours.set(pose, begun.colours[colours.size % begun.colours.length]);
  return colours.get(pose);
}

function addUp(held) { // [pose, holds, total, longest hold], the greatest total first
  const totals = new Map();
  for (const [startS, endS, pose] of held) {
    const [holds, totalS, bestS] = totals.get(pose) ?? [0, 0, 0];
    totals.set(pose, [holds + 1, totalS + endS - startS, Math.max(bestS, endS - startS)]);
  }
  return [...totals].map(([pose, sums]) => [pose, ...sums]).sort((one, other) => other[2] - one[2]);
}

function describeTotal([pose, holds, totalS, bestS]) { // what goes on counts whole seconds
  const long = isOver() || pose !== now.pose ? hold : clock;
  return [pose, nameOf(pose), long(totalS), holds === 1 ? "once" : `${holds} times, longest ${long(bestS)}`];
}

function describeSegment([startS, endS, pose]) {
  const long = isOver() || endS !== now.time_s ? hold : clock;
  return [pose, nameOf(pose), long(endS - startS), `at ${clock(startS)}`];
}

function fillRows(parent, rows) { // what stands there already is kept: no flicker, no lost selection
  while (parent.children.length > rows.length) parent.lastElementChild.remove();
  while (parent.children.length < rows.length) {
    const made = document.createElement("li");
    for (const kind of ["colour", "name", "time", "more"]) made.appendChild(document.createElement("span")).className = kind;
    parent.append(made);
  }
  rows.forEach(([pose, ...words], index) => {
    const [mark, ...cells] = parent.children[index].children;
    mark.style.setProperty("--colour", colourOf(pose));
    words.forEach((word, at) => { if (cells[at].textContent !== word) cells[at].textContent = word; });
  });
}

// --- the stream ---

function connect() {
  events?.close();
  heardAt = performance.now();
  events = new EventSource("events");
  events.addEventListener("begin", (event) => {
    const introduction = JSON.parse(event.data);
    if (introduction.run !== begun.run) pictureNumber = -1; // another run of the program
    begun = introduction;
    past = [];
    colours = new Map();
  });
  events.addEventListener("state", (event) => take(JSON.parse(event.data)));
  events.addEventListener("full", (event) => {
    events.close();
    setState("full", `${JSON.parse(event.data).most} screens are watching already; this one takes the next free place.`);
  });
  events.onerror = () => lose();
}

function take(news) {
  heardAt = performance.now();
  past.length = news.past_from;
  past.push(...news.past);
  now = news;
  $("source").textContent = news.source;
  const silence = news.state === "silent" ? `No picture for ${Math.round(news.silent_s)} s. ${WORDS.silent[2]}` : undefined;
  if (news.state !== state || silence) setState(news.state, silence);
  if (news.state === "watching") (news.is_group ? drawPeople : drawNow)();
  $("past").hidden = news.is_group; // their timelines overlap
  if (news.state !== "waiting" && !news.is_group) drawPast();
}

function lose() {
  if (state !== "closed" && state !== "full") setState("lost");
}

setInterval(() => { // a lost connection is not always noticed by the browser, and after a refusal it does not try again
  const silentMs = performance.now() - heardAt;
  if (silentMs > SILENCE_MS) lose();
  if (silentMs > SILENCE_MS || (events.readyState === EventSource.CLOSED && silentMs > TRY_AGAIN_MS)) connect();
}, 1000);

async function followPicture() { // the next one is asked for when this one is on the screen: a slow phone is never behind
  const canvas = $("picture");
  const pen = canvas.getContext("2d");
  for (;;) {
    if (document.hidden || !["watching", "silent", "waiting"].includes(state)) {
      if (state === "ended" && pictureNumber === -1) await takePicture(canvas, pen); // who comes late sees the last one
      await pause(300);
    } else if (!(await takePicture(canvas, pen))) {
      await pause(500);
    }
  }
}

async function takePicture(canvas, pen) {
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), PICTURE_MS);
  try {
    const answer = await fetch(`picture?after=${pictureNumber}`, { signal: patience.signal });
    if (answer.status !== 200) return answer.status === 204;
    const bitmap = await createImageBitmap(await answer.blob());
    pictureNumber = Number(answer.headers.get("X-Picture"));
    if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
      [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
      canvas.parentElement.style.setProperty("--ratio", bitmap.width / bitmap.height);
    }
    pen.drawImage(bitmap, 0, 0);
    bitmap.close();
    return true;
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}

const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });

// --- the screen ---

let wakeLock = null;
let wantsAwake = true;

async function stayAwake() {
  if (!wantsAwake || document.hidden || wakeLock || !navigator.wakeLock) return;
  try {
    wakeLock = await navigator.wakeLock.request("screen");
    wakeLock.addEventListener("release", () => { wakeLock = null; drawAwake(); });
  } catch { // a low battery: the button stays unpressed
    wakeLock = null;
  }
  drawAwake();
}

function drawAwake() {
  $("awake").setAttribute("aria-pressed", String(Boolean(wakeLock)));
}

$("awake").addEventListener("click", async () => {
  if (!navigator.wakeLock) {
    show("notice", "Browsers let a page keep the screen on only over HTTPS or on this machine itself: set the screen's time-out in the phone's settings.");
    return;
  }
  wantsAwake = !wakeLock;
  if (wakeLock) await wakeLock.release();
  else await stayAwake();
});

$("full").hidden = !document.fullscreenEnabled;
$("full").addEventListener("click", () => {
  if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen({ navigationUI: "hide" });
});
document.addEventListener("fullscreenchange", () => {
  $("full").textContent = document.fullscreenElement ? "leave full screen" : "full screen";
});
document.addEventListener("visibilitychange", stayAwake);
addEventListener("resize", () => { fitWords(); if (now) drawPast(); });

setState("connecting");
connect();
followPicture();
stayAwake();
