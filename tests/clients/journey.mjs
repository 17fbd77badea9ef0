// The journey of two users through supabase-js. Environment: BASE, KEY. Prints `ok <step>` for each step that
// holds; the first that does not ends it with status 1. journey.py is the same journey in Python.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import http from "node:http";
import { createClient } from "@supabase/supabase-js";

const { BASE, KEY } = process.env;
const PASSWORD = "a-long-enough-passphrase";
const run = Math.random().toString(36).slice(2, 10);
const address = (name) => `${name}-${run}@example.com`;
const newClient = () => createClient(BASE, KEY, { auth: { persistSession: false, autoRefreshToken: false } });

const anna = newClient();
const bruno = newClient();
const owners = {};
const notes = {};
let topic;

async function step(sentence, body) {
  try {
    await body();
  } catch (error) {
    console.log(`not ok ${sentence}: ${error.message}`);
    process.exit(1);
  }
  console.log(`ok ${sentence}`);
}

/** The data of an answer that must not be an error. */
function data(answer) {
  assert.equal(answer.error, null, JSON.stringify(answer.error));
  return answer.data;
}

/** The code an authenticator app shows now for a secret in base32 (RFC 6238). */
function codeOf(secret) {
  const bits = [...secret].map((sign) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(sign).toString(2).padStart(5, "0"));
  const key = Buffer.from(bits.join("").match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
  const mac = createHmac("sha1", key).update(counter).digest();
  const number = (mac.readUInt32BE(mac[19] & 15) & 0x7fffffff) % 1_000_000;
  return String(number).padStart(6, "0");
}

const titles = (rows) => rows.map((row) => row.title).sort();

/** One request over a connection that the caller keeps: all requests of a connection meet one worker. */
function ask(agent, path, token) {
  const headers = { apikey: KEY, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  return new Promise((resolve, reject) => {
    http
      .get(BASE + path, { agent, headers }, (response) => {
        let body = "";
        response.on("data", (part) => (body += part));
        response.on("end", () => resolve({ status: response.statusCode, body: JSON.parse(body) }));
      })
      .on("error", reject);
  });
}

/** Ask both APIs with a token, connection after connection, until two workers have answered three times each. */
async function statusesOfBothWorkers(token) {
  const met = new Map();
  const statuses = new Set();
  for (let attempt = 0; attempt < 200; attempt++) {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const worker = (await ask(agent, "/worker")).body.worker;
    statuses.add(`auth ${(await ask(agent, "/auth/v1/user", token)).status}`);
    statuses.add(`rest ${(await ask(agent, "/rest/v1/notes?select=id", token)).status}`);
    agent.destroy();
    met.set(worker, (met.get(worker) ?? 0) + 1);
    if (met.size === 2 && Math.min(...met.values()) >= 3) return [...statuses].sort();
  }
  throw new Error(`only ${met.size} worker answered`);
}

await step("two users sign up", async () => {
  for (const [name, client] of Object.entries({ anna, bruno })) {
    const options = { data: { name, colour: "red" } };
    const { session, user } = data(await client.auth.signUp({ email: address(name), password: PASSWORD, options }));
    assert.ok(session.access_token && session.refresh_token);
    assert.equal(user.email, address(name));
    owners[name] = user.id;
  }
  const again = await newClient().auth.signUp({ email: address("anna"), password: PASSWORD });
  assert.equal(again.error.code, "user_already_exists");
});

await step("each inserts notes", async () => {
  topic = data(await anna.from("topics").insert({ name: `topic ${run}` }).select().single());
  const ofAnna = ["anna one", "anna two", "anna three"].map((title) => ({ title, topic_id: topic.id }));
  const ofBruno = ["bruno one", "bruno two"].map((title) => ({ title, topic_id: topic.id }));
  notes.anna = data(await anna.from("notes").insert(ofAnna).select());
  notes.bruno = data(await bruno.from("notes").insert(ofBruno).select());
  assert.deepEqual(notes.anna.map((note) => note.owner_id), Array(3).fill(owners.anna));
  assert.deepEqual(notes.bruno.map((note) => note.owner_id), Array(2).fill(owners.bruno));
});

await step("lists hold only one's own notes", async () => {
  assert.deepEqual(titles(data(await anna.from("notes").select())), ["anna one", "anna three", "anna two"]);
  assert.deepEqual(titles(data(await bruno.from("notes").select())), ["bruno one", "bruno two"]);
  assert.deepEqual(data(await newClient().from("notes").select()), []);
});

await step("counts count only one's own notes", async () => {
  assert.equal((await anna.from("notes").select("*", { count: "exact", head: true })).count, 3);
  assert.equal((await bruno.from("notes").select("id", { count: "exact" }).limit(1)).count, 2);
});

await step("embeds show only one's own notes", async () => {
  const query = (client) => client.from("topics").select("name, notes(title)").eq("id", topic.id).single();
  assert.deepEqual(titles(data(await query(anna)).notes), ["anna one", "anna three", "anna two"]);
  assert.deepEqual(titles(data(await query(bruno)).notes), ["bruno one", "bruno two"]);
  const withTopic = data(await bruno.from("notes").select("title, about:topics(name)").order("title").limit(1));
  assert.deepEqual(withTopic, [{ title: "bruno one", about: { name: topic.name } }]);
});

await step("filters find only one's own notes", async () => {
  const foreign = notes.bruno[0].id;
  assert.deepEqual(data(await anna.from("notes").select().eq("id", foreign)), []);
  assert.deepEqual(data(await anna.from("notes").select().in("owner_id", [owners.bruno])), []);
  assert.deepEqual(data(await anna.from("notes").select().ilike("title", "bruno%")), []);
  const either = await anna.from("notes").select("title").or("title.eq.bruno one,title.eq.anna one");
  assert.deepEqual(data(either), [{ title: "anna one" }]);
  const missing = await anna.from("notes").select().eq("id", foreign).single();
  assert.equal(missing.error.code, "PGRST116");
});

await step("a note cannot be given away", async () => {
  const mine = notes.anna[0].id;
  const given = await anna.from("notes").update({ owner_id: owners.bruno }).eq("id", mine).select();
  assert.equal(given.error.code, "42501");
  assert.equal(given.status, 403);
  const planted = await anna.from("notes").insert({ title: "planted", owner_id: owners.bruno });
  assert.notEqual(planted.error, null);
  assert.equal((await bruno.from("notes").select("*", { count: "exact", head: true })).count, 2);
  assert.equal(data(await anna.from("notes").select().eq("id", mine).single()).owner_id, owners.anna);
});

await step("a note cannot be grabbed", async () => {
  const theirs = notes.anna[0].id;
  assert.deepEqual(data(await bruno.from("notes").update({ owner_id: owners.bruno }).eq("id", theirs).select()), []);
  assert.deepEqual(data(await bruno.from("notes").update({ title: "mine" }).eq("id", theirs).select()), []);
  assert.deepEqual(data(await bruno.from("notes").delete().eq("id", theirs).select()), []);
  assert.equal(data(await anna.from("notes").select().eq("id", theirs).single()).title, "anna one");
});

await step("one's own notes change and go", async () => {
  const mine = notes.bruno[1].id;
  const changed = data(await bruno.from("notes").update({ title: "bruno again" }).eq("id", mine).select("title").single());
  assert.deepEqual(changed, { title: "bruno again" });
  assert.equal((await bruno.from("notes").delete().eq("id", mine)).status, 204);
  assert.deepEqual(titles(data(await bruno.from("notes").select())), ["bruno one"]);
});

await step("the session refreshes", async () => {
  const before = data(await anna.auth.getSession()).session;
  const { session } = data(await anna.auth.refreshSession());
  assert.notEqual(session.access_token, before.access_token);
  assert.notEqual(session.refresh_token, before.refresh_token);
  const claims = (token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
  assert.equal(claims(session.access_token).session_id, claims(before.access_token).session_id);
  assert.equal(data(await anna.from("notes").select()).length, 3);
});

await step("metadata changes", async () => {
  data(await anna.auth.updateUser({ data: { name: "Anna B.", colour: null, city: "Zürich" } }));
  const { user } = data(await anna.auth.getUser());
  assert.equal(user.user_metadata.name, "Anna B.");
  assert.equal(user.user_metadata.city, "Zürich");
  assert.ok(!("colour" in user.user_metadata));
  assert.equal(user.id, owners.anna);
});

const elsewhere = newClient();
const old = [];

await step("both workers accept the access tokens", async () => {
  const signedIn = await elsewhere.auth.signInWithPassword({ email: address("anna"), password: PASSWORD });
  old.push(data(await anna.auth.getSession()).session.access_token, data(signedIn).session.access_token);
  for (const token of old) assert.deepEqual(await statusesOfBothWorkers(token), ["auth 200", "rest 200"]);
});

await step("sign-out everywhere", async () => {
  data(await anna.auth.signOut({ scope: "global" }));
  assert.equal(data(await anna.auth.getSession()).session, null);
});

await step("the old access tokens are refused at once by both workers", async () => {
  for (const token of old) assert.deepEqual(await statusesOfBothWorkers(token), ["auth 403", "rest 401"]);
});

await step("the other session cannot refresh", async () => {
  const refreshed = await elsewhere.auth.refreshSession();
  assert.ok(refreshed.error.status === 400 || refreshed.error.status === 403, String(refreshed.error.status));
});

await step("a new sign-in finds the notes again", async () => {
  data(await anna.auth.signInWithPassword({ email: address("anna"), password: PASSWORD }));
  assert.equal((await anna.from("notes").select("*", { count: "exact", head: true })).count, 3);
  assert.deepEqual(titles(data(await bruno.from("notes").select())), ["bruno one"]);
});

const experimental = { recoveryCodes: true };
const withRecoveryCodes = () =>
  createClient(BASE, KEY, { auth: { persistSession: false, autoRefreshToken: false, experimental } });
const clara = withRecoveryCodes();
const claraElsewhere = withRecoveryCodes();
const signInElsewhere = async () =>
  data(await claraElsewhere.auth.signInWithPassword({ email: address("clara"), password: PASSWORD }));
let factor;
let used;

await step("a second factor is enrolled", async () => {
  data(await clara.auth.signUp({ email: address("clara"), password: PASSWORD }));
  await signInElsewhere();
  factor = data(await clara.auth.mfa.enroll({ factorType: "totp", friendlyName: "phone" }));
  assert.equal(factor.type, "totp");
  assert.equal(factor.friendly_name, "phone");
  assert.ok(factor.totp.qr_code.startsWith("data:image/svg+xml;utf-8,<svg"));
  assert.ok(factor.totp.uri.startsWith("otpauth://totp/"));
  const { all, totp } = data(await clara.auth.mfa.listFactors());
  assert.deepEqual([all.length, totp.length, all[0].status], [1, 0, "unverified"]);
});

await step("a code raises the session and ends the others", async () => {
  const challenge = data(await clara.auth.mfa.challenge({ factorId: factor.id }));
  assert.ok(challenge.expires_at > Date.now() / 1000);
  used = codeOf(factor.totp.secret);
  const raised = data(await clara.auth.mfa.verify({ factorId: factor.id, challengeId: challenge.id, code: used }));
  assert.deepEqual(raised.user.factors.map(({ status }) => status), ["verified"]);
  const { currentLevel, nextLevel, currentAuthenticationMethods } = data(
    await clara.auth.mfa.getAuthenticatorAssuranceLevel(),
  );
  assert.deepEqual([currentLevel, nextLevel, currentAuthenticationMethods[0].method], ["aal2", "aal2", "totp"]);
  assert.equal(data(await clara.auth.mfa.listFactors()).totp.length, 1);
  data(await clara.auth.refreshSession());
  assert.equal(data(await clara.auth.mfa.getAuthenticatorAssuranceLevel()).currentLevel, "aal2");
  const ended = await claraElsewhere.auth.getUser();
  assert.ok(ended.error);
});

await step("the same code is not taken again", async () => {
  const again = await clara.auth.mfa.challengeAndVerify({ factorId: factor.id, code: used });
  assert.deepEqual([again.error.status, again.error.code], [422, "mfa_verification_failed"]);
});

await step("a new sign-in must show the factor before sensitive changes", async () => {
  await signInElsewhere();
  const { currentLevel, nextLevel } = data(await claraElsewhere.auth.mfa.getAuthenticatorAssuranceLevel());
  assert.deepEqual([currentLevel, nextLevel], ["aal1", "aal2"]);
  const changed = await claraElsewhere.auth.updateUser({ password: "another-long-passphrase" });
  assert.deepEqual([changed.error.status, changed.error.code], [401, "insufficient_aal"]);
  const enrolled = await claraElsewhere.auth.mfa.enroll({ factorType: "totp", friendlyName: "thief" });
  assert.deepEqual([enrolled.error.status, enrolled.error.code], [403, "insufficient_aal"]);
  const removed = await claraElsewhere.auth.mfa.unenroll({ factorId: factor.id });
  assert.deepEqual([removed.error.status, removed.error.code], [422, "insufficient_aal"]);
});

await step("a recovery code raises a session once", async () => {
  const { codes } = data(await clara.auth.mfa.recoveryCodes.generate({ friendlyName: "paper" }));
  assert.equal(codes.length, 10);
  const typed = codes[0].toUpperCase().match(/.{4}/g).join("-");
  data(await claraElsewhere.auth.mfa.recoveryCodes.verify({ code: typed }));
  const level = data(await claraElsewhere.auth.mfa.getAuthenticatorAssuranceLevel());
  assert.deepEqual(
    [level.currentLevel, level.currentAuthenticationMethods[0].method],
    ["aal2", "mfa/recovery_code"],
  );
  const again = await claraElsewhere.auth.mfa.recoveryCodes.verify({ code: typed });
  assert.deepEqual([again.error.status, again.error.code], [422, "mfa_verification_failed"]);
  assert.equal(data(await clara.auth.mfa.recoveryCodes.getStatus()).remaining, 9);
  assert.equal(data(await clara.auth.mfa.recoveryCodes.regenerate()).codes.length, 10);
});

await step("without its factor the session falls back", async () => {
  assert.equal(data(await clara.auth.mfa.unenroll({ factorId: factor.id })).id, factor.id);
  data(await clara.auth.refreshSession());
  assert.equal(data(await clara.auth.mfa.getAuthenticatorAssuranceLevel()).currentLevel, "aal1");
  assert.deepEqual(data(await clara.auth.mfa.listFactors()).all, []);
});
