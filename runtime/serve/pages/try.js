// A photo or the browser's own camera, answered by the model; the next frame goes when the last one is answered.

const SIDE = 640; // of a camera's frame; the network sees less
const EVERY_MS = 100;
const RESTING = "none";
const $ = (id) => document.getElementById(id);
const percent = (share) => (share > 0 && share < 0.005 ? "< 1%" : share >= 0.995 && share < 1 ? "> 99%" : `${Math.round(share * 100)}%`);

let model = { poses: {}, most_bytes: Infinity };
let stream = null;
let asked = 0; // an answer that comes after a newer question is not shown

class Busy extends Error {}

async function ask(path, body) {
  let answer;
  try {
    const options = body && { method: "POST", body, headers: { "Content-Type": "application/octet-stream" } };
    answer = await fetch(path, options);
  } catch {
    throw new Error("There is no connection to yoga-live; is it still running?");
  }
  const content = await answer.json().catch(() => ({})); // a server without a free place says 503 and no more
  if (answer.status === 503) throw new Busy(content.error ?? "Too many are here at this moment; try again.");
  if (!answer.ok) throw new Error(content.error ?? `yoga-live answers ${answer.status}; try again.`);
  return content;
}

function say(words) {
  $("trouble").textContent = words;
  $("trouble").hidden = !words;
  if (words) $("answer").classList.add("empty");
}

function drawAnswer(answer) {
  say("");
  $("answer").classList.remove("empty");
  const isPose = answer.pose !== RESTING;
  $("pose").textContent = isPose ? nameOf(answer.pose) : "no pose";
  $("pose").classList.toggle("resting", !isPose);
  $("second").textContent = isPose ? model.poses[answer.pose]?.sanskrit ?? "" : "resting, moving, or a pose that the model does not know";
  const bars = $("bars");
  while (bars.children.length < answer.probabilities.length) {
    const row = document.createElement("li");
    row.append(document.createElement("span"), document.createElement("div"), document.createElement("span"));
    row.children[1].append(document.createElement("div"));
    bars.append(row);
  }
  answer.probabilities.forEach(([pose, share], index) => {
    const [name, bar, words] = bars.children[index].children;
    bars.children[index].classList.toggle("chosen", pose === answer.pose);
    name.textContent = nameOf(pose);
    bar.firstElementChild.style.width = `${100 * share}%`;
    words.textContent = percent(share);
  });
}

const nameOf = (pose) => (pose === RESTING ? "no pose" : model.poses[pose]?.name ?? pose);

// --- photos ---

async function tryPhoto(file) {
  if (!file) return;
  stopCamera();
  const mine = ++asked;
  showPhoto(file);
  if (file.size > model.most_bytes) {
    say(`The photo has ${Math.round(file.size / 1e6)} MB, more than ${Math.round(model.most_bytes / 1e6)}; make it smaller.`);
    return;
  }
  $("frame").classList.add("busy");
  try {
    const answer = await ask("api/classify", file);
    if (mine === asked) drawAnswer(answer);
  } catch (error) {
    if (mine === asked) say(error.message);
  } finally {
    if (mine === asked) $("frame").classList.remove("busy");
  }
}

function invite(words) {
  $("invitation").textContent = words;
  $("invitation").hidden = !words;
}

function showPhoto(file) {
  URL.revokeObjectURL($("photo").src);
  $("photo").src = URL.createObjectURL(file);
  $("photo").hidden = false;
  invite("");
}

$("photo").addEventListener("error", () => { // a kind that the model's machine may still read, such as TIFF
  $("photo").hidden = true;
  invite("This browser can't show the file.");
});
$("file").addEventListener("change", (event) => { tryPhoto(event.target.files[0]); event.target.value = ""; });
addEventListener("paste", (event) => tryPhoto(event.clipboardData.files[0]));
for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
  addEventListener(name, (event) => {
    event.preventDefault();
    document.body.classList.toggle("dropping", name === "dragenter" || name === "dragover");
    if (name !== "drop") return;
    if (event.dataTransfer.files.length) tryPhoto(event.dataTransfer.files[0]);
    else say("That was no file; save the picture first, then drop it.");
  });
}

// --- the browser's own camera ---

const REFUSALS = {
  NotAllowedError: "The camera was not allowed; allow it beside the browser's address bar, then press the button again.",
  NotFoundError: "This device has no camera that the browser can find.",
  NotReadableError: "The camera can't be opened; is another program using it?",
};

$("camera").addEventListener("click", async () => {
  if (stream) {
    stopCamera();
    return;
  }
  if (!navigator.mediaDevices?.getUserMedia) {
    say(isSecureContext
      ? "This browser gives no page a camera."
      : `Browsers give a page the camera only over HTTPS or on the machine itself, and this one came over plain HTTP from ${location.host}. Photos can be tried here all the same.`);
    return;
  }
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user", width: { ideal: 1280 } } });
  } catch (error) {
    say(REFUSALS[error.name] ?? `The camera can't be had: ${error.message}`);
    return;
  }
  stream.getVideoTracks()[0].addEventListener("ended", () => { stopCamera(); say("The camera was taken away."); });
  $("camera").textContent = "stop the camera";
  $("photo").hidden = true;
  invite("");
  $("video").hidden = false;
  $("video").srcObject = stream;
  await $("video").play();
  followCamera(stream);
});

function stopCamera() {
  if (!stream) return;
  stream.getTracks().forEach((track) => track.stop());
  stream = $("video").srcObject = null;
  $("video").hidden = true;
  invite("Drop a photo of one person here.");
  $("camera").textContent = "use this camera";
}

async function followCamera(mine) {
  const canvas = document.createElement("canvas");
  while (stream === mine) {
    const startedAt = performance.now();
    const number = ++asked;
    try {
      const frame = document.hidden ? null : await takeFrame(canvas);
      const answer = frame && await ask("api/classify", frame);
      if (answer && number === asked && stream === mine) drawAnswer(answer);
    } catch (error) {
      if (stream === mine && !(error instanceof Busy)) say(error.message);
      await pause(1000);
    }
    await pause(Math.max(0, EVERY_MS - (performance.now() - startedAt)));
  }
}

function takeFrame(canvas) {
  const video = $("video");
  const scale = Math.min(1, SIDE / Math.max(video.videoWidth, video.videoHeight));
  [canvas.width, canvas.height] = [Math.round(video.videoWidth * scale), Math.round(video.videoHeight * scale)];
  canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => { canvas.toBlob(done, "image/jpeg", 0.85); });
}

const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });

addEventListener("pagehide", stopCamera);
ask("api/model").then((answer) => {
  model = answer;
  $("threshold").textContent = `A pose is named from a probability of ${percent(model.threshold)} on; below that the answer is “no pose”.`;
}, (error) => say(error.message));
