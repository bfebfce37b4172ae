// The modules in node: the same bits as the native code, with vector instructions and without, and a
// sentence for whatever cannot be. Takes the page's folder and the program `native`.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { Engine, Refusal, build } from "../page/engine.js";
import { BadTable, parse } from "../page/table.js";

const [page, native] = [process.env.PAGE, process.env.NATIVE];
const [COUNT, SEED, LARGEST] = [2000, 7, 200_000];
const builds = ["detfree.wasm", "detfree.simd.wasm"];

const fresh = async (name) => {
  const { instance } = await WebAssembly.instantiate(await readFile(`${page}/${name}`));
  return new Engine(instance);
};
const hex = (numbers) => Buffer.from(numbers.buffer, numbers.byteOffset, numbers.byteLength).toString("hex");

test("node has vector instructions, so both builds are tested", () => assert.equal(build(), "detfree.simd.wasm"));

const golden = execFileSync(native, ["golden"], { maxBuffer: 1 << 26 }).toString().trim().split("\n");
for (const name of builds) {
  test(`${name} gives the bits of the native code`, async () => {
    const found = [];
    for (const method of [0, 1, 2]) {
      const engine = await fresh(name);
      engine.start(method, engine.toy(0, COUNT, SEED), ["x", "y"], SEED);
      engine.train(20);
      engine.train(23);
      const points = engine.toy(3, 300, SEED);
      found.push(
        `${method} figures ${hex(new Float64Array(Object.values(engine.figures())))}`,
        `${method} model ${hex(engine.model())}`,
        `${method} density ${hex(engine.density(points))}`,
        `${method} samples ${hex(engine.sample(100))}`,
      );
    }
    assert.deepEqual(found, golden);
    assert.ok(found.every((line) => line.length > 100));
  });

  test(`${name} imports nothing and is small`, async () => {
    const bytes = await readFile(`${page}/${name}`);
    assert.deepEqual(WebAssembly.Module.imports(new WebAssembly.Module(bytes)), []);
    assert.ok(bytes.length <= LARGEST, `${bytes.length} bytes, and ${LARGEST} are allowed`);
    assert.ok(!bytes.includes("/home/") && !bytes.includes("/root/"), "paths of the machine that built it");
  });

  test(`${name} refuses what is no density, and goes on`, async () => {
    const engine = await fresh(name);
    const start = (points, method = 1) => engine.start(method, points, ["x", "y"], 0);
    const line = Array.from({ length: 60 }, (_, i) => (i % 2 ? 3 : i));
    const changed = (value) => line.map((x, i) => (i === 9 ? value : x));
    const refusals = [
      [() => engine.train(1), /Nothing has been started/],
      [() => engine.density([0, 0]), /Nothing has been started/],
      [() => start([1, 2, 3, 4]), /2 points.*at least 20/],
      [() => start(new Float64Array(2 * 20_001)), /20001 points.*at most 20000/],
      [() => start(new Float64Array(400_000)), /more than the page takes/],
      [() => start(line), /one horizontal or vertical line/],
      [() => start(changed(NaN)), /Point 5 is not two finite numbers/],
      [() => start(changed(Infinity)), /Point 5 is not two finite numbers/],
      [() => start(line.map((x) => x * 1e300)), /horizontal or vertical line, or their numbers are too large/],
      [() => start(engine.toy(0, 100, 0), 9), /no such method/],
    ];
    for (const [call, message] of refusals) assert.throws(call, (error) => error instanceof Refusal && message.test(error.message));
    start(engine.toy(0, 100, 0));
    assert.equal(engine.train(3), true);
    assert.equal(engine.figures().steps, 3);
  });
}

test("training ends by itself, and says so", async () => {
  const engine = await fresh("detfree.simd.wasm");
  engine.start(0, engine.toy(1, 20, 0), ["x", "y"], 0);
  let calls = 0;
  while (engine.train(2000)) calls += 1;
  const { steps, epochs, mostEpochs } = engine.figures();
  assert.ok(calls > 0 && epochs === mostEpochs && steps >= epochs, `${calls} ${steps} ${epochs}`);
  assert.equal(engine.train(1), false);
});

test("the guide's lines are those of the files", async () => {
  const root = new URL("../../../", import.meta.url);
  const guide = await readFile(new URL("docs/embedding.md", root), "utf8");
  const blocks = [...guide.matchAll(/```\w+\n\/\/ (hosts\/browser\/\S+)\n([^]*?)```/g)];
  assert.equal(blocks.length, 3);
  for (const [, file, lines] of blocks) {
    const source = (await readFile(new URL(file, root), "utf8")).split("\n").map((line) => line.trim());
    for (const line of lines.split("\n")) assert.ok(source.includes(line.trim()), `${file} has no line “${line}”`);
  }
});

test("tables", () => {
  const bad = (text, message) => assert.throws(() => parse(text), (error) => error instanceof BadTable && message.test(error.message));
  assert.deepEqual(parse("a,b\n1,2\r\n-3e2, .5\n"), { names: ["a", "b"], rows: [[1, 2], [-300, 0.5]] });
  assert.deepEqual(parse("\ufeff1;2\n\n3;4").names, ["x0", "x1"]);
  assert.deepEqual(parse('"a, b"\tc\n1\t2').names, ["a, b", "c"]);
  bad("", /empty/);
  bad("1\n2\n", /one column/);
  bad("a,b\n", /header but no rows/);
  bad("1,2\n3,4,5\n", /Line 2 has 3 cells where the first has 2/);
  bad("a,b\n1,2\n\n3,x\n", /Line 4, column “b”: “x” is no finite number/);
  bad("1,2\nNaN,4\n", /Line 2, column “x0”: “NaN”/);
  bad("1,2\n3,inf\n", /“inf” is no finite number/);
  bad("1,2\n3,\n", /cell is empty/);
  bad("1,2\n3,0x10\n", /“0x10”/);
  bad("\0\0ELF", /no text file/);
});
