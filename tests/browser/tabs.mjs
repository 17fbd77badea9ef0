// Many tabs of one browser, one session, an access token that is over: who refreshes it, and does anybody lose it?
// Environment: see browser.mjs.
//
// A refresh token holds the number of refreshes before it, so the browser's own store tells how often the session was
// advanced. Refreshes that are to come at one moment are held up until all of them have left their tabs. supabase-js asks
// without a lock unless it is given one: the Web Lock, which all tabs share, or a lock of each tab alone.
import assert from "node:assert/strict";
import { BASE, KEY, PASSWORD, PATIENCE, SITE, address, complaintsOf, confirm, serveSite, signUp, startBrowser, step } from "./browser.mjs";

const TABS = 4;
const server = await serveSite();
const browser = await startBrowser();

/** A browser profile that is signed in, and its tabs. */
async function signedIn(name, { count = TABS, lock = "", withoutWebLocks = false } = {}) {
  await signUp(address(name));
  await confirm(address(name));
  const context = await browser.newContext();
  context.setDefaultTimeout(PATIENCE);
  if (withoutWebLocks) await context.addInitScript(() => delete Navigator.prototype.locks);
  const complaints = complaintsOf(context);
  const tabs = [];
  for (let number = 0; number < count; number += 1) tabs.push(await context.newPage());
  await Promise.all(tabs.map((tab) => tab.goto(`${SITE}/blank`)));
  const made = await tabs[0].evaluate(async ([api, key, email, password]) => {
    const client = supabase.createClient(api, key, { auth: { autoRefreshToken: false } });
    const { data, error } = await client.auth.signInWithPassword({ email, password });
    return data.user?.email ?? error.message;
  }, [BASE, KEY, address(name), PASSWORD]);
  assert.equal(made, address(name));
  await expire(tabs[0]);
  await tabs[0].reload(); // without the client that signed in
  return { context, tabs, complaints, lock };
}

/** What a laptop finds that slept for two hours. */
async function expire(tab) {
  await tab.evaluate(() => {
    const name = Object.keys(localStorage).find((each) => each.endsWith("-auth-token"));
    const session = JSON.parse(localStorage.getItem(name));
    localStorage.setItem(name, JSON.stringify({ ...session, expires_at: session.expires_at - 7200 - session.expires_in }));
  });
}

/** How often the session in the browser's store was refreshed. */
async function generation(tab) {
  const token = await tab.evaluate(() => {
    const name = Object.keys(localStorage).find((each) => each.endsWith("-auth-token"));
    return name && JSON.parse(localStorage.getItem(name)).refresh_token;
  });
  assert.ok(token, "the browser holds no session any more");
  const counter = Buffer.from(token, "base64url")[17];
  assert.ok(counter < 128);
  return counter;
}

/** Count the refreshes that leave a profile; hold them up until `together` of them have left. */
async function watchRefreshes(context, together = 1) {
  const seen = { count: 0, most: 0, statuses: [] };
  let open, underway = 0;
  const all = new Promise((resolve) => (open = resolve));
  await context.route("**/auth/v1/token?grant_type=refresh_token", async (route) => {
    seen.count += 1;
    seen.most = Math.max(seen.most, (underway += 1));
    if (seen.count >= together) open();
    await all;
    const answer = await route.fetch();
    seen.statuses.push(answer.status());
    underway -= 1;
    await route.fulfill({ response: answer });
  });
  return seen;
}

/** Start the client in every tab at one moment, as when a browser restores its tabs; give what each sees. */
async function awaken({ tabs, lock }) {
  const at = Date.now() + 500;
  return Promise.all(tabs.map((tab) => tab.evaluate(async ([api, key, lock, moment, lockAcquireTimeout]) => {
    await new Promise((resolve) => setTimeout(resolve, moment - Date.now()));
    window.told = [];
    window.client = supabase.createClient(api, key, { auth: lock && { lock: supabase[lock], lockAcquireTimeout } });
    client.auth.onAuthStateChange((event) => told.push(event));
    const { data: { session } } = await client.auth.getSession();
    const { data: { user }, error } = await client.auth.getUser();
    return { session: session?.user.email, user: user?.email, error: error?.message };
  }, [BASE, KEY, lock, at, PATIENCE])));
}

const everybody = (name) => Array(TABS).fill({ session: address(name), user: address(name), error: undefined });

/** After a while, so that what tabs tell each other has arrived: nobody was told of a sign-out, all are who they were. */
async function nobodyIsSignedOut({ tabs, complaints }, name) {
  for (const tab of tabs) {
    const found = await tab.evaluate(async () => [(await client.auth.getUser()).data.user?.email, told]);
    assert.equal(found[0], address(name));
    assert.ok(!found[1].includes("SIGNED_OUT"), found[1].join(", "));
  }
  assert.deepEqual(complaints.filter((each) => !each.includes('"lock" option is deprecated')), []);
}

await step("tabs that refresh at one moment without a lock get one successor", async () => {
  const profile = await signedIn("free");
  const seen = await watchRefreshes(profile.context, TABS);
  assert.deepEqual(await awaken(profile), everybody("free"));
  assert.deepEqual([seen.count, seen.most, seen.statuses], [TABS, TABS, Array(TABS).fill(200)]);
  assert.equal(await generation(profile.tabs[0]), 1);
  await nobodyIsSignedOut(profile, "free");
});

await step("tabs that share the Web Lock refresh once", async () => {
  const profile = await signedIn("locked", { lock: "navigatorLock" });
  const seen = await watchRefreshes(profile.context);
  assert.deepEqual(await awaken(profile), everybody("locked"));
  assert.deepEqual([seen.count, seen.statuses], [1, [200]]);
  assert.equal(await generation(profile.tabs[0]), 1);
  await nobodyIsSignedOut(profile, "locked");
});

await step("each holder of the Web Lock who asks for a refresh gets one generation", async () => {
  const profile = await signedIn("holders", { lock: "navigatorLock" });
  await awaken(profile);
  const seen = await watchRefreshes(profile.context);
  const before = await generation(profile.tabs[0]);
  const asked = profile.tabs.map((tab) => tab.evaluate(async () => (await client.auth.refreshSession()).error?.message));
  assert.deepEqual(await Promise.all(asked), Array(TABS).fill(undefined));
  assert.deepEqual([seen.count, seen.most], [TABS, 1]);
  assert.equal((await generation(profile.tabs[0])) - before, TABS);
  await nobodyIsSignedOut(profile, "holders");
});

await step("where the browser has no Web Lock a lock of each tab alone is enough", async () => {
  const profile = await signedIn("apart", { lock: "processLock", withoutWebLocks: true });
  assert.equal(await profile.tabs[0].evaluate(() => navigator.locks), undefined);
  const seen = await watchRefreshes(profile.context, TABS);
  assert.deepEqual(await awaken(profile), everybody("apart"));
  assert.deepEqual([seen.count, seen.most, seen.statuses], [TABS, TABS, Array(TABS).fill(200)]);
  assert.equal(await generation(profile.tabs[0]), 1);
  await nobodyIsSignedOut(profile, "apart");
});

await step("a tab whose answer was lost asks again and stays signed in", async () => {
  const profile = await signedIn("lost", { count: 1 });
  const [tab] = profile.tabs;
  let lost = 0;
  await profile.context.route("**/auth/v1/token?grant_type=refresh_token", async (route) => {
    const answer = await route.fetch();
    if (lost === 0) {
      lost = answer.status();
      return route.abort("connectionreset");
    }
    return route.fulfill({ response: answer });
  });
  const [found] = await awaken(profile);
  assert.equal(found.user, address("lost"));
  assert.equal(lost, 200);
  assert.equal(await generation(tab), 1);
});

await step("a sign-out in one tab reaches the others", async () => {
  const profile = await signedIn("leaving", { count: 2 });
  await awaken(profile);
  await profile.tabs[0].evaluate(() => client.auth.signOut());
  for (const tab of profile.tabs) {
    await tab.waitForFunction(() => told.includes("SIGNED_OUT"));
    assert.equal(await tab.evaluate(async () => (await client.auth.getSession()).data.session), null);
  }
});

await browser.close();
server.close();
