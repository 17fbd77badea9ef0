// A headless Chromium, and an application's web server of its own origin, for the journeys in a browser.
//
// Environment: CHROMIUM, and for the packaged one CHROMIUM_LIBRARIES and CHROMIUM_FONTS; BASE, KEY (Portero), SITE (where
// the application is served); SCREENSHOTS, a folder, if pictures are wanted.
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

export const { BASE, KEY, SITE } = process.env;
const { CHROMIUM, CHROMIUM_LIBRARIES, CHROMIUM_FONTS, SCREENSHOTS } = process.env;
export const PASSWORD = "a-long-enough-passphrase";
/** How long anything is waited for where the machine is busy; milliseconds. */
export const PATIENCE = 60_000;
const run = Math.random().toString(36).slice(2, 10);
export const address = (name) => `${name}-${run}@example.com`;
// Only pages of this machine are opened, so the sandbox, which needs rights that a container may not give, guards nothing.
const OPTIONS = [
  "--no-sandbox",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
  "--disable-quic",
  "--disable-gpu",
  "--disable-dev-shm-usage",
  "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
];

/** Start the browser. */
export async function startBrowser() {
  return chromium.launch({ executablePath: CHROMIUM, args: OPTIONS, env: environment(), timeout: PATIENCE });
}

function environment() {
  const { LD_LIBRARY_PATH, ...kept } = process.env;
  if (!CHROMIUM_LIBRARIES) return process.env;
  const file = fileURLToPath(new URL("fonts.conf", import.meta.url));
  writeFileSync(file, `<fontconfig><dir>${CHROMIUM_FONTS}</dir><dir>/usr/share/fonts</dir></fontconfig>`);
  const libraries = [CHROMIUM_LIBRARIES, LD_LIBRARY_PATH].filter(Boolean).join(":");
  return { ...kept, LD_LIBRARY_PATH: libraries, FONTCONFIG_FILE: file };
}

/** Serve the application's page and the bundle of supabase-js, at the address of SITE. */
export async function serveSite() {
  const bundle = new URL("dist/umd/supabase.js", new URL("../", import.meta.resolve("@supabase/supabase-js")));
  const script = "text/javascript; charset=utf-8";
  const files = {
    "/": ["text/html; charset=utf-8", readFileSync(new URL("page.html", import.meta.url))],
    "/blank": ["text/html; charset=utf-8", '<!doctype html><link rel="icon" href="data:,"><script src="/supabase.js"></script>'],
    "/supabase.js": [script, readFileSync(bundle)],
    "/config.js": [script, `const config = ${JSON.stringify({ api: BASE, key: KEY })};`],
  };
  const server = createServer((request, response) => {
    const [type, content] = files[new URL(request.url, SITE).pathname] ?? ["text/plain", null];
    response.writeHead(content === null ? 404 : 200, { "Content-Type": type });
    response.end(content ?? "not found");
  });
  await new Promise((resolve) => server.listen(Number(new URL(SITE).port), "127.0.0.1", resolve));
  return server;
}

/** What a browser complains of on the pages of a context: errors of scripts, of policies, of loading. */
export function complaintsOf(context) {
  const found = [];
  context.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) found.push(`${message.page()?.url()}: ${message.text()}`);
  });
  context.on("weberror", (error) => found.push(String(error.error())));
  return found;
}

async function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(`${BASE}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  if (answer.status !== 200) throw new Error(`${path} answered ${answer.status}: ${await answer.text()}`);
}

/** Sign somebody up, without the confirmation. */
export const signUp = (email) => post("/auth/v1/signup", { email, password: PASSWORD });

/** Confirm an address by the code of its newest mail, as the page of the mail box shows it. */
export async function confirm(email) {
  const page = await (await fetch(`${BASE}/auth/v1/mail-box`)).text();
  const mail = page.split("<section").find((each) => each.includes(`To ${email}`));
  await post("/auth/v1/verify", { type: "signup", email, token: mail.match(/^\d{6}$/m)[0] });
}

/** Keep a picture of a page, where pictures are wanted. */
export async function picture(page, name) {
  if (SCREENSHOTS) await page.screenshot({ path: `${SCREENSHOTS}/${name}.png`, fullPage: true });
}

/** Run one step: prints `ok <sentence>`, or why not and ends with status 1. */
export async function step(sentence, body) {
  try {
    await body();
  } catch (error) {
    console.log(`not ok ${sentence}: ${error.stack}`);
    process.exit(1);
  }
  console.log(`ok ${sentence}`);
}
