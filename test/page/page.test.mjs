// What people see of the status page, and what they do with it.
import { test, before, beforeEach, after } from "node:test";
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const { CHROMIUM, SIX, MANY, SHOTS, CANARY, SLOWDOWN } = process.env;
let browser;

before(async () => {
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
});
after(() => browser.close());
beforeEach(() => step(SIX, "reset"));

// visit opens a page and fails the test on anything that the browser complains of:
// a script's error, or something that the page's own policy had to stop.
async function visit(t, url, { tolerated = [], ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: "light", reducedMotion: "reduce", ...options });
  const page = await context.newPage();
  const complaints = [];
  page.on("console", m => { if (["error", "warning"].includes(m.type())) complaints.push(m.text()); });
  page.on("pageerror", e => complaints.push(String(e)));
  const foreign = [];
  page.on("request", r => { if (!r.url().startsWith(new URL(url).origin) && !r.url().startsWith("data:")) foreign.push(r.url()); });
  t.after(async () => {
    await context.close();
    assert.deepEqual(foreign, [], "the page asks other servers");
    assert.deepEqual(complaints.filter(c => !tolerated.some(w => c.includes(w))), [], "the browser complains");
  });
  await page.goto(url);
  await page.waitForSelector("html[data-ready=yes]");
  return page;
}

const step = (base, what, name = "") => fetch(`${base}/test/${what}?name=${name}`, { method: "POST" }).then(r => assert.equal(r.status, 200));
const row = (page, name) => page.locator("#rows .line").filter({ has: page.locator(".name", { hasText: new RegExp(`^${name}$`) }) });
const names = page => page.locator("#rows .line .name").allTextContents();
const shot = (page, name) => page.screenshot({ path: `${SHOTS}/${name}.png` });

test("all states are there, in words, the worst first", async t => {
  const page = await visit(t, SIX);
  assert.deepEqual(await names(page), ["bank-statements", "crm-contacts", "billing-export", "warehouse-sync", "shop-operator", "mail-archive"]);
  const text = async name => (await row(page, name).innerText()).replace(/\s+/g, " ");
  assert.match(await text("bank-statements"), /needs a person .*left waits for a person The server refused the refresh token/);
  assert.match(await text("crm-contacts"), /expired .*expired 20m ago login in \dm.* The server does not accept client id and secret/);
  assert.match(await text("billing-export"), /retrying .*9m.*left login in \d+s The server cannot be reached 1 of 2/);
  assert.match(await text("warehouse-sync"), /pending login under way/);
  assert.match(await text("shop-operator"), /fresh 4\dm left refresh in 3\dm 2 ok/);
  assert.match(await text("mail-archive"), /standby kept by another replica/);
  assert.equal(await page.title(), "(2) tokend");
  assert.match(await page.locator("#facts").innerText(), /replica tokend-1.*keeps 3 of 8 shards.*3 replicas alive/s);
  await shot(page, "six-light");
});

test("it updates itself, without a reload", async t => {
  const page = await visit(t, SIX);
  await page.evaluate(() => { window.marker = "same document"; });
  await page.waitForSelector("[data-link=live]");
  await step(SIX, "renew", "crm-contacts");
  await row(page, "crm-contacts").locator(".pill", { hasText: "fresh" }).waitFor({ timeout: 5000 });
  await step(SIX, "expire", "brand-new");
  await row(page, "brand-new").waitFor({ timeout: 5000 });
  await step(SIX, "remove", "brand-new");
  await row(page, "brand-new").waitFor({ state: "detached", timeout: 5000 });
  await step(SIX, "expire", "crm-contacts");
  await row(page, "crm-contacts").locator(".pill", { hasText: "expired" }).waitFor({ timeout: 5000 });
  assert.equal(await page.evaluate(() => window.marker), "same document");
});

test("a broken configuration is said, and its text is not", async t => {
  const page = await visit(t, SIX);
  await page.waitForSelector("[data-link=live]");
  await step(SIX, "break");
  await page.locator("#config-problem", { hasText: "the last good one runs" }).waitFor({ timeout: 5000 });
  await step(SIX, "mend");
  await page.locator("#config-problem").waitFor({ state: "hidden", timeout: 5000 });
});

test("bars and words move with the time", async t => {
  const page = await visit(t, SIX);
  const seen = () => row(page, "billing-export").locator(".c-next .one").first().innerText();
  const first = await seen();
  await page.waitForFunction(was => ![...document.querySelectorAll(".c-next .one")].some(e => e.textContent === was), first, { timeout: 5000 });
  const scale = e => Number(/scaleX\(([\d.]+)\)/.exec(e.style.transform)[1]);
  const wide = await row(page, "shop-operator").locator(".life i").evaluate(scale);
  assert.ok(wide > 0.75 && wide < 0.85, `the bar of a token with 49 of 60 minutes left is ${wide} wide`);
});

test("the filter narrows by name, provider, sink and problem", async t => {
  const page = await visit(t, SIX);
  for (const [words, want] of [
    ["crm", ["crm-contacts"]], ["INVOICES", ["billing-export"]], ["shop/rator", ["shop-operator"]],
    ["cannot be reached", ["billing-export"]], ["invalid_client", ["crm-contacts"]], ["rator fresh", ["shop-operator"]], ["nonsense", []],
  ]) {
    await page.fill("#filter", words);
    assert.deepEqual(await names(page), want, words);
  }
  assert.equal(await page.locator("#nothing").innerText(), "No token fits the filter.");
  await page.press("#filter", "Escape");
  assert.equal((await names(page)).length, 6);
  await page.click("#states button[value=expired]");
  assert.deepEqual(await names(page), ["crm-contacts"]);
  assert.equal(await page.locator("#states button[value=expired]").getAttribute("aria-pressed"), "true");
  await page.selectOption("#order", "name");
  await page.click("#states button[value='']");
  assert.equal((await names(page))[0], "bank-statements");
});

test("all of it works with the keyboard alone", async t => {
  const page = await visit(t, SIX);
  const focused = () => page.evaluate(() => document.activeElement.name || document.activeElement.id);
  await page.keyboard.press("/");
  assert.equal(await focused(), "filter");
  await page.keyboard.press("ArrowDown");
  assert.equal(await focused(), "bank-statements");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  assert.equal(await focused(), "billing-export");
  await page.keyboard.press("End");
  assert.equal(await focused(), "mail-archive");
  await page.keyboard.press("Home");
  assert.equal(await focused(), "bank-statements");
  await page.keyboard.press("Enter");
  await page.locator("dialog[open]").waitFor();
  assert.equal(await focused(), "detail-name");
  assert.equal(new URL(page.url()).hash, "#bank-statements");
  await page.keyboard.press("Escape");
  await page.locator("dialog[open]").waitFor({ state: "detached" });
  assert.equal(await focused(), "bank-statements");
  // Every control is reached by Tab, and each says what it is.
  await page.evaluate(() => document.activeElement.blur());
  const reached = [];
  for (let i = 0; i < 16; i++) {
    await page.keyboard.press("Tab");
    reached.push(await page.evaluate(() => { const e = document.activeElement; return e.name || e.id || e.value || e.className || e.textContent; }));
  }
  for (const must of ["skip", "filter", "order", "bank-statements", "Problem codes"]) assert.ok(reached.includes(must), `${must} is not among ${reached}`);
});

test("a screen reader hears a grid with names, positions and states", async t => {
  const page = await visit(t, SIX);
  const grid = page.getByRole("grid", { name: "Tokens" });
  assert.equal(await grid.getAttribute("aria-rowcount"), "7");
  assert.equal(await page.getByRole("row").count(), 7);
  assert.equal(await page.getByRole("columnheader").count(), 5);
  const first = page.getByRole("row").nth(1);
  assert.equal(await first.getAttribute("aria-rowindex"), "2");
  assert.equal(await first.getByRole("gridcell").count(), 5);
  await page.getByRole("searchbox", { name: "Filter" }).waitFor();
  await page.getByRole("combobox", { name: "Order" }).waitFor();
  await page.getByRole("group", { name: "Show tokens by state" }).waitFor();
  await first.press("Enter");
  await page.getByRole("dialog", { name: "bank-statements" }).getByRole("button", { name: "Close" }).waitFor();
});

test("a token's details say what failed, what to do, and what happened", async t => {
  const page = await visit(t, `${SIX}/#billing-export`);
  const sheet = page.locator("#detail-body");
  await sheet.locator(".times li").first().waitFor();
  const text = await sheet.innerText();
  assert.match(text, /The server cannot be reached/);
  assert.match(text, /What to do\./);
  assert.match(text, /connect: connection refused/);
  assert.match(text, /A Vault secret could not be written/);
  assert.match(await sheet.locator(".times li").first().innerText(), /Token request failed ×3/);
  await shot(page, "detail-light");
  await step(SIX, "renew", "billing-export");
  await sheet.locator(".pill", { hasText: "fresh" }).waitFor({ timeout: 5000 });
  await sheet.locator(".times li").first().filter({ hasText: "Logged in" }).waitFor({ timeout: 5000 });
  await step(SIX, "expire", "billing-export");
  await sheet.locator(".pill", { hasText: "expired" }).waitFor({ timeout: 5000 });
  const link = sheet.locator(".trouble a").first();
  await link.waitFor();
  await page.goto(new URL(await link.getAttribute("href"), SIX).href);
  assert.match(await page.locator(":target").innerText(), /invalid_client[\s\S]*What to do/);
  await shot(page, "problems-light");
});

test("what a server says is shown as text", async t => {
  const page = await visit(t, `${SIX}/#crm-contacts`);
  await page.locator(".said", { hasText: '<script>alert("x")</script>' }).first().waitFor();
});

// WCAG 2.2, 1.4.3: 4.5 to 1, for every text that is on the screen. Colours are read
// as they are painted, whatever they are written in.
async function contrasts(page) {
  return page.evaluate(() => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const rgba = (...colours) => {
      canvas.clearRect(0, 0, 1, 1);
      for (const c of colours) { canvas.fillStyle = c; canvas.fillRect(0, 0, 1, 1); }
      return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0);
    const poor = [];
    let n = 0;
    for (const e of document.querySelectorAll("body *")) {
      const own = [...e.childNodes].some(c => c.nodeType === 3 && c.data.trim());
      if (!own || !e.checkVisibility() || e.closest(".sr, .skip, script, style, noscript")) continue;
      const stack = [];
      for (let a = e; a; a = a.parentElement) stack.unshift(getComputedStyle(a).backgroundColor);
      const behind = rgba(getComputedStyle(document.body).backgroundColor, ...stack);
      const text = rgba(`rgb(${behind.slice(0, 3)})`, getComputedStyle(e).color);
      const [a, b] = [light(behind), light(text)].sort((x, y) => y - x);
      n++;
      if ((a + 0.05) / (b + 0.05) < 4.5) poor.push(`${e.className || e.tagName} "${e.textContent.slice(0, 30)}": ${((a + 0.05) / (b + 0.05)).toFixed(2)}`);
    }
    return { n, poor: [...new Set(poor)] };
  });
}

for (const colorScheme of ["light", "dark"]) {
  for (const [device, viewport] of [["desk", { width: 1280, height: 800 }], ["phone", { width: 390, height: 844 }]]) {
    test(`every text can be read: ${colorScheme}, ${device}`, async t => {
      const page = await visit(t, SIX, { colorScheme, viewport });
      await shot(page, `six-${colorScheme}-${device}`);
      const list = await contrasts(page);
      assert.ok(list.n > 30, `only ${list.n} texts are looked at`);
      assert.deepEqual(list.poor, []);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "the page is wider than the screen");
      await row(page, "crm-contacts").click();
      await page.locator("#detail-body .trouble").first().waitFor();
      await shot(page, `detail-${colorScheme}-${device}`);
      assert.deepEqual((await contrasts(page)).poor, []);
      await page.goto(`${SIX}/problems#dial`);
      assert.deepEqual((await contrasts(page)).poor, []);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "the list of problems is wider than the screen");
    });
  }
}

test("a daemon that was away is found again", async t => {
  const page = await visit(t, SIX, { tolerated: ["ERR_"] });
  await page.waitForSelector("[data-link=live]");
  await step(SIX, "drop");
  await page.waitForSelector("[data-link=lost]");
  assert.match(await page.locator("#link").innerText(), /daemon away/);
  await step(SIX, "renew", "crm-contacts");
  await page.waitForSelector("[data-link=live]", { timeout: 15000 });
  await row(page, "crm-contacts").locator(".pill", { hasText: "fresh" }).waitFor({ timeout: 5000 });
});

test("one reader too many sees all of it, a little later", { timeout: 60_000 }, async t => {
  // An answer that nobody holds is collected with its connection, which frees the
  // place. Readers of the tests before this one may still be on their way out.
  const held = [];
  t.after(() => Promise.all(held.map(answer => answer.body.cancel())));
  while (held.length < 32) {
    const answer = await fetch(`${SIX}/api/v1/events`);
    if (answer.status === 200) held.push(answer);
    else await answer.text();
  }
  const page = await visit(t, SIX, { tolerated: ["503"] });
  await page.waitForSelector("[data-link=poll]");
  assert.equal((await names(page)).length, 6);
});

test("long names and words keep to their places", async t => {
  const name = "a".repeat(63);
  await step(SIX, "long", name);
  for (const viewport of [{ width: 1280, height: 800 }, { width: 320, height: 640 }]) {
    const page = await visit(t, SIX, { viewport });
    await row(page, name).waitFor();
    const wide = () => page.evaluate(() => [...document.querySelectorAll("body, main, dialog[open], dialog[open] *, .line > *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".states")).map(e => e.className || e.tagName));
    assert.deepEqual(await wide(), []);
    await shot(page, `long-${viewport.width}`);
    await row(page, name).click();
    await page.locator("#detail-body .times, #detail-body .cards").first().waitFor();
    assert.deepEqual(await wide(), []);
    await shot(page, `long-detail-${viewport.width}`);
  }
});

test("without tokens the page says so", async t => {
  await step(SIX, "empty");
  const page = await visit(t, SIX);
  assert.equal(await page.locator("#nothing").innerText(), "No token is configured.");
});

test("10,000 tokens load in under 2 s and stay quick", async t => {
  const began = Date.now();
  const page = await visit(t, MANY);
  const took = Date.now() - began;
  const times = await page.evaluate(() => performance.getEntriesByName("shown")[0].startTime);
  t.diagnostic(`shown ${took} ms after the browser was asked for a window, ${Math.round(times)} ms after navigation`);
  assert.ok(times < 2000 * SLOWDOWN, `it took ${times} ms`);
  assert.equal(await page.locator("#states button").first().innerText().then(s => s.replace(/\s+/g, " ")), "all 10,000");
  assert.ok(await page.locator("#rows .line").count() < 60, "rows out of sight are there");
  await shot(page, "many-light");

  await page.waitForSelector("[data-link=live]");
  await step(MANY, "expire", "tenant-07777");
  await row(page, "tenant-07777").waitFor({ timeout: 5000 });

  await page.fill("#filter", "tenant-09999");
  await row(page, "tenant-09999").waitFor();
  assert.equal(await page.locator("#rows .line").count(), 1);
  await page.fill("#filter", "");
  await page.selectOption("#order", "name");
  await page.locator("#rows .line").first().focus();
  await page.keyboard.press("End");
  assert.equal(await page.evaluate(() => document.activeElement.name), "tenant-09999");
  await page.keyboard.press("PageUp");
  assert.notEqual(await page.evaluate(() => document.activeElement.name), "tenant-09999");
  const frame = await page.evaluate(async () => {
    let worst = 0;
    for (let i = 0; i < 20; i++) {
      const t = performance.now();
      scrollTo(0, i * 30000);
      await new Promise(requestAnimationFrame);
      worst = Math.max(worst, performance.now() - t);
    }
    return worst;
  });
  t.diagnostic(`the slowest frame while scrolling took ${Math.round(frame)} ms`);
  assert.ok(await page.locator("#rows .line").count() < 60);
});

test("nothing secret is in page, events or API", async t => {
  await step(SIX, "break");
  const seen = [];
  const page = await visit(t, `${SIX}/#crm-contacts`);
  await page.waitForSelector("[data-link=live]");
  seen.push(await page.content());
  for (const path of ["/", "/problems", "/api/v1/tokens", "/api/v1/tokens/crm-contacts", "/api/v1/tokens/none"]) {
    const answer = await fetch(SIX + path);
    seen.push(await answer.text(), JSON.stringify([...answer.headers]));
  }
  const stop = new AbortController();
  const events = await fetch(`${SIX}/api/v1/events`, { signal: stop.signal });
  const reader = events.body.pipeThrough(new TextDecoderStream()).getReader();
  seen.push((await reader.read()).value);
  await step(SIX, "mend");
  await step(SIX, "renew", "crm-contacts");
  for (let text = ""; !text.includes("crm-contacts");) { text = (await reader.read()).value; seen.push(text); }
  stop.abort();
  await step(SIX, "expire", "crm-contacts");
  assert.ok(seen.join("").includes("crm-contacts"));
  assert.ok(!seen.join("").includes(CANARY), "a canary is there");
});
