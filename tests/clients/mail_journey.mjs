// The journey of mailed links and codes through supabase-js. Environment: BASE. Prints `ok <step>` for each step that
// holds; the first that does not ends it with status 1. mail_journey.py is the same journey in Python.
import assert from "node:assert/strict";
import { createClient } from "@supabase/supabase-js";

const { BASE } = process.env;
const PASSWORD = "a-long-enough-passphrase";
const run = Math.random().toString(36).slice(2, 10);
const address = (name) => `${name}-${run}@example.com`;

/** A client with a memory of its own, which PKCE needs for its verifier. */
function newClient(flowType = "implicit") {
  const kept = new Map();
  const storage = {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => void kept.set(key, value),
    removeItem: (key) => void kept.delete(key),
  };
  const auth = { flowType, storage, persistSession: true, autoRefreshToken: false, detectSessionInUrl: false };
  return createClient(BASE, "any", { auth, global: { headers: { apikey: "" }, fetch: withoutKey } });
}

/** The application has no API keys: none is sent. */
function withoutKey(url, options) {
  const headers = new Headers(options.headers);
  headers.delete("apikey");
  return fetch(url, { ...options, headers });
}

async function step(sentence, body) {
  try {
    await body();
  } catch (error) {
    console.log(`not ok ${sentence}: ${error.message}`);
    process.exit(1);
  }
  console.log(`ok ${sentence}`);
}

function data(answer) {
  assert.equal(answer.error, null, JSON.stringify(answer.error));
  return answer.data;
}

const plain = (text) => text.replaceAll("&amp;", "&");

/** The newest mail to an address, from the page of the local mail box. */
async function mail(to) {
  const page = await (await fetch(`${BASE}/auth/v1/mail-box`)).text();
  const section = page.split("<section>").find((each) => each.includes(`<p>To ${to},`));
  assert.ok(section, `no mail to ${to}`);
  const link = plain(section.match(/href="([^"]+)"/g)?.map((each) => each.slice(6, -1)).find((each) => each.includes("/verify")) ?? "");
  return { link, code: section.match(/^\d{6}$/m)[0], hash: new URL(link || "http://x").searchParams.get("token") };
}

/** Press the button of the page a link leads to, and give where the browser is sent. */
async function follow(link) {
  const url = new URL(link);
  const body = new URLSearchParams(Object.fromEntries(url.searchParams));
  const answer = await fetch(`${BASE}${url.pathname}`, { method: "POST", body, redirect: "manual" });
  assert.equal(answer.status, 303);
  return new URL(answer.headers.get("location"));
}

const anna = newClient();

await step("a sign-up waits for its mail and the code signs in", async () => {
  const { user, session } = data(await anna.auth.signUp({ email: address("anna"), password: PASSWORD }));
  assert.equal(session, null);
  assert.equal(user.identities.length, 1);
  const early = await anna.auth.signInWithPassword({ email: address("anna"), password: PASSWORD });
  assert.equal(early.error.code, "email_not_confirmed");
  const { code } = await mail(address("anna"));
  const found = data(await anna.auth.verifyOtp({ email: address("anna"), token: code, type: "signup" }));
  assert.ok(found.session.access_token);
});

await step("an address that is taken is not told", async () => {
  const other = newClient();
  const magic = address("taken");
  data(await other.auth.signInWithOtp({ email: magic }));
  data(await other.auth.verifyOtp({ email: magic, token: (await mail(magic)).code, type: "email" }));
  const { user, session } = data(await newClient().auth.signUp({ email: magic, password: PASSWORD }));
  assert.deepEqual([session, user.identities], [null, []]);
});

await step("a wrong code is refused", async () => {
  const answer = await newClient().auth.verifyOtp({ email: address("anna"), token: "000000", type: "email" });
  assert.deepEqual([answer.error.status, answer.error.code], [403, "otp_expired"]);
});

await step("a magic link leads to a session in the fragment", async () => {
  const client = newClient();
  data(await client.auth.signInWithOtp({ email: address("anna"), options: { shouldCreateUser: false } }));
  const target = await follow((await mail(address("anna"))).link);
  assert.equal(target.origin, "https://app.example");
  const values = new URLSearchParams(target.hash.slice(1));
  const tokens = { access_token: values.get("access_token"), refresh_token: values.get("refresh_token") };
  assert.equal(data(await client.auth.setSession(tokens)).user.email, address("anna"));
});

await step("a recovery by PKCE leads to a code that is exchanged once", async () => {
  const client = newClient("pkce");
  data(await client.auth.resetPasswordForEmail(address("anna"), { redirectTo: "https://app.example/reset" }));
  const target = await follow((await mail(address("anna"))).link);
  const code = target.searchParams.get("code");
  data(await client.auth.exchangeCodeForSession(code));
  data(await client.auth.updateUser({ password: `${PASSWORD}-2` }));
  const again = await newClient().auth.signInWithPassword({ email: address("anna"), password: `${PASSWORD}-2` });
  assert.equal(again.error, null);
});

await step("a sign-up is mailed once more", async () => {
  data(await newClient().auth.signUp({ email: address("bruno"), password: PASSWORD }));
  const first = await mail(address("bruno"));
  data(await newClient().auth.resend({ type: "signup", email: address("bruno") }));
  const second = await mail(address("bruno"));
  assert.notEqual(first.hash, second.hash);
  const answer = data(await newClient().auth.verifyOtp({ token_hash: second.hash, type: "signup" }));
  assert.equal(answer.user.email, address("bruno"));
});

await step("an address changes when both have agreed", async () => {
  const client = newClient();
  data(await client.auth.signInWithPassword({ email: address("bruno"), password: PASSWORD }));
  const { user } = data(await client.auth.updateUser({ email: address("bruno2") }));
  assert.equal(user.new_email, address("bruno2"));
  const old = await mail(address("bruno"));
  const half = await client.auth.verifyOtp({ token_hash: old.hash, type: "email_change" });
  assert.equal(half.error, null);
  assert.equal(half.data.session, null);
  const whole = await mail(address("bruno2"));
  const found = data(await client.auth.verifyOtp({ email: address("bruno2"), token: whole.code, type: "email_change" }));
  assert.equal(found.user.email, address("bruno2"));
});

await step("a nonce is mailed and spent", async () => {
  const client = newClient();
  data(await client.auth.signInWithPassword({ email: address("bruno2"), password: PASSWORD }));
  data(await client.auth.reauthenticate());
  const { code } = await mail(address("bruno2"));
  const wrong = await client.auth.updateUser({ password: `${PASSWORD}-3`, nonce: code === "000000" ? "1" : "000000" });
  assert.equal(wrong.error.code, "reauthentication_not_valid");
  data(await client.auth.updateUser({ password: `${PASSWORD}-3`, nonce: code }));
});

await step("an anonymous user becomes permanent", async () => {
  const client = newClient();
  const { user } = data(await client.auth.signInAnonymously());
  assert.equal(user.is_anonymous, true);
  data(await client.auth.updateUser({ email: address("clara") }));
  const { code } = await mail(address("clara"));
  const found = data(await client.auth.verifyOtp({ email: address("clara"), token: code, type: "email_change" }));
  assert.deepEqual([found.user.id, found.user.is_anonymous], [user.id, false]);
});
