// Training in a module beside the same code on this machine, by turns and in one run. Takes the page's
// folder and the program `native`.
import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { Engine } from "../page/engine.js";

const [page, native] = [process.env.PAGE, process.env.NATIVE];
const [COUNT, SEED, ROUNDS] = [2000, 7, 9];
const METHODS = [[1, "residual flow, explicit (the page's default)"], [2, "residual flow, roulette"], [0, "relative gradient"]];
const BUILDS = ["detfree.simd.wasm", "detfree.wasm"];

async function steps(name, method) {
  const { instance } = await WebAssembly.instantiate(await readFile(`${page}/${name}`));
  const engine = new Engine(instance);
  engine.start(method, engine.toy(0, COUNT, SEED), ["x", "y"], SEED);
  engine.train(20);
  const start = performance.now();
  for (let taken = 5; ; taken += 5) {
    engine.train(5);
    const time = performance.now() - start;
    if (time > 400) return (taken / time) * 1000;
  }
}

const median = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1];

console.log("steps a second, the median of nine runs by turns");
for (const [method, name] of METHODS) {
  const runs = { native: [], "detfree.simd.wasm": [], "detfree.wasm": [] };
  for (let round = 0; round < ROUNDS; round++) {
    runs.native.push(Number(execFileSync(native, ["speed", String(method)])));
    for (const build of BUILDS) runs[build].push(await steps(build, method));
  }
  const whole = median(runs.native);
  console.log(`${name}: native ${whole.toFixed(0)}`);
  for (const build of BUILDS) {
    const share = median(runs[build].map((found, i) => found / runs.native[i]));
    console.log(`  ${build}: ${median(runs[build]).toFixed(0)}, ${(100 * share).toFixed(0)}%`);
  }
}
