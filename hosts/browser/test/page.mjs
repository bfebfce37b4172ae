// The page in a real Chromium: a person's ways through it, with pointer and keys, and what may go wrong.
// Takes the page's folder, the command `detfree`, a folder for pictures and one with the tools.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createServer } from "node:http";
import { readFile, writeFile, mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { extname, join, normalize } from "node:path";

const { PAGE, DETFREE, PICTURES, TOOLS } = process.env;
const tools = createRequire(`${TOOLS}/`);
const { chromium } = tools("playwright-core");
const FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".wasm": "application/wasm", ".svg": "image/svg+xml" };

let server, address, browser;
/** What a test's page said that it should not have. */
let complaints;

before(async () => {
  await mkdir(PICTURES, { recursive: true });
  server = createServer(async (request, response) => {
    const path = normalize(new URL(request.url, "http://x").pathname);
    try {
      const file = await readFile(join(PAGE, path === "/" ? "index.html" : path));
      response.writeHead(200, { "content-type": TYPES[extname(path)] ?? "text/html" }).end(file);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  address = `http://127.0.0.1:${server.address().port}/`;
  browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: FLAGS });
});

after(async () => {
  await browser?.close();
  server?.close();
});

async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 1000 }, acceptDownloads: true, ...options });
  const page = await context.newPage();
  complaints = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(address) && !url.startsWith("blob:")) complaints.push(`fetched ${url}`);
  });
  await page.goto(address);
  await page.locator("#go:enabled").waitFor();
  return page;
}

const shut = async (page, allowed = []) => {
  await page.context().close();
  assert.deepEqual(complaints.filter((text) => !allowed.some((known) => text.includes(known))), []);
};
const text = (page, id) => page.locator(`#${id}`).innerText();
const number = (words) => Number(words.replace("−", "-").replaceAll(",", "").split(" ")[0]);
const held = async (page) => number(await text(page, "held-out"));
const steps = async (page) => number(await text(page, "steps"));
const picture = (page, name) => page.screenshot({ path: `${PICTURES}/${name}.png`, fullPage: true });
const seconds = (time) => new Promise((done) => setTimeout(done, 1000 * time));
const upload = (page, name, content) => page.locator("#file").setInputFiles({ name, mimeType: "text/csv", buffer: Buffer.from(content) });
const problem = (page) => page.locator("#problem > span").innerText();
const until = (page, check, argument) => page.waitForFunction(check, argument, { timeout: 60_000 });
const accessible = async (page) => {
  await page.evaluate(await readFile(tools.resolve("axe-core/axe.min.js"), "utf8"));
  const { violations } = await page.evaluate(() => window.axe.run());
  assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`), []);
};

async function download(page, id) {
  const [file] = await Promise.all([page.waitForEvent("download"), page.locator(`#${id}`).click()]);
  const path = `${PICTURES}/${file.suggestedFilename()}`;
  await file.saveAs(path);
  return path;
}

// The eight Gaussians' entropy is 2.83 nats and one Gaussian comes to −4.26; the half-moons' Gaussian, to
// −1.89. A slow machine gets more seconds: what is learned in so many steps is the same on all.
for (const [flow, toy, most, bound] of [["residual", "8gaussians", 300, -3.2], ["relative", "half-moons", 6000, -1.7]]) {
  test(`a ${flow} flow learns in five seconds, and the command reads its model`, async () => {
    const page = await open();
    await page.locator("#toy").selectOption({ label: toy });
    assert.equal(await page.evaluate(() => document.documentElement.dataset.build), "detfree.simd.wasm");
    await page.locator(`#${flow}`).check();
    await page.locator("#go").click();
    await until(page, () => document.getElementById("held-out").textContent.includes("±"));
    const before = await held(page);
    await seconds(5);
    await until(page, (most) => Number(document.getElementById("steps").textContent.replace(",", "")) >= most, most);
    await page.locator("#go").click();
    await until(page, () => document.getElementById("state").textContent === "paused");
    const after = await held(page);
    assert.ok(after > bound && after > before + 0.3, `from ${before} to ${after}`);
    assert.ok(number(await text(page, "products")) > 0);
    await picture(page, `${flow}-light`);
    const [model, points] = [await download(page, "model"), await download(page, "held-out-points")];
    const scores = execFileSync(DETFREE, ["score", model, points]).toString().trim().split("\n").slice(1);
    assert.equal(scores.length, 200);
    const mean = scores.reduce((sum, line) => sum + Number(line.split(",")[0]), 0) / scores.length;
    assert.ok(Math.abs(mean - after) <= 1e-3, `the command finds ${mean}, the page says ${after}`);
    await shut(page);
  });
}

test("pause, continue, reset and seed", async () => {
  const page = await open();
  await page.locator("#seed").fill("-3");
  await page.locator("#go").click();
  assert.match(await problem(page), /seed is a whole number/);
  await page.locator("#seed").fill("12");
  await page.locator("#go").click();
  await until(page, () => Number(document.getElementById("steps").textContent) > 3);
  await page.locator("#go").click();
  await until(page, () => document.getElementById("state").textContent === "paused");
  const stopped = await steps(page);
  await seconds(1);
  assert.equal(await steps(page), stopped);
  await page.locator("#go").click();
  await until(page, (from) => Number(document.getElementById("steps").textContent) > from, stopped);
  await page.locator("#reset").click();
  await seconds(0.5);
  assert.equal(await text(page, "held-out"), "–");
  assert.equal(await page.locator("#go").innerText(), "Start");
  assert.ok(await page.locator("#model").isDisabled());
  await shut(page);
});

test("files that hold no points are refused, and the page stays usable", async () => {
  const page = await open();
  const rows = (count, row) => Array.from({ length: count }, (_, i) => row(i)).join("\n");
  const spiral = (i) => `${(i / 40) * Math.cos(i / 9)},${(i / 40) * Math.sin(i / 9)}`;
  const refused = [
    ["words.csv", "a,b\nred,green\n", /words.csv: Line 2, column “a”: “red” is no finite number/],
    ["nan.csv", `${rows(30, spiral)}\nNaN,3\n`, /Line 31, column “x0”: “NaN” is no finite number/],
    ["ragged.csv", `${rows(30, spiral)}\n1,2,3\n`, /Line 31 has 3 cells/],
    ["one.csv", rows(30, String), /one column/],
    ["few.csv", rows(19, spiral), /19 rows.*at least 20/],
    ["many.csv", rows(20_001, spiral), /20001 rows.*at most 20000/],
    ["empty.csv", "", /empty/],
    ["picture.csv", "\0\x01\x02", /no text file/],
    ["huge.csv", " ".repeat(9 << 20), /at most 8\.4 million/],
  ];
  for (const [name, content, message] of refused) {
    await upload(page, name, content);
    await until(page, (name) => document.getElementById("problem").textContent.includes(name), name);
    assert.match(await problem(page), message);
    assert.equal(await text(page, "points"), "2,000");
  }
  await upload(page, "line.csv", rows(40, (i) => `${i / 7},3`));
  await page.locator("#go").click();
  await until(page, () => document.getElementById("problem").textContent.includes("horizontal or vertical line"));
  await upload(page, "whole.csv", `n,"a, b",c\n${rows(200, (i) => `${i},${spiral(i)}`)}`);
  await until(page, () => document.getElementById("points").textContent === "200");
  assert.ok(await page.locator("#problem").isHidden());
  assert.match(await text(page, "source"), /Only whole numbers in “n”/);
  await page.locator("#first").selectOption("2");
  assert.doesNotMatch(await text(page, "source"), /whole numbers/);
  await page.locator("#go").click();
  await until(page, () => document.getElementById("held-out").textContent.includes("±"));
  // A file that is dropped while a fit goes on is the next fit's.
  const transfer = await page.evaluateHandle((content) => {
    const data = new DataTransfer();
    data.items.add(new File([content], "dropped.csv", { type: "text/csv" }));
    return data;
  }, rows(77, spiral));
  await page.dispatchEvent("#data", "drop", { dataTransfer: transfer });
  await until(page, () => document.getElementById("points").textContent === "77");
  await shut(page);
});

test("points are painted with keys and pointer", async () => {
  const page = await open();
  await page.locator("#clear").click();
  assert.equal(await text(page, "points"), "0");
  await page.locator("#go").click();
  assert.match(await problem(page), /There are 0 points/);
  await page.locator("#data").focus();
  for (const keys of [["Space"], ["ArrowLeft", "ArrowUp", "Space"], ["Shift+ArrowRight", "Space"], ["Shift+ArrowDown", "Space"]]) {
    for (const key of keys) await page.keyboard.press(key);
  }
  assert.equal(await text(page, "points"), "32");
  await page.keyboard.press("Backspace");
  assert.equal(await text(page, "points"), "24");
  const box = await page.locator("#data").boundingBox();
  await page.mouse.move(box.x + 0.2 * box.width, box.y + 0.3 * box.height);
  await page.mouse.down();
  for (let i = 0; i <= 40; i++) {
    await page.mouse.move(box.x + (0.2 + 0.015 * i) * box.width, box.y + (0.5 + 0.25 * Math.sin(i / 5)) * box.height);
    await seconds(0.03);
  }
  await page.mouse.up();
  const painted = number(await text(page, "points"));
  assert.ok(painted > 200, `${painted}`);
  await page.locator("#go").focus();
  await page.keyboard.press("Enter");
  await until(page, () => Number(document.getElementById("steps").textContent) > 60);
  await page.locator("#data").focus();
  await page.keyboard.press("ArrowLeft");
  await picture(page, "painted");
  await shut(page);
});

test("a lost thread is noticed, and another one takes its place", async () => {
  const page = await open();
  for (const loss of [
    () => setTimeout(() => { throw new Error("lost on purpose"); }),
    () => self.close(),
  ]) {
    await page.locator("#go").click();
    await until(page, () => document.getElementById("held-out").textContent.includes("±"));
    await page.workers()[0].evaluate(loss).catch(() => {});
    await until(page, () => document.getElementById("problem").textContent.includes("was lost"));
    assert.ok(await page.locator("#go").isDisabled());
    assert.equal(await text(page, "points"), "2,000");
    await page.locator("#revive").click();
    await page.locator("#go:enabled").waitFor();
    assert.ok(await page.locator("#problem").isHidden());
  }
  await page.locator("#go").click();
  await until(page, () => Number(document.getElementById("steps").textContent) > 3);
  await shut(page, ["lost on purpose"]);
});

test("light and dark, wide and narrow, for eyes and for readers", async () => {
  for (const [name, options] of [
    ["light", {}],
    ["dark", { colorScheme: "dark" }],
    ["narrow", { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true }],
    ["narrow-dark", { viewport: { width: 320, height: 700 }, colorScheme: "dark" }],
    ["tablet", { viewport: { width: 820, height: 1100 } }],
  ]) {
    const page = await open(options);
    await accessible(page);
    await page.locator("#toy").selectOption({ label: "2spirals" });
    await page.locator("#estimator").selectOption(name === "tablet" ? "2" : "1");
    await page.locator("#go").click();
    await until(page, () => Number(document.getElementById("steps").textContent.replace(",", "")) > 250);
    assert.match(await text(page, "status"), /nats|points/);
    await page.locator("#go").click();
    await until(page, () => document.getElementById("state").textContent === "paused");
    const sideways = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(sideways <= 0, `${name} scrolls sideways by ${sideways}`);
    await picture(page, name);
    await accessible(page);
    await shut(page);
  }
});
