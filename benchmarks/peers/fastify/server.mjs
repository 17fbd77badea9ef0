// The peer: the service written by hand for speed, with Fastify, @fastify/jwt and better-sqlite3: prepared statements,
// answers written by schema, the database written ahead with synchronous FULL (an answered insert has reached the disk).
// DB is the path of the SQLite file, JWT_SECRET_KEY the secret, PORT the port. TOKEN_CACHE=1 keeps verified tokens.
import { scrypt, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import jwt from "@fastify/jwt";
import Database from "better-sqlite3";
import Fastify from "fastify";

const derive = promisify(scrypt);
const database = new Database(process.env.DB);
database.pragma("journal_mode = WAL");
database.pragma("synchronous = FULL");

const columns = "notes.id, notes.owner, notes.title, notes.body, notes.done, notes.created_at";
const page = "WHERE notes.owner = ? AND notes.done = ? ORDER BY notes.created_at DESC LIMIT 20";
const findUser = database.prepare("SELECT id, password FROM users WHERE email = ?");
const findNote = database.prepare(`SELECT ${columns} FROM notes WHERE id = ? AND owner = ?`);
const countNotes = database.prepare("SELECT count(*) AS count FROM notes WHERE owner = ?");
const listNotes = database.prepare(`SELECT ${columns} FROM notes ${page}`);
const listWithAuthor = database.prepare(
  `SELECT ${columns}, users.name AS author_name FROM notes JOIN users ON users.id = notes.owner ${page}`,
);
const insertNote = database.prepare(
  `INSERT INTO notes (owner, title, body, done, created_at) VALUES (?, ?, ?, 0, ?)
   RETURNING id, owner, title, body, done, created_at`,
);

const note = {
  type: "object",
  properties: {
    id: { type: "integer" },
    owner: { type: "integer" },
    title: { type: "string" },
    body: { type: "string" },
    done: { type: "boolean" },
    created_at: { type: "string" },
  },
};
const author = { type: "object", properties: { name: { type: "string" } } };
const noteWithAuthor = { type: "object", properties: { ...note.properties, author } };
const newNote = {
  type: "object",
  required: ["title", "body"],
  properties: { title: { type: "string" }, body: { type: "string" } },
};

const app = Fastify({ logger: false });
app.register(jwt, {
  secret: process.env.JWT_SECRET_KEY,
  verify: process.env.TOKEN_CACHE ? { cache: 2000 } : {},
});
const onRequest = async (request) => {
  await request.jwtVerify();
};
const caller = (request) => Number(request.user.sub);
const done = (request) => (request.query.done === "true" ? 1 : 0);

app.post("/login", async (request, reply) => {
  const user = findUser.get(request.body.email);
  if (!user) return reply.code(401).send({ msg: "Bad email or password" });
  const [salt, kept] = user.password.split("$");
  const derived = await derive(request.body.password, salt, 64);
  if (!timingSafeEqual(derived, Buffer.from(kept, "hex"))) return reply.code(401).send({ msg: "Bad email or password" });
  return { access_token: app.jwt.sign({ sub: String(user.id) }, { expiresIn: "2h" }) };
});

app.get("/whoami", { onRequest }, async (request) => ({ logged_in_as: request.user.sub }));

app.get("/notes/count", { onRequest }, async (request) => countNotes.get(caller(request)));

app.get("/notes/:id", { onRequest, schema: { response: { 200: note } } }, async (request, reply) => {
  const found = findNote.get(Number(request.params.id), caller(request));
  return found ?? reply.code(404).send({ msg: "Not found" });
});

app.get("/notes", { onRequest, schema: { response: { 200: { type: "array", items: note } } } }, async (request) =>
  listNotes.all(caller(request), done(request)),
);

app.get(
  "/notes-with-author",
  { onRequest, schema: { response: { 200: { type: "array", items: noteWithAuthor } } } },
  async (request) => {
    const rows = listWithAuthor.all(caller(request), done(request));
    return rows.map((row) => ({ ...row, author: { name: row.author_name } }));
  },
);

app.post("/notes", { onRequest, schema: { body: newNote, response: { 201: note } } }, async (request, reply) => {
  const { title, body } = request.body;
  return reply.code(201).send(insertNote.get(caller(request), title, body, new Date().toISOString()));
});

app.listen({ host: "127.0.0.1", port: Number(process.env.PORT) });
