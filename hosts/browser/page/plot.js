// Pictures on canvases, in the colours of the page.

const dark = matchMedia("(prefers-color-scheme: dark)");

/** Calls when the colours change. */
export const onColours = (call) => dark.addEventListener("change", call);

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** From nothing to the densest, as light on dark or ink on paper. */
const RAMPS = {
  light: ["#f6f5f1", "#d8e6dd", "#a9d0c6", "#6fb0b0", "#3a8a98", "#1d6380", "#163d63", "#121f44"],
  dark: ["#10171b", "#12303a", "#12505a", "#17756f", "#38997c", "#76bb83", "#bcd98f", "#f8f3b0"],
};

const ramp = () => RAMPS[dark.matches ? "dark" : "light"].map((hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)));

/** The colour of t in [0, 1]. */
function shade(colours, t) {
  const at = Math.min(Math.max(t, 0), 1) * (colours.length - 1);
  const low = Math.min(Math.floor(at), colours.length - 2);
  return colours[low].map((from, i) => from + (at - low) * (colours[low + 1][i] - from));
}

/** The legend's strip. */
export function rampStrip(element) {
  element.style.background = `linear-gradient(to right, ${RAMPS[dark.matches ? "dark" : "light"].join(", ")})`;
}

/** A canvas as sharp as the screen, empty, with its size in CSS pixels. */
function clean(canvas) {
  const { width, height } = canvas.getBoundingClientRect();
  const ratio = devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  const ink = canvas.getContext("2d");
  ink.scale(ratio, ratio);
  return { ink, width, height };
}

/** Where a point lies on a canvas of this size. */
const placing = ([left, bottom, right, top], width, height) => (x, y) => [
  ((x - left) / (right - left)) * width,
  ((top - y) / (top - bottom)) * height,
];

function dots(ink, points, place, radius, style) {
  ink.fillStyle = style;
  ink.beginPath();
  for (let i = 0; i < points.length; i += 2) {
    const [x, y] = place(points[i], points[i + 1]);
    ink.moveTo(x + radius, y);
    ink.arc(x, y, radius, 0, 7);
  }
  ink.fill();
}

/** The points, and the brush where there is one. */
export function drawPoints(canvas, corners, points, brush) {
  const { ink, width, height } = clean(canvas);
  const place = placing(corners, width, height);
  const many = points.length / 2;
  ink.globalAlpha = many > 4000 ? 0.35 : many > 800 ? 0.6 : 0.85;
  dots(ink, points, place, many > 800 ? 1.3 : 2, colour("accent"));
  ink.globalAlpha = 1;
  if (brush) {
    const [x, y] = place(...brush);
    ink.strokeStyle = colour("ink");
    ink.lineWidth = 1.5;
    ink.beginPath();
    ink.arc(x, y, 10, 0, 7);
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      ink.moveTo(x + 5 * dx, y + 5 * dy);
      ink.lineTo(x + 15 * dx, y + 15 * dy);
    }
    ink.stroke();
  }
}

/** Log-densities of side × side cells as colours, and samples over them. */
export function drawDensity(canvas, corners, picture, samples) {
  const { ink, width, height } = clean(canvas);
  if (!picture) return;
  const { density, side } = picture;
  const colours = ramp();
  const highest = density.reduce((most, log) => (log > most ? log : most), -Infinity);
  const cells = new ImageData(side, side);
  density.forEach((log, i) => {
    // The root shows tails that the density itself would hide.
    const [r, g, b] = shade(colours, Math.exp(0.5 * (log - highest)));
    cells.data.set([r, g, b, 255], 4 * i);
  });
  const small = new OffscreenCanvas(side, side);
  small.getContext("2d").putImageData(cells, 0, 0);
  ink.imageSmoothingQuality = "high";
  ink.drawImage(small, 0, 0, width, height);
  if (samples) {
    const place = placing(corners, width, height);
    ink.globalAlpha = 0.75;
    dots(ink, samples, place, 1.8, dark.matches ? "#0b1114" : "#ffffff");
    dots(ink, samples, place, 1.1, dark.matches ? "#ffffff" : "#c2410c");
    ink.globalAlpha = 1;
  }
}

/** Round numbers between two, about so many. */
function ticks(low, high, about) {
  const raw = (high - low) / about;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((size) => size >= raw);
  const found = [];
  for (let k = Math.ceil(low / step); k * step <= high + 1e-9 * step; k++) found.push(k * step);
  return { found, digits: Math.max(0, -Math.floor(Math.log10(step))) };
}

/** The course of the log-likelihood with a band of one standard error, and what to compare it with. */
export function drawCourse(canvas, course, lines) {
  const { ink, width, height } = clean(canvas);
  const levels = lines.filter(({ value }) => Number.isFinite(value));
  if (course.length === 0) return;
  const last = course[course.length - 1];
  const seen = course.filter(({ steps }) => steps >= 0.02 * last.steps || course.length < 5);
  const heights = [...seen.flatMap(({ mean, error }) => [mean - error, mean + error]), ...levels.map(({ value }) => value)];
  let [low, high] = [Math.min(...heights), Math.max(...heights)];
  const margin = 0.08 * (high - low) || 1;
  [low, high] = [low - margin, high + margin];
  const box = { left: 44, right: width - 8, top: 6, bottom: height - 20 };
  const end = Math.max(last.steps, 1);
  const x = (steps) => box.left + (steps / end) * (box.right - box.left);
  const y = (value) => box.bottom - ((value - low) / (high - low)) * (box.bottom - box.top);
  ink.font = `11px ${getComputedStyle(document.body).fontFamily}`;
  ink.fillStyle = colour("soft");
  ink.strokeStyle = colour("line");
  ink.textAlign = "right";
  ink.textBaseline = "middle";
  const vertical = ticks(low, high, 4);
  for (const value of vertical.found) {
    ink.beginPath();
    ink.moveTo(box.left, y(value));
    ink.lineTo(box.right, y(value));
    ink.stroke();
    ink.fillText(value.toFixed(vertical.digits).replace("-", "−"), box.left - 6, y(value));
  }
  ink.textAlign = "center";
  ink.textBaseline = "alphabetic";
  for (const value of ticks(0, end, width / 110).found.slice(1)) {
    ink.textAlign = x(value) > box.right - 20 ? "right" : "center";
    ink.fillText(value.toLocaleString("en"), x(value), height - 5);
  }
  for (const { value, dash } of levels) {
    ink.strokeStyle = colour("soft");
    ink.setLineDash(dash);
    ink.beginPath();
    ink.moveTo(box.left, y(value));
    ink.lineTo(box.right, y(value));
    ink.stroke();
  }
  ink.setLineDash([]);
  ink.save();
  ink.beginPath();
  ink.rect(box.left, box.top, box.right - box.left, box.bottom - box.top);
  ink.clip();
  ink.fillStyle = colour("accent");
  ink.strokeStyle = colour("accent");
  ink.globalAlpha = 0.18;
  ink.beginPath();
  course.forEach(({ steps, mean, error }) => ink.lineTo(x(steps), y(mean + error)));
  [...course].reverse().forEach(({ steps, mean, error }) => ink.lineTo(x(steps), y(mean - error)));
  ink.fill();
  ink.globalAlpha = 1;
  ink.lineWidth = 2;
  ink.beginPath();
  course.forEach(({ steps, mean }) => ink.lineTo(x(steps), y(mean)));
  ink.stroke();
  ink.restore();
}
