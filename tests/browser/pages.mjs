// The pages of a development server, as a person uses them: the mail box and the page to try the API on.
// Environment: see browser.mjs.
import assert from "node:assert/strict";
import { BASE, PASSWORD, PATIENCE, address, complaintsOf, confirm, picture, signUp, startBrowser, step } from "./browser.mjs";

const browser = await startBrowser();
const context = await browser.newContext({ viewport: { width: 1100, height: 800 } });
context.setDefaultTimeout(PATIENCE);
const complaints = complaintsOf(context);
const anna = address("anna");

await step("the mail box shows each mail, and its links as links", async () => {
  await signUp(anna);
  await signUp(address("o'brien+shop"));
  const page = await context.newPage();
  await page.goto(`${BASE}/auth/v1/mail-box`);
  const mail = page.locator("section").filter({ hasText: `To ${anna}` });
  assert.equal(await mail.count(), 1);
  assert.equal(await page.locator("section").filter({ hasText: `To ${address("o'brien+shop")}` }).count(), 1);
  await picture(page, "mail-box");
  await mail.locator("a[href*='/auth/v1/verify?token=']").click();
  await page.locator("button").waitFor();
  await picture(page, "verify");
  await page.setViewportSize({ width: 390, height: 700 });
  await picture(page, "verify-narrow");
  await page.emulateMedia({ colorScheme: "dark" });
  await picture(page, "verify-dark");
  await page.goto(`${BASE}/auth/v1/mail-box`);
  await picture(page, "mail-box-narrow-dark");
  await page.close();
});

const page = await context.newPage();
const operation = (name) => page.getByRole("button", { name, exact: false });
const answered = (status) => page.locator("#operation p").filter({ hasText: status }).waitFor();

await step("the page to try the API on shows what nobody may do", async () => {
  await page.goto(`${BASE}/rest/v1/`);
  await page.locator("nav").filter({ hasText: /\w/ }).waitFor();
  await picture(page, "try-nobody");
});

await step("a wrong password is told there", async () => {
  await page.fill("#login", anna);
  await page.fill("#password", "not the password");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.locator("#who").filter({ hasText: "Invalid login credentials" }).waitFor();
  assert.equal(complaints.length, 1);
  assert.match(complaints.pop(), /status of 400/);
});

await step("who signs in there adds a note and finds it", async () => {
  await confirm(anna);
  await page.fill("#login", anna);
  await page.fill("#password", PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.locator("#who").filter({ hasText: `You are ${anna}` }).waitFor();
  await operation("POST").first().click();
  await page.fill("#operation textarea", JSON.stringify({ title: "from a browser" }));
  await picture(page, "try-insert");
  await page.getByRole("button", { name: "Send" }).click();
  await answered("201");
  await operation("GET").first().click();
  await page.getByRole("button", { name: "Send" }).click();
  await answered("200");
  assert.match(await page.locator("#operation pre").last().textContent(), /"title": "from a browser"/);
  await picture(page, "try-read");
  await page.setViewportSize({ width: 390, height: 800 });
  await page.emulateMedia({ colorScheme: "dark" });
  await picture(page, "try-narrow-dark");
});

await step("it shows the document", async () => {
  await page.click("#document");
  assert.equal(JSON.parse(await page.locator("#operation pre").textContent()).openapi.slice(0, 4), "3.1.");
});

await step("nothing in it runs that is not its own", async () => {
  const ran = await page.evaluate(() => {
    const script = Object.assign(document.createElement("script"), { textContent: "window.foreign = true" });
    document.body.append(script);
    return window.foreign ?? false;
  });
  assert.equal(ran, false);
  assert.match(complaints.pop(), /Content Security Policy/);
});

await step("the browser complained of nothing else", () => assert.deepEqual(complaints, []));

await browser.close();
