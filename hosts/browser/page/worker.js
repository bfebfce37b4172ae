// The thread that trains. Every message is answered between two slices of work.
import { Engine, Refusal, build } from "./engine.js";

/** Milliseconds of work between two looks at the messages. */
const SLICE = 40;
/** Points of a picture along each side. */
const SIDE = 72;
const SAMPLES = 400;

let compiled;
let engine;
/** What the page calls this fit. */
let fit;
let view;
let running = false;
let pictureOf = -1;
let pictureDue = 0;
let steps = 1;

const fresh = async () => new Engine(await WebAssembly.instantiate(await compiled));

const actions = {
  async toy({ number, count, seed }) {
    const any = await fresh();
    post({ type: "toy", points: any.toy(number, count, seed) });
  },
  async start({ fit: number, method, points, names, seed, corners }) {
    running = false;
    fit = number;
    const next = await fresh();
    next.start(method, points, names, seed);
    engine = next;
    view = corners;
    pictureOf = -1;
    steps = 1;
    report("running");
    actions.continue();
  },
  pause() {
    if (running) {
      running = false;
      report("paused");
    }
  },
  continue() {
    if (!running && engine) {
      running = true;
      work();
    }
  },
  forget() {
    running = false;
    engine = undefined;
  },
  model: () => post({ type: "model", bytes: engine.model() }),
  heldOut: () => post({ type: "heldOut", points: engine.heldOut() }),
  ping: () => post({ type: "pong" }),
};

self.onmessage = async ({ data }) => {
  try {
    await actions[data.type](data);
  } catch (error) {
    fail(error);
  }
};

function fail(error) {
  running = false;
  if (error instanceof Refusal) post({ type: "refusal", fit, reason: error.message });
  // Outside of any promise it is an error of the worker, which the page hears of.
  else setTimeout(() => {
    throw error;
  });
}

const post = (message) => self.postMessage(message);

/** A turn of the event loop, in which messages are heard. */
const turn = new MessageChannel();
turn.port1.onmessage = () => work();

function work() {
  if (!running) return;
  try {
    const start = performance.now();
    const more = engine.train(steps);
    const taken = performance.now() - start;
    // As many steps as a slice holds; never many more than last time.
    steps = Math.max(1, Math.min(4 * steps, Math.round((steps * SLICE) / Math.max(taken, 0.1))));
    if (!more) running = false;
    report(more ? "running" : "ended");
  } catch (error) {
    fail(error);
  }
  if (running) turn.port2.postMessage(null);
}

/** Figures every time, and a picture where the model is a new one and the last picture was cheap enough. */
function report(state) {
  const figures = engine.figures();
  const message = { type: "progress", fit, state, figures };
  const now = performance.now();
  const due = state !== "running" || now >= pictureDue;
  if (figures.bestEpoch !== pictureOf && due) {
    message.density = engine.density(grid(view));
    message.side = SIDE;
    message.samples = engine.sample(SAMPLES);
    pictureOf = figures.bestEpoch;
    const took = performance.now() - now;
    pictureDue = performance.now() + Math.max(100, 2 * took);
  }
  post(message);
}

/** The centres of SIDE × SIDE cells, row by row from the top. */
function grid([left, bottom, right, top]) {
  const points = new Float64Array(2 * SIDE * SIDE);
  for (let r = 0, at = 0; r < SIDE; r++) {
    for (let c = 0; c < SIDE; c++) {
      points[at++] = left + ((c + 0.5) / SIDE) * (right - left);
      points[at++] = top - ((r + 0.5) / SIDE) * (top - bottom);
    }
  }
  return points;
}

async function compile() {
  const response = await fetch(new URL(build(), import.meta.url));
  if (!response.ok) throw new Error(`${response.url} is missing: build it first`);
  return WebAssembly.compile(await response.arrayBuffer());
}

compiled = compile();
fresh()
  .then((any) => post({ type: "ready", limits: any.limits(), build: build() }))
  .catch(fail);
