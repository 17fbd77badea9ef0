// Every method of auth-js, tried on a server that `mail_app.py` is served by. Environment: BASE, KEY (a secret key), PUBLIC
// (a publishable one). Prints one JSON line for each method: its name and "works", or the code of the refusal, or what was
// wrong. `auth_methods.py` is the same in Python.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { AuthAdminApi, AuthClient } from "@supabase/auth-js";

const { BASE, KEY, PUBLIC } = process.env;
const PASSWORD = "a-long-enough-passphrase";
const SITE = "https://app.example";
const experimental = { recoveryCodes: true, passkey: true };
const headers = (key) => ({ apikey: key, Authorization: `Bearer ${key}` });
const client = (more = {}) =>
  new AuthClient({ url: `${BASE}/auth/v1`, headers: headers(PUBLIC), autoRefreshToken: false, experimental, ...more });
const admin = new AuthAdminApi({ url: `${BASE}/auth/v1`, headers: headers(KEY), experimental });
const run = Math.random().toString(36).slice(2, 10);
let number = 0;

class Refused extends Error {}

/** The data of an answer; its error is a refusal. */
async function data(promise) {
  const answer = await promise;
  if (answer.error) throw new Refused(answer.error.code ?? `${answer.error.status ?? answer.error.message}`);
  return answer.data;
}

/** An address nobody has used. */
const address = () => `u${(number += 1)}-${run}@example.com`;

/** Link and code of the newest mail to an address. */
async function mail(to) {
  const page = await (await fetch(`${BASE}/auth/v1/mail-box`)).text();
  const section = page.split("<section>").find((each) => each.includes(`<p>To ${to},`));
  const link = (/href="([^"]*verify[^"]*)"/.exec(section)?.[1] ?? "").replaceAll("&amp;", "&");
  return { link, code: /^\d{6}$/m.exec(section)[0], hash: link ? new URL(link).searchParams.get("token") : "" };
}

/** Press the button of the page a link leads to, and give where the browser is sent. */
async function follow(link) {
  const url = new URL(link);
  const answer = await fetch(`${BASE}${url.pathname}`, { method: "POST", body: url.searchParams, redirect: "manual" });
  return new URL(answer.headers.get("location"));
}

/** Somebody who has signed up, proven the address and is signed in. */
async function somebody(more) {
  const email = address();
  const auth = client(more);
  await data(auth.signUp({ email, password: PASSWORD }));
  const { user, session } = await data(auth.verifyOtp({ email, token: (await mail(email)).code, type: "signup" }));
  return { auth, email, user, session };
}

/** The code an authenticator app shows for a secret in base32 (RFC 6238). */
function codeOf(secret) {
  const bits = [...secret].map((sign) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(sign).toString(2).padStart(5, "0"));
  const key = Buffer.from(bits.join("").match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
  const mac = createHmac("sha1", key).update(counter).digest();
  return String((mac.readUInt32BE(mac[19] & 15) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

/** Somebody with a factor that waits for its first code. */
async function enrolling() {
  const person = await somebody();
  const factor = await data(person.auth.mfa.enroll({ factorType: "totp", friendlyName: "app" }));
  return { ...person, factor, code: () => codeOf(factor.totp.secret) };
}

/** Somebody whose session shows a second factor. */
async function raised() {
  const person = await enrolling();
  await data(person.auth.mfa.challengeAndVerify({ factorId: person.factor.id, code: person.code() }));
  return person;
}

/** Somebody who has recovery codes too. */
async function withCodes() {
  const person = await raised();
  return { ...person, made: await data(person.auth.mfa.recoveryCodes.generate({})) };
}

/** A method that is not there yet: whatever it is called with, the server says so. */
const absent = (call) => async () => {
  const { auth } = await somebody();
  await data(call(auth));
};

const credential = { provider: "google", token: "x" };
const wallet = { message: "x", signature: "0x1" };
const id = "6f1c1a4e-0d5e-4e0c-8b7a-2f3b1c9d8e7f";

const METHODS = {
  initialize: async () => assert.equal((await client().initialize()).error, null),
  signUp: async () => {
    const { user, session } = await data(client().signUp({ email: address(), password: PASSWORD }));
    assert.deepEqual([user.identities.length, session], [1, null]);
  },
  signInAnonymously: async () => assert.ok((await data(client().signInAnonymously())).user.is_anonymous),
  signInWithPassword: async () => {
    const { email } = await somebody();
    assert.equal((await data(client().signInWithPassword({ email, password: PASSWORD }))).user.email, email);
  },
  signInWithOtp: async () => {
    const email = address();
    await data(client().signInWithOtp({ email }));
    assert.ok((await data(client().verifyOtp({ email, token: (await mail(email)).code, type: "email" }))).session);
  },
  verifyOtp: async () => {
    const { email } = await somebody();
    await data(client().signInWithOtp({ email }));
    const { session } = await data(client().verifyOtp({ token_hash: (await mail(email)).hash, type: "magiclink" }));
    assert.equal(session.user.email, email);
  },
  exchangeCodeForSession: async () => {
    const { email } = await somebody();
    const auth = client({ flowType: "pkce" });
    await data(auth.resetPasswordForEmail(email, { redirectTo: `${SITE}/reset` }));
    const code = (await follow((await mail(email)).link)).searchParams.get("code");
    assert.equal((await data(auth.exchangeCodeForSession(code))).user.email, email);
  },
  resetPasswordForEmail: async () => {
    const { email } = await somebody();
    await data(client().resetPasswordForEmail(email));
    assert.ok((await follow((await mail(email)).link)).hash.includes("type=recovery"));
  },
  resend: async () => {
    const email = address();
    await data(client().signUp({ email, password: PASSWORD }));
    const first = await mail(email);
    await data(client().resend({ type: "signup", email }));
    assert.notEqual((await mail(email)).hash, first.hash);
  },
  getSession: async () => {
    const { auth, session } = await somebody();
    assert.equal((await data(auth.getSession())).session.access_token, session.access_token);
  },
  refreshSession: async () => {
    const { auth, session } = await somebody();
    assert.notEqual((await data(auth.refreshSession())).session.refresh_token, session.refresh_token);
  },
  setSession: async () => {
    const { session } = await somebody();
    assert.equal((await data(client().setSession(session))).user.id, session.user.id);
  },
  getUser: async () => {
    const { auth, email } = await somebody();
    assert.equal((await data(auth.getUser())).user.email, email);
  },
  getClaims: async () => {
    const { auth, user } = await somebody();
    assert.equal((await data(auth.getClaims())).claims.sub, user.id);
  },
  getUserIdentities: async () => {
    const { auth } = await somebody();
    assert.deepEqual((await data(auth.getUserIdentities())).identities.map((each) => each.provider), ["email"]);
  },
  updateUser: async () => {
    const { auth } = await somebody();
    assert.equal((await data(auth.updateUser({ data: { colour: "red" } }))).user.user_metadata.colour, "red");
  },
  reauthenticate: async () => {
    const { auth, email } = await somebody();
    await data(auth.reauthenticate());
    await data(auth.updateUser({ password: `${PASSWORD}-2`, nonce: (await mail(email)).code }));
  },
  signOut: async () => {
    const { auth, session } = await somebody();
    assert.equal((await auth.signOut()).error, null);
    assert.equal((await client().getUser(session.access_token)).error.name, "AuthSessionMissingError");
  },
  onAuthStateChange: async () => {
    const told = [];
    const { auth } = await somebody();
    const { subscription } = auth.onAuthStateChange((event) => told.push(event)).data;
    await auth.signOut();
    subscription.unsubscribe();
    assert.ok(told.includes("SIGNED_OUT"), told.join());
  },
  startAutoRefresh: async () => await client().startAutoRefresh(),
  stopAutoRefresh: async () => {
    const { auth } = await somebody();
    await auth.startAutoRefresh();
    await auth.stopAutoRefresh();
  },
  "mfa.enroll": async () => assert.ok((await enrolling()).factor.totp.qr_code.startsWith("data:image/svg+xml;utf-8,<svg")),
  "mfa.challenge": async () => {
    const { auth, factor } = await enrolling();
    assert.ok((await data(auth.mfa.challenge({ factorId: factor.id }))).expires_at * 1000 > Date.now());
  },
  "mfa.verify": async () => {
    const { auth, factor, code } = await enrolling();
    const challenge = await data(auth.mfa.challenge({ factorId: factor.id }));
    assert.ok((await data(auth.mfa.verify({ factorId: factor.id, challengeId: challenge.id, code: code() }))).access_token);
  },
  "mfa.challengeAndVerify": async () => assert.ok((await raised()).factor.id),
  "mfa.listFactors": async () => assert.equal((await data((await raised()).auth.mfa.listFactors())).totp.length, 1),
  "mfa.getAuthenticatorAssuranceLevel": async () => {
    const { auth } = await raised();
    assert.equal((await data(auth.mfa.getAuthenticatorAssuranceLevel())).currentLevel, "aal2");
  },
  "mfa.unenroll": async () => {
    const { auth, factor } = await raised();
    assert.equal((await data(auth.mfa.unenroll({ factorId: factor.id }))).id, factor.id);
  },
  "mfa.recoveryCodes.generate": async () => assert.equal((await withCodes()).made.codes.length, 10),
  "mfa.recoveryCodes.getStatus": async () => {
    const { auth } = await withCodes();
    assert.equal((await data(auth.mfa.recoveryCodes.getStatus())).remaining, 10);
  },
  "mfa.recoveryCodes.verify": async () => {
    const { email, made } = await withCodes();
    const auth = client();
    await data(auth.signInWithPassword({ email, password: PASSWORD }));
    await data(auth.mfa.recoveryCodes.verify({ code: made.codes[0] }));
    assert.equal((await data(auth.mfa.getAuthenticatorAssuranceLevel())).currentLevel, "aal2");
  },
  "mfa.recoveryCodes.regenerate": async () => {
    const { auth, made } = await withCodes();
    assert.ok(!(await data(auth.mfa.recoveryCodes.regenerate())).codes.includes(made.codes[0]));
  },
  "mfa.recoveryCodes.unenroll": async () => {
    const { auth, made } = await withCodes();
    assert.equal((await data(auth.mfa.recoveryCodes.unenroll())).id, made.id);
  },
  "admin.createUser": async () => {
    const email = address();
    assert.equal((await data(admin.createUser({ email, email_confirm: true }))).user.email, email);
  },
  "admin.listUsers": async () => {
    const { user } = await data(admin.createUser({ email: address() }));
    const page = await data(admin.listUsers({ page: 1, perPage: 1 }));
    assert.deepEqual([page.users.map((each) => each.id), page.nextPage], [[user.id], 2]);
  },
  "admin.getUserById": async () => {
    const { user } = await data(admin.createUser({ email: address() }));
    assert.equal((await data(admin.getUserById(user.id))).user.email, user.email);
  },
  "admin.updateUserById": async () => {
    const { user } = await data(admin.createUser({ email: address() }));
    const changed = await data(admin.updateUserById(user.id, { app_metadata: { org: 7 }, ban_duration: "24h" }));
    assert.deepEqual([changed.user.app_metadata.org, Boolean(changed.user.banned_until)], [7, true]);
  },
  "admin.deleteUser": async () => {
    const { user } = await data(admin.createUser({ email: address() }));
    await data(admin.deleteUser(user.id));
    assert.equal((await admin.getUserById(user.id)).error.code, "user_not_found");
  },
  "admin.inviteUserByEmail": async () => {
    const email = address();
    const { user } = await data(admin.inviteUserByEmail(email, { data: { team: 7 } }));
    assert.equal((await data(client().verifyOtp({ token_hash: (await mail(email)).hash, type: "invite" }))).user.id, user.id);
  },
  "admin.generateLink": async () => {
    const { properties, user } = await data(admin.generateLink({ type: "signup", email: address(), password: PASSWORD }));
    const found = await data(client().verifyOtp({ token_hash: properties.hashed_token, type: "signup" }));
    assert.equal(found.user.id, user.id);
  },
  "admin.signOut": async () => {
    const { auth, session } = await somebody();
    await data(admin.signOut(session.access_token, "global"));
    assert.equal((await auth.getUser(session.access_token)).error.name, "AuthSessionMissingError");
  },
  "admin.mfa.listFactors": async () => {
    const { factor, user } = await raised();
    assert.deepEqual((await data(admin.mfa.listFactors({ userId: user.id }))).factors.map((each) => each.id), [factor.id]);
  },
  "admin.mfa.deleteFactor": async () => {
    const { factor, user } = await raised();
    // This client wraps the answer twice.
    assert.equal((await data(admin.mfa.deleteFactor({ userId: user.id, id: factor.id }))).data.id, factor.id);
  },
  // Not there yet.
  signInWithIdToken: absent((auth) => auth.signInWithIdToken(credential)),
  signInWithOAuth: async () => {
    const { url } = await data(client().signInWithOAuth({ provider: "google", options: { skipBrowserRedirect: true } }));
    throw new Refused((await (await fetch(url, { headers: { "X-Supabase-Api-Version": "2024-01-01" } })).json()).code);
  },
  signInWithSSO: absent((auth) => auth.signInWithSSO({ domain: "example.com" })),
  signInWithWeb3: absent((auth) => auth.signInWithWeb3({ chain: "ethereum", ...wallet })),
  signInWithEthereum: absent((auth) => auth.signInWithEthereum({ chain: "ethereum", ...wallet })),
  signInWithSolana: absent((auth) => auth.signInWithSolana({ chain: "solana", message: "x", signature: new Uint8Array(1) })),
  linkIdentity: absent((auth) => auth.linkIdentity({ provider: "google" })),
  linkIdentityOAuth: absent((auth) => auth.linkIdentityOAuth({ provider: "google" })),
  linkIdentityIdToken: absent((auth) => auth.linkIdentityIdToken(credential)),
  unlinkIdentity: absent((auth) => auth.unlinkIdentity({ identity_id: id })),
  "oauth.getAuthorizationDetails": absent((auth) => auth.oauth.getAuthorizationDetails(id)),
  "oauth.approveAuthorization": absent((auth) => auth.oauth.approveAuthorization(id)),
  "oauth.denyAuthorization": absent((auth) => auth.oauth.denyAuthorization(id)),
  "oauth.listGrants": absent((auth) => auth.oauth.listGrants()),
  "oauth.revokeGrant": absent((auth) => auth.oauth.revokeGrant({ clientId: id })),
  "passkey.startRegistration": absent((auth) => auth.passkey.startRegistration()),
  "passkey.verifyRegistration": absent((auth) => auth.passkey.verifyRegistration({ challengeId: id, credential: {} })),
  "passkey.startAuthentication": absent((auth) => auth.passkey.startAuthentication()),
  "passkey.verifyAuthentication": absent((auth) => auth.passkey.verifyAuthentication({ challengeId: id, credential: {} })),
  "passkey.list": absent((auth) => auth.passkey.list()),
  "passkey.update": absent((auth) => auth.passkey.update({ passkeyId: id, friendlyName: "x" })),
  "passkey.delete": absent((auth) => auth.passkey.delete({ passkeyId: id })),
  "admin.oauth.listClients": absent(() => admin.oauth.listClients()),
  "admin.oauth.createClient": absent(() => admin.oauth.createClient({ client_name: "x", redirect_uris: [SITE] })),
  "admin.oauth.getClient": absent(() => admin.oauth.getClient(id)),
  "admin.oauth.updateClient": absent(() => admin.oauth.updateClient(id, { client_name: "y" })),
  "admin.oauth.deleteClient": absent(() => admin.oauth.deleteClient(id)),
  "admin.oauth.regenerateClientSecret": absent(() => admin.oauth.regenerateClientSecret(id)),
  "admin.customProviders.listProviders": absent(() => admin.customProviders.listProviders()),
  "admin.customProviders.createProvider": absent(() => admin.customProviders.createProvider({ identifier: "custom:x" })),
  "admin.customProviders.getProvider": absent(() => admin.customProviders.getProvider("custom:x")),
  "admin.customProviders.updateProvider": absent(() => admin.customProviders.updateProvider("custom:x", {})),
  "admin.customProviders.deleteProvider": absent(() => admin.customProviders.deleteProvider("custom:x")),
  "admin.passkey.listPasskeys": absent(() => admin.passkey.listPasskeys({ userId: id })),
  "admin.passkey.deletePasskey": absent(() => admin.passkey.deletePasskey({ userId: id, passkeyId: id })),
};

// They ask nothing of the server, or ask an authenticator that only browsers have.
const INNER = new Set(["constructor", "isThrowOnErrorEnabled", "jwks", "jwks_cached_at", "fetchJwk", "dispose", "fetch"]);
const IN_BROWSERS = new Set(["signInWithPasskey", "registerPasskey", "mfa.webauthn"]);
const GROUPS = ["mfa", "oauth", "passkey"];
const ADMIN_GROUPS = ["mfa", "oauth", "customProviders", "passkey"];

/** Every method that the package has, by the name one calls it. */
function there() {
  const callable = (name) => !name.startsWith("_") && !INNER.has(name);
  const of = (object, prefix) =>
    Object.entries(object).flatMap(([name, value]) => {
      if (typeof value === "function") return [prefix + name];
      return IN_BROWSERS.has(prefix + name) ? [] : Object.keys(value).map((inner) => `${prefix}${name}.${inner}`);
    });
  const auth = client();
  return [
    ...Object.getOwnPropertyNames(AuthClient.prototype).filter(callable),
    ...Object.getOwnPropertyNames(AuthAdminApi.prototype).filter(callable).map((name) => `admin.${name}`),
    ...GROUPS.flatMap((group) => of(auth[group], `${group}.`)),
    ...ADMIN_GROUPS.flatMap((group) => of(admin[group], `admin.${group}.`)),
  ].filter((name) => !IN_BROWSERS.has(name));
}

const missing = there().filter((name) => !(name in METHODS));
assert.deepEqual(missing, [], "methods that nobody tries");
for (const [method, attempt] of Object.entries(METHODS)) {
  let outcome = "works";
  try {
    await attempt();
  } catch (error) {
    outcome = error instanceof Refused ? error.message : `wrong: ${error.message}`;
  }
  console.log(JSON.stringify([method, outcome]));
}
process.exit(0);
