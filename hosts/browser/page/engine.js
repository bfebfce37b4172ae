// The module in WebAssembly as plain JavaScript: one engine is one fit.

/** The smallest module that has a vector instruction. */
const VECTORS = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
);

/** The names of the figures, in the order in which they come. */
const FIGURES = [
  "steps", "epochs", "bestEpoch", "products", "heldOut", "standardError", "gaussian",
  "train", "validation", "heldOutPoints", "layers", "mostEpochs",
];

/** Which of the two builds this host can run. */
export const build = () => (WebAssembly.validate(VECTORS) ? "detfree.simd.wasm" : "detfree.wasm");

/** What the module says of a call that failed, for the user. */
export class Refusal extends Error {}

export class Engine {
  #wasm;
  #module;

  /** @param {WebAssembly.Instance} instance of either build */
  constructor(instance) {
    this.#wasm = instance.exports;
    this.#module = this.#wasm.module();
  }

  /** Toy distributions with their entropies in nats (NaN where unknown), and how many points a fit takes. */
  limits() {
    this.#call("limits");
    const [least, most, ...entropies] = this.#numbers();
    const names = this.#text().split("\n");
    return { least, most, toys: names.map((name, i) => ({ name, entropy: entropies[i] })) };
  }

  /** Points of a toy distribution, x and y by turns. */
  toy(number, count, seed) {
    this.#call("toy_points", number, count, seed);
    return this.#numbers();
  }

  /** Begins a fit of points, x and y by turns. */
  start(method, points, names, seed) {
    this.#input(points);
    const text = new TextEncoder().encode(names.join("\n"));
    const at = this.#room("text_input", text.length);
    new Uint8Array(this.#wasm.memory.buffer, at, text.length).set(text);
    this.#call("start", method, seed);
  }

  /** Takes steps; whether there are more to be taken. */
  train(steps) {
    return this.#call("train", steps) === 1;
  }

  figures() {
    this.#call("figures");
    const numbers = this.#numbers();
    return Object.fromEntries(FIGURES.map((name, i) => [name, numbers[i]]));
  }

  /** log p at points. */
  density(points) {
    this.#input(points);
    this.#call("density");
    return this.#numbers();
  }

  /** Samples, x and y by turns. */
  sample(count) {
    this.#call("sample", count);
    return this.#numbers();
  }

  /** The points that nothing has seen, x and y by turns. */
  heldOut() {
    this.#call("held_out");
    return this.#numbers();
  }

  /** The bytes of the model file. */
  model() {
    this.#call("model");
    return this.#read(Uint8Array, "bytes");
  }

  #call(name, ...more) {
    const answer = this.#wasm[name](this.#module, ...more);
    if (answer === 0) throw new Refusal(this.#text());
    return answer;
  }

  #input(numbers) {
    const at = this.#room("input", numbers.length);
    new Float64Array(this.#wasm.memory.buffer, at, numbers.length).set(numbers);
  }

  #room(name, count) {
    const at = this.#wasm[name](this.#module, count);
    if (at === 0) throw new Refusal("That is more than the page takes at once.");
    return at;
  }

  #numbers() {
    return this.#read(Float64Array, "numbers");
  }

  #text() {
    return new TextDecoder().decode(this.#read(Uint8Array, "text"));
  }

  /** A copy: memory that grows leaves views of it empty. */
  #read(Type, name) {
    const at = this.#wasm[name](this.#module);
    const count = this.#wasm[`${name}_length`](this.#module);
    return new Type(this.#wasm.memory.buffer, at, count).slice();
  }
}
