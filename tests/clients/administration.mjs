// Every method of `auth.admin` in supabase-js. Environment: BASE, KEY (a secret key), PUBLIC (a publishable one).
// Prints `ok <step>` for each step that holds; the first that does not ends it with status 1. administration.py is
// the same in Python.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { createClient } from "@supabase/supabase-js";

const { BASE, KEY, PUBLIC } = process.env;
const PASSWORD = "a-long-enough-passphrase";
const run = Math.random().toString(36).slice(2, 10);
const address = (name) => `${name}-${run}@example.com`;
const client = (key) => createClient(BASE, key, { auth: { persistSession: false, autoRefreshToken: false } });
const { admin } = client(KEY).auth;
const ids = {};

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

const code = async (answer) => (await answer).error?.code;

async function signedIn(name) {
  const made = client(PUBLIC);
  const answer = await made.auth.signInWithPassword({ email: address(name), password: PASSWORD });
  return { made, answer, session: answer.data.session };
}

/** Spend a link, and give whose it was. */
async function verified(token_hash, type) {
  const answer = data(await client(PUBLIC).auth.verifyOtp({ token_hash, type }));
  assert.ok(answer.session.access_token);
  return answer.user.id;
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

await step("users are created", async () => {
  for (const name of ["ada", "bea", "cem"]) {
    const given = { email: address(name), password: PASSWORD, email_confirm: true, user_metadata: { name } };
    const { user } = data(await admin.createUser(given));
    ids[name] = user.id;
    assert.deepEqual([user.email, user.user_metadata], [address(name), { name, email_verified: true }]);
  }
});

await step("a taken address is refused", async () => {
  assert.equal(await code(admin.createUser({ email: address("ada") })), "email_exists");
});

await step("users are listed in pages", async () => {
  const first = data(await admin.listUsers({ page: 1, perPage: 2 }));
  assert.deepEqual(first.users.map((user) => user.id), [ids.cem, ids.bea]);
  assert.equal(first.nextPage, 2);
  assert.equal(first.lastPage, Math.ceil(first.total / 2));
  const second = data(await admin.listUsers({ page: 2, perPage: 2 }));
  assert.ok(second.users.some((user) => user.id === ids.ada));
});

await step("a user is found by id", async () => {
  assert.equal(data(await admin.getUserById(ids.ada)).user.email, address("ada"));
  assert.equal(await code(admin.getUserById("6f1c1a4e-0d5e-4e0c-8b7a-2f3b1c9d8e7f")), "user_not_found");
});

await step("a user is changed", async () => {
  const wanted = { email: address("ada2"), email_confirm: true, app_metadata: { org: 7 }, ban_duration: "24h" };
  const { user } = data(await admin.updateUserById(ids.ada, wanted));
  assert.deepEqual([user.email, user.app_metadata.org], [address("ada2"), 7]);
  assert.equal((await signedIn("ada2")).answer.error.code, "user_banned");
  data(await admin.updateUserById(ids.ada, { ban_duration: "none" }));
  data((await signedIn("ada2")).answer);
});

await step("factors are listed and removed", async () => {
  const { made } = await signedIn("bea");
  const factor = data(await made.auth.mfa.enroll({ factorType: "totp", friendlyName: "app" }));
  data(await made.auth.mfa.challengeAndVerify({ factorId: factor.id, code: codeOf(factor.totp.secret) }));
  const { factors } = data(await admin.mfa.listFactors({ userId: ids.bea }));
  assert.deepEqual(factors.map((each) => each.id), [factor.id]);
  // This client wraps the answer twice.
  assert.equal(data(await admin.mfa.deleteFactor({ userId: ids.bea, id: factor.id })).data.id, factor.id);
});

await step("links are generated", async () => {
  const signUp = data(await admin.generateLink({ type: "signup", email: address("dan"), password: PASSWORD }));
  const id = await verified(signUp.properties.hashed_token, "signup");
  assert.equal(id, signUp.user.id);
  for (const type of ["magiclink", "recovery"]) {
    const { properties } = data(await admin.generateLink({ type, email: address("dan") }));
    assert.equal(properties.verification_type, type);
    assert.ok(properties.action_link.includes(`type=${type}`));
    assert.equal(await verified(properties.hashed_token, type), id);
  }
  const invited = data(await admin.generateLink({ type: "invite", email: address("eli") }));
  assert.equal(await verified(invited.properties.hashed_token, "invite"), invited.user.id);
  const wanted = { type: "email_change_new", email: address("dan"), newEmail: address("dan2") };
  assert.equal(data(await admin.generateLink(wanted)).properties.email_otp.length, 6);
});

await step("users are invited", async () => {
  const { user } = data(await admin.inviteUserByEmail(address("fay"), { data: { team: 7 } }));
  assert.deepEqual([user.email, user.user_metadata.team], [address("fay"), 7]);
});

await step("users are signed out", async () => {
  const { made, session } = await signedIn("cem");
  data(await admin.signOut(session.access_token));
  assert.equal((await made.auth.getUser(session.access_token)).error.name, "AuthSessionMissingError");
});

await step("users are deleted", async () => {
  data(await admin.deleteUser(ids.bea));
  data(await admin.deleteUser(ids.cem, true));
  assert.equal(await code(admin.getUserById(ids.bea)), "user_not_found");
  assert.equal((await signedIn("cem")).answer.error.code, "invalid_credentials");
});

await step("a publishable key administers nobody", async () => {
  assert.equal(await code(client(PUBLIC).auth.admin.listUsers()), "not_admin");
});
