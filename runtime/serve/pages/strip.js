// The class from left to right, a colour a pose, ticks in whole seconds or minutes; and words for times.

const TICKS_S = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];
const LEAST_S = 60; // so that the first seconds don't fill it

export function clock(seconds) { // 5 -> 0:05, 65 -> 1:05, 3665 -> 1:01:05
  const whole = Math.max(0, Math.floor(seconds + 1e-6));
  const two = (number) => String(number).padStart(2, "0");
  const minutes = Math.floor(whole / 60) % 60;
  const hours = Math.floor(whole / 3600);
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

export function hold(seconds) { // how long a pose was held, once that is over: 4.56 -> 4.5 s, 65 -> 1:05
  const tenths = Math.max(0, Math.floor(seconds * 10 + 1e-6));
  return tenths < 600 ? `${(tenths / 10).toFixed(1)} s` : clock(seconds);
}

export function drawStrip(canvas, segments, startS, endS) { // segments: [start_s, end_s, colour]
  const scale = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (!width || !height) return;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const style = getComputedStyle(canvas);
  const pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  const words = 18;
  const high = height - words;
  const perSecond = width / Math.max(endS - startS, LEAST_S);
  const at = (timeS) => (timeS - startS) * perSecond;
  pen.save();
  pen.beginPath();
  pen.roundRect(0, 0, width, high, 6);
  pen.clip();
  pen.fillStyle = style.getPropertyValue("--rest");
  pen.fillRect(0, 0, width, high);
  pen.fillStyle = style.getPropertyValue("--gap");
  pen.fillRect(at(endS), 0, width, high);
  for (const [fromS, toS, colour] of segments) {
    pen.fillStyle = colour;
    pen.fillRect(at(fromS), 0, Math.max(1.5, at(toS) - at(fromS)), high);
  }
  pen.restore();
  pen.fillStyle = style.color;
  pen.font = `12px ${style.fontFamily}`;
  pen.textBaseline = "bottom";
  const step = TICKS_S.find((tick) => tick * perSecond >= 64) ?? Math.ceil(64 / perSecond / 3600) * 3600;
  pen.textAlign = "center";
  for (let tick = step * Math.ceil((startS + 1) / step); at(tick) < width - 16; tick += step) {
    pen.fillRect(at(tick), high, 1, 4);
    pen.fillText(clock(tick), at(tick), height);
  }
}
