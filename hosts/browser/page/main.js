// The page: what the user chooses, what the worker says, and the pictures of both.
import { BadTable, MOST_BYTES, parse } from "./table.js";
import { drawCourse, drawDensity, drawPoints, onColours, rampStrip } from "./plot.js";
import { brushOn } from "./brush.js";
import { Thread } from "./thread.js";

const at = (id) => document.getElementById(id);
/** Where points are painted before there are any. */
const EMPTY = [-4, -4, 4, 4];
/** Points of the course that are kept; beyond it every other goes. */
const MOST_MOMENTS = 600;
/** Milliseconds between two sentences for those who listen. */
const PAUSE = 6000;

let limits = { least: 20, most: 20000, toys: [] };
/** What is to be fitted: x and y by turns, what it is called and how far it reaches. */
let points = [];
let names = ["x", "y"];
let corners = EMPTY;
let entropy = NaN;
let table;
/** idle, running, paused or ended */
let state = "idle";
let fitted = EMPTY;
let bound = NaN;
let picture;
let figures;
let course = [];
let rateFrom;
let spoken = -Infinity;
/** The number of the fit that is shown: what an earlier one still says is not heard. */
let fit = 0;

// Words

function problem(text, lost = false) {
  at("problem").hidden = !text;
  at("revive").hidden = !lost;
  at("problem").firstElementChild.textContent = text ?? "";
}

function say(text, always = false) {
  const now = performance.now();
  if (!always && now - spoken < PAUSE) return;
  spoken = now;
  at("status").textContent = text;
}

const decimal = (value, digits = 3) => value.toFixed(digits).replace("-", "−");
const count = (value) => {
  const [size, unit] = value >= 1e9 ? [1e9, " billion"] : value >= 1e6 ? [1e6, " million"] : [1, ""];
  return (value / size).toLocaleString("en", { maximumFractionDigits: size > 1 ? 1 : 0 }) + unit;
};

// The thread

const thread = new Thread(new URL("worker.js", import.meta.url), {
  ready(message) {
    limits = message.limits;
    at("count").min = limits.least;
    at("count").max = limits.most;
    if (at("toy").options.length === 0) {
      limits.toys.forEach(({ name }, i) => at("toy").add(new Option(name, i)));
      askToy();
    }
    document.documentElement.dataset.build = message.build;
    buttons();
  },
  toy(message) {
    use(message.points, ["x", "y"], limits.toys[at("toy").value].entropy, `${message.points.length / 2} points of ${at("toy").selectedOptions[0].text}`);
  },
  progress(message) {
    if (message.fit !== fit) return;
    ({ state, figures } = message);
    if (message.density) picture = message;
    remember();
    show();
  },
  refusal(message) {
    if (message.fit !== fit) return;
    problem(message.reason);
    if (state === "running") state = picture ? "ended" : "idle";
    buttons();
  },
  model: (message) => save("model.safetensors", message.bytes, "application/octet-stream"),
  heldOut(message) {
    const rows = [names.map((name) => `"${name.replaceAll('"', '""')}"`).join(",")];
    for (let i = 0; i < message.points.length; i += 2) rows.push(`${message.points[i]},${message.points[i + 1]}`);
    save("held-out.csv", `${rows.join("\n")}\n`, "text/csv");
  },
  lost() {
    state = "idle";
    problem("The thread that trains was lost, and its model with it. Your points are still here.", true);
    buttons();
  },
});

// Points

/** Makes points the ones to be fitted. */
function use(values, called, known = NaN, source = "") {
  points = Array.from(values);
  names = called;
  entropy = known;
  corners = reach(points);
  at("source").textContent = source;
  redraw();
  buttons();
}

/** A frame around points, a little wider than they. */
function reach(values) {
  if (values.length === 0) return EMPTY;
  const [low, high] = [[Infinity, Infinity], [-Infinity, -Infinity]];
  values.forEach((value, i) => {
    low[i % 2] = Math.min(low[i % 2], value);
    high[i % 2] = Math.max(high[i % 2], value);
  });
  const [dx, dy] = [0, 1].map((i) => 0.12 * (high[i] - low[i]) || 1);
  return [low[0] - dx, low[1] - dy, high[0] + dx, high[1] + dy];
}

function askToy() {
  const wanted = Number(at("count").value);
  if (!(wanted >= limits.least && wanted <= limits.most)) {
    problem(`Expected ${limits.least} to ${limits.most} points, and the field says “${at("count").value}”.`);
    return;
  }
  problem();
  forgetTable();
  thread.post({ type: "toy", number: Number(at("toy").value), count: Math.round(wanted), seed: seed() ?? 0 });
}

/** The seed, or nothing where the field holds none. */
function seed() {
  const value = Number(at("seed").value);
  return at("seed").value !== "" && Number.isInteger(value) && value >= 0 && value < 2 ** 32 ? value : undefined;
}

async function openFile(file) {
  try {
    if (file.size > MOST_BYTES) throw new BadTable(`The file has ${count(file.size)} bytes, and the page reads at most ${count(MOST_BYTES)}.`);
    table = { ...parse(await file.text()), file: file.name };
    const found = table.rows.length;
    if (found > limits.most) throw new BadTable(`The file has ${found} rows, and the page takes at most ${limits.most}: leave some out, or use the command.`);
    if (found < limits.least) throw new BadTable(`The file has ${found} rows, and a density wants at least ${limits.least}.`);
    for (const [id, chosen] of [["first", 0], ["second", 1]]) {
      at(id).replaceChildren(...table.names.map((name, i) => new Option(name, i, i === chosen, i === chosen)));
    }
    at("columns").hidden = table.names.length === 2;
    problem();
    useColumns();
  } catch (error) {
    if (!(error instanceof BadTable) && !(error instanceof DOMException)) throw error;
    problem(`${file.name}: ${error.message}`);
  }
}

function useColumns() {
  const chosen = ["first", "second"].map((id) => Number(at(id).value));
  if (chosen[0] === chosen[1]) {
    problem("Choose two different columns: one alone spreads along a line.");
    return;
  }
  problem();
  const values = table.rows.flatMap((row) => chosen.map((i) => row[i]));
  const whole = chosen.filter((i) => table.rows.every((row) => Number.isInteger(row[i]))).map((i) => `“${table.names[i]}”`);
  const warning = whole.length
    ? ` Only whole numbers in ${whole.join(" and ")}: their density can grow without bound; the command's --dequantize helps.`
    : "";
  use(values, chosen.map((i) => table.names[i]), NaN, `${table.rows.length} rows of ${table.file}.${warning}`);
}

function forgetTable() {
  table = undefined;
  at("columns").hidden = true;
  at("file").value = "";
}

// Painting

const strokes = [];
const brush = brushOn(at("data"), {
  corners: () => corners,
  moved: () => drawPoints(at("data"), corners, points, brush.at()),
  paint(added) {
    const room = 2 * limits.most - points.length;
    if (room < added.length) {
      problem(`The page takes at most ${limits.most} points: clear some first.`);
      return;
    }
    points.push(...added);
    strokes.push(added.length);
    entropy = NaN;
    if (!table) at("source").textContent = "Painted, at least in part.";
    say(`${points.length / 2} points.`);
    redraw();
    buttons();
  },
  undo() {
    const last = strokes.pop();
    if (last) points.splice(Math.max(0, points.length - last));
    say(`${points.length / 2} points.`, true);
    redraw();
    buttons();
  },
  moving: (x, y) => say(`Brush at ${decimal(x, 1)}, ${decimal(y, 1)}.`),
});

// Running

function go() {
  if (state === "running") return thread.post({ type: "pause" });
  if (state === "paused") return thread.post({ type: "continue" });
  const chosen = seed();
  if (chosen === undefined) return problem("The seed is a whole number from 0 to 4294967295.");
  if (points.length / 2 < limits.least) return problem(`There are ${points.length / 2} points, and a density wants at least ${limits.least}: paint some more.`);
  problem();
  forget();
  [fitted, bound] = [corners, -entropy];
  const method = at("relative").checked ? 0 : Number(at("estimator").value);
  thread.post({ type: "start", fit, method, points: Float64Array.from(points), names, seed: chosen, corners });
}

function reset() {
  thread.post({ type: "forget" });
  state = "idle";
  forget();
  problem();
  say("Reset. The points are still there.", true);
}

/** Everything that a fit has left. */
function forget() {
  fit += 1;
  [picture, figures, course, rateFrom] = [undefined, undefined, [], undefined];
  for (const id of ["held-out", "gain", "steps", "products"]) at(id).textContent = "–";
  at("state").textContent = "not started";
  at("rate").textContent = "vector–Jacobian";
  at("course").ariaLabel = "No course yet";
  at("density").ariaLabel = "Nothing has been learned yet";
  redraw();
  buttons();
}

function remember() {
  const { steps, heldOut: mean, standardError: error } = figures;
  if (course.length && course[course.length - 1].steps === steps) course.pop();
  course.push({ steps, mean, error });
  if (course.length > MOST_MOMENTS) course = course.filter((_, i) => i % 2 === 0 || i === course.length - 1);
}

function show() {
  const { steps, products, heldOut, standardError, gaussian, epochs, mostEpochs } = figures;
  at("held-out").textContent = `${decimal(heldOut)} ± ${decimal(standardError)}`;
  at("gain").textContent = Number.isNaN(gaussian) ? "none fits" : `${heldOut > gaussian ? "+" : ""}${decimal(heldOut - gaussian)}`;
  at("steps").textContent = count(steps);
  at("products").textContent = count(products);
  at("rate").textContent = steps > 0 ? `vector–Jacobian, ${count(products / steps)} a step` : "vector–Jacobian";
  at("state").textContent = { running: `epoch ${count(epochs + 1)} of ${count(mostEpochs)}`, paused: "paused", ended: "finished" }[state];
  const summary = `${count(steps)} steps, held-out log-likelihood ${decimal(heldOut)} plus or minus ${decimal(standardError)} nats.`;
  say(`${{ running: "Training", paused: "Paused", ended: "Finished" }[state]}: ${summary}`, state !== "running");
  at("density").ariaLabel = `The learned density as a heat map after ${summary}`;
  at("course").ariaLabel = `The held-out log-likelihood rose from ${decimal(course[0].mean)} to ${decimal(heldOut)} nats in ${count(steps)} steps.`;
  buttons();
  schedule();
}

function save(name, content, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function buttons() {
  at("go").textContent = { idle: "Start", running: "Pause", paused: "Continue", ended: "Start again" }[state];
  at("go").disabled = !thread.alive();
  at("reset").disabled = !figures;
  at("model").disabled = at("held-out-points").disabled = !figures || !thread.alive();
  at("points").textContent = `${count(points.length / 2)}`;
  at("estimators").hidden = at("relative").checked;
  at("key").textContent = figures ? ["dashes: a Gaussian", ...(Number.isFinite(bound) ? ["dots: the best possible"] : [])].join(", ") : "";
}

// Pictures

let scheduled = false;
function schedule() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    drawDensity(at("density"), fitted, picture, at("samples").checked ? picture?.samples : undefined);
    drawCourse(at("course"), course, figures ? [{ value: figures.gaussian, dash: [6, 4] }, { value: bound, dash: [1, 4] }] : []);
  });
}

function redraw() {
  drawPoints(at("data"), corners, points, brush.at());
  rampStrip(at("ramp"));
  schedule();
}

// Wires

at("toy").addEventListener("change", askToy);
at("count").addEventListener("change", askToy);
at("open").addEventListener("click", () => at("file").click());
at("file").addEventListener("change", () => at("file").files[0] && openFile(at("file").files[0]));
at("clear").addEventListener("click", () => {
  forgetTable();
  strokes.length = 0;
  use([], ["x", "y"], NaN, "Nothing yet: paint some.");
});
for (const id of ["first", "second"]) at(id).addEventListener("change", useColumns);
for (const id of ["relative", "residual"]) at(id).addEventListener("change", buttons);
at("go").addEventListener("click", go);
at("reset").addEventListener("click", reset);
at("revive").addEventListener("click", () => {
  problem();
  forget();
  thread.revive();
});
at("model").addEventListener("click", () => thread.post({ type: "model" }));
at("held-out-points").addEventListener("click", () => thread.post({ type: "heldOut" }));
at("samples").addEventListener("change", schedule);
at("controls").addEventListener("submit", (event) => event.preventDefault());
addEventListener("dragover", (event) => {
  event.preventDefault();
  at("drop").classList.add("over");
});
addEventListener("dragleave", () => at("drop").classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  at("drop").classList.remove("over");
  if (event.dataTransfer.files[0]) openFile(event.dataTransfer.files[0]);
});
addEventListener("resize", redraw);
onColours(redraw);
redraw();
