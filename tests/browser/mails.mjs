// A browser follows mailed links: sign-up and recovery, by the implicit flow and by PKCE. Environment: see browser.mjs.
import assert from "node:assert/strict";
import { BASE, PASSWORD, PATIENCE, SITE, address, complaintsOf, picture, serveSite, startBrowser, step } from "./browser.mjs";

const NEW = `${PASSWORD}-2`;
const server = await serveSite();
const browser = await startBrowser();
/** What pages complained of and nobody expected: only refusals that a step provokes are expected. */
const complaints = [];

/** A browser profile of its own. */
async function profile() {
  const context = await browser.newContext();
  complaints.push(complaintsOf(context));
  context.setDefaultTimeout(PATIENCE);
  return context;
}

/** The application's page in a new tab of a profile. */
async function application(context, flow) {
  const page = await context.newPage();
  await page.goto(`${SITE}/?flow=${flow}`);
  return page;
}

const text = (page, selector, expected) => page.locator(selector).filter({ hasText: expected }).waitFor();
const events = (page) => page.locator("#events li").allTextContents();

async function enter(page, button, email, password) {
  await page.fill("#email", email);
  await page.fill("#password", password);
  await page.click(button);
}

/** Open the mail box of the development server in a new tab and click the link of the newest mail to an address. */
async function followMail(context, to) {
  const page = await context.newPage();
  await page.goto(`${BASE}/auth/v1/mail-box`);
  await page.locator("section").filter({ hasText: `To ${to}` }).first().locator("a[href*='/verify']").click();
  await page.waitForURL("**/auth/v1/verify?**");
  return page;
}

/** The refusals that a step provoked show in the browser's console; no others may. */
function forgive(pattern) {
  for (const found of complaints) {
    for (let place = found.length - 1; place >= 0; place -= 1) if (pattern.test(found[place])) found.splice(place, 1);
  }
}

for (const flow of ["implicit", "pkce"]) {
  const anna = address(`anna-${flow}`);
  const context = await profile();
  const elsewhere = await profile();
  let link;

  await step(`${flow}: a sign-up waits for its mail`, async () => {
    const page = await application(context, flow);
    await enter(page, "#sign-up", anna, PASSWORD);
    await text(page, "#problem", "sign-up is done");
    await text(page, "#state", "signed out");
    await page.click("#sign-in");
    await text(page, "#problem", "email_not_confirmed");
    forgive(/status of 400/);
  });

  await step(`${flow}: the link shows a page with one button, and the button leads back signed in`, async () => {
    const page = await followMail(context, anna);
    link = page.url();
    assert.equal(await page.locator("button").count(), 1);
    await picture(page, `verify-${flow}`);
    await page.click("button");
    await page.waitForURL(`${SITE}/**`);
    await text(page, "#state", `signed in as ${anna}`);
    assert.ok((await events(page)).includes("SIGNED_IN"), String(await events(page)));
    // Neither tokens nor the code stay in the address bar.
    assert.equal(page.url().replace(/#$/, ""), `${SITE}/?flow=${flow}`);
    await page.reload();
    await text(page, "#state", `signed in as ${anna}`);
  });

  await step(`${flow}: the same link does nothing more and says so where it leads`, async () => {
    const page = await (await profile()).newPage();
    await page.goto(link);
    await page.click("button");
    await page.waitForURL(`${SITE}/**`);
    await text(page, "#problem", "otp_expired");
    await text(page, "#state", "signed out");
  });

  await step(`${flow}: a forgotten password is asked for, and its link leads to the form for a new one`, async () => {
    const other = await application(elsewhere, flow);
    await enter(other, "#sign-in", anna, PASSWORD);
    await text(other, "#state", `signed in as ${anna}`);
    const page = await application(context, flow);
    await page.click("#sign-out");
    await text(page, "#problem", "sign-out is done");
    await enter(other, "#sign-in", anna, PASSWORD); // sign-out was everywhere
    await text(other, "#problem", "sign-in is done");
    await page.fill("#email", anna);
    await page.click("#forgotten");
    await text(page, "#problem", "forgotten is done");
  });

  await step(`${flow}: the new password is set and the other sessions end at once`, async () => {
    const page = await followMail(context, anna);
    await picture(page, `recovery-${flow}`);
    await page.click("button");
    await page.waitForURL(`${SITE}/**`);
    await page.locator("#renewal").waitFor();
    assert.ok((await events(page)).includes("PASSWORD_RECOVERY"), String(await events(page)));
    await page.fill("#new-password", NEW);
    await page.click("#renew");
    await text(page, "#problem", "renew is done");
    const [other] = elsewhere.pages();
    const asked = await other.evaluate(async () => (await client.auth.getUser()).error?.name);
    assert.equal(asked, "AuthSessionMissingError");
    await text(other, "#state", "signed out");
    forgive(/status of 403/);
  });

  await step(`${flow}: the new password signs in, the old one does not`, async () => {
    const [other] = elsewhere.pages();
    await other.reload();
    await text(other, "#state", "signed out");
    await enter(other, "#sign-in", anna, PASSWORD);
    await text(other, "#problem", "invalid_credentials");
    forgive(/status of 400/);
    await enter(other, "#sign-in", anna, NEW);
    await text(other, "#state", `signed in as ${anna}`);
  });
}

await step("the browser complained of nothing else", () => assert.deepEqual(complaints.flat(), []));

await browser.close();
server.close();
