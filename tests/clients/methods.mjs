// Every builder method of postgrest-js, tried on a server that `methods_app.py` serves. Environment: BASE.
// Prints one JSON line for each method: its name and "works", or the code of the refusal, or what was wrong.
import assert from "node:assert/strict";
import * as postgrest from "@supabase/postgrest-js";

const { PostgrestClient } = postgrest;
const { BASE } = process.env;
const client = new PostgrestClient(`${BASE}/rest/v1`);
const films = () => client.from("films").select("id");
const refill = () => fetch(`${BASE}/refill`, { method: "POST" });

class Refused extends Error {}

/** The data of an answer; its error is a refusal. */
async function data(builder) {
  const answer = await builder;
  if (answer.error) throw new Refused(answer.error.code || answer.error.message);
  return answer.data;
}

/** A check that the rows of a builder have these ids, in any order. */
const finds = (ids, build) => async () => {
  const rows = await data(build(films()));
  assert.deepEqual(rows.map((row) => row.id).sort(), ids);
};

const gives = (expected, build) => async () => assert.deepEqual(await data(build()), expected);

const METHODS = {
  // the client
  from: gives([{ id: 1 }], () => client.from("films").select("id").eq("id", 1)),
  schema: gives([{ id: 1 }], () => client.schema("public").from("films").select("id").eq("id", 1)),
  rpc: gives(5, () => client.rpc("add", { a: 2, b: 3 })),
  getOpenApiSpec: async () => assert.ok((await data(client.getOpenApiSpec())).paths["/films"]),
  // reading
  select: gives([{ title: "Heat", director: { name: "Mann" } }], () =>
    client.from("films").select("title, director:directors(name)").eq("id", 1)),
  order: gives([{ id: 1 }, { id: 2 }, { id: 3 }], () => films().order("rating", { ascending: false, nullsFirst: false })),
  limit: gives([{ id: 3 }], () => films().order("year").limit(1)),
  range: gives([{ id: 2 }, { id: 3 }], () => films().order("id").range(1, 2)),
  single: gives({ id: 1 }, () => films().eq("id", 1).single()),
  maybeSingle: gives(null, () => films().eq("id", 9).maybeSingle()),
  csv: gives("id,title\n1,Heat", () => client.from("films").select("id,title").eq("id", 1).csv()),
  geojson: async () => assert.equal((await data(films().geojson())).type, "FeatureCollection"),
  explain: async () => assert.ok((await data(films().explain())).length > 0),
  stripNulls: gives([{ id: 3 }], () => client.from("films").select("id,rating").eq("id", 3).stripNulls()),
  abortSignal: finds([1, 2, 3], (rows) => rows.abortSignal(new AbortController().signal)),
  returns: finds([1, 2, 3], (rows) => rows.returns()),
  overrideTypes: finds([1, 2, 3], (rows) => rows.overrideTypes()),
  throwOnError: async () => {
    await assert.rejects(async () => await client.from("nothing").select().throwOnError(), { code: "PGRST205" });
  },
  setHeader: finds([1, 2, 3], (rows) => rows.setHeader("X-Own", "1")),
  retry: finds([1, 2, 3], (rows) => rows.retry(false)),
  // filters
  eq: finds([1], (rows) => rows.eq("title", "Heat")),
  neq: finds([2, 3], (rows) => rows.neq("title", "Heat")),
  gt: finds([1], (rows) => rows.gt("year", 1981)),
  gte: finds([1, 2], (rows) => rows.gte("year", 1981)),
  lt: finds([3], (rows) => rows.lt("year", 1981)),
  lte: finds([2, 3], (rows) => rows.lte("year", 1981)),
  like: finds([1], (rows) => rows.like("title", "H%")),
  likeAllOf: finds([2], (rows) => rows.likeAllOf("title", ["T%", "%f"])),
  likeAnyOf: finds([1, 2], (rows) => rows.likeAnyOf("title", ["H%", "%f"])),
  ilike: finds([1], (rows) => rows.ilike("title", "h%")),
  ilikeAllOf: finds([2], (rows) => rows.ilikeAllOf("title", ["t%", "%F"])),
  ilikeAnyOf: finds([1, 2], (rows) => rows.ilikeAnyOf("title", ["h%", "%F"])),
  regexMatch: finds([2, 3], (rows) => rows.regexMatch("title", "^Th")),
  regexIMatch: finds([2, 3], (rows) => rows.regexIMatch("title", "^th")),
  is: finds([3], (rows) => rows.is("rating", null)),
  isDistinct: finds([2, 3], (rows) => rows.isDistinct("rating", 8.5)),
  in: finds([1, 3], (rows) => rows.in("title", ["Heat", "The Driver"])),
  notIn: finds([2], (rows) => rows.notIn("id", [1, 3])),
  contains: finds([1], (rows) => rows.contains("tags", ["heist"]).contains("info", { studio: "Regency" })),
  containedBy: finds([2, 3], (rows) => rows.containedBy("tags", ["crime", "noir"])),
  overlaps: finds([1, 2], (rows) => rows.overlaps("tags", ["crime", "noir"])),
  rangeGt: finds([2, 3], (rows) => rows.rangeGt("span", "[1,5)")),
  rangeGte: finds([2, 3], (rows) => rows.rangeGte("span", "[5,10)")),
  rangeLt: finds([1, 2], (rows) => rows.rangeLt("span", "[20,30)")),
  rangeLte: finds([1, 2], (rows) => rows.rangeLte("span", "[5,10)")),
  rangeAdjacent: finds([1], (rows) => rows.rangeAdjacent("span", "[5,10)")),
  textSearch: finds([1], (rows) => rows.textSearch("words", "heat", { type: "websearch", config: "english" })),
  match: finds([2], (rows) => rows.match({ year: 1981, seen: false })),
  not: finds([2, 3], (rows) => rows.not("title", "like", "H*")),
  or: finds([1, 2], (rows) => rows.or("title.eq.Heat,and(year.gt.1980,seen.is.false)")),
  filter: finds([1, 2], (rows) => rows.filter("id", "in", "(1,2)")),
  // writing
  insert: gives([{ id: 7, title: "Ronin" }], () =>
    client.from("films").insert([{ id: 7, title: "Ronin" }]).select("id,title")),
  upsert: gives([{ id: 1, title: "Heat!" }], () =>
    client.from("films").upsert({ id: 1, title: "Heat!" }, { onConflict: "id" }).select("id,title")),
  update: gives([{ id: 2, seen: true }], () => client.from("films").update({ seen: true }).eq("id", 2).select("id,seen")),
  delete: gives([{ id: 3 }], () => client.from("films").delete().eq("id", 3).select("id")),
  maxAffected: async () => {
    const answer = await client.from("films").delete().gt("id", 0).maxAffected(1);
    if (answer.error?.code !== "PGRST124") throw new Refused(answer.error?.code ?? `status ${answer.status}`);
  },
  rollback: async () => {
    await data(client.from("films").delete().eq("id", 1).rollback());
    assert.equal((await data(films())).length, 3);
  },
};
const WRITES = new Set(["insert", "upsert", "update", "delete", "maxAffected", "rollback"]);
const INNER = new Set(["constructor", "then", "processResponse", "decorateFetch", "cloneRequestState", "toJSON"]);

/** Every method that the package's classes have. */
function there() {
  const classes = Object.values(postgrest).filter((each) => typeof each === "function");
  return new Set(classes.flatMap((each) => Object.getOwnPropertyNames(each.prototype)).filter((name) => !INNER.has(name)));
}

const missing = [...there()].filter((name) => !(name in METHODS));
assert.deepEqual(missing, [], "methods that nobody tries");
await refill();
for (const [method, attempt] of Object.entries(METHODS)) {
  let outcome = "works";
  try {
    await attempt();
  } catch (error) {
    outcome = error instanceof Refused ? error.message : `wrong: ${error.message}`;
  }
  if (WRITES.has(method)) await refill();
  console.log(JSON.stringify([method, outcome]));
}
