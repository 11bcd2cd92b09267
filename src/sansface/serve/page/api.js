/**
 * The service's API, over connections that break and tokens that expire.
 *
 * Every request is tried again after a lost connection, with longer and longer pauses; an expired token asks
 * the user to sign in and goes on. What the server refuses is a `Refusal` with its own sentence.
 */

const CHUNK = 256 * 1024;
const PATIENCE = 60_000; // of one request without an answer, ms
const SILENCE = 45_000; // of a stream that sends a line every 15 s, ms
const PAUSES = [1, 2, 4, 8, 15, 30].map((seconds) => 1000 * seconds);
const AGAIN = [408, 429, 502, 503, 504];
const TOKEN = "sansface-token";
const VANISHED = `The upload is no longer there: it was deleted elsewhere, or nothing came for too long. "Send exactly this" sends it again.`;
const session = storage();

/** What the server said no to; `status` is HTTP's. */
export class Refusal extends Error {
  constructor(status, sentence, answer = {}) {
    super(sentence);
    Object.assign(this, { status, answer });
  }
}

/** The connection broke before an answer came. */
class Lost extends Error {}

export class Api {
  /**
   * @param {() => Promise<boolean>} signIn asks the user to sign in, by `enter`; false if they will not
   * @param {(sentence: string | null) => void} tell that the connection is lost; null: it is back
   */
  constructor(signIn, tell = () => {}) {
    Object.assign(this, { signIn, tell, asking: null, told: false });
    this.begun = null; // {id, digest} of an upload that the server holds a part of; without digest it does not go on
  }

  get signedIn() {
    return session.getItem(TOKEN) !== null;
  }

  /** Get a token for a name and a password; it stays in this tab's session. */
  async enter(name, password) {
    const answer = await this.#once("POST", "tokens", { json: { name, password }, open: true });
    const { id, token } = await answer.json();
    session.setItem(TOKEN, JSON.stringify({ id, token }));
  }

  /** Give the token back; it is forgotten here even if the server cannot be reached. */
  async leave() {
    const id = this.#token()?.id;
    try {
      if (id) await this.#once("DELETE", `tokens/${id}`);
    } catch (error) {
      if (!(error instanceof Refusal || error instanceof Lost)) throw error;
    } finally {
      this.#forget();
    }
  }

  /** @returns {Promise<any>} the answer's JSON; null where there is none */
  async get(path, options = {}) {
    return this.#json("GET", path, options);
  }

  async post(path, json, options = {}) {
    return this.#json("POST", path, { json, ...options });
  }

  async delete(path) {
    return this.#json("DELETE", path);
  }

  /** A file of a job. @returns {Promise<Uint8Array>} */
  async file(job, name) {
    return this.#kept(async () => {
      const path = name.split("/").map(encodeURIComponent).join("/");
      const answer = await this.#once("GET", `jobs/${job}/files/${path}`);
      return new Uint8Array(await read(answer.arrayBuffer()));
    });
  }

  /**
   * Send a bundle, in chunks that go on where the connection broke. After a failure the next call goes on with what
   * the server still holds of the same bytes; what was refused, or left by the signal, is deleted there.
   * @param {Uint8Array} bytes
   * @param {string} digest its SHA-256 in hexadecimal
   * @param {(done: number) => void} progress bytes that have arrived
   * @param {AbortSignal} signal
   * @returns {Promise<string>} the bundle's id; at once if the server has it already
   * @throws {Refusal} also where the upload vanished meanwhile: whoever deleted it does not find it sent again
   */
  async upload(bytes, digest, progress, signal) {
    try {
      let at = await this.#begin(bytes.length, digest, signal);
      const id = this.begun?.id;
      while (!at.bundle) {
        progress(at.offset);
        at = await this.#chunk(id, bytes, at.offset, signal);
      }
      this.begun = null;
      progress(bytes.length);
      return at.bundle.id ?? at.bundle;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (error.status !== 404) {
        if (error.status < 500 && ![401, 429].includes(error.status)) await this.#abandon();
        throw error;
      }
      this.begun = null;
      const there = (await this.get("bundles", { signal })).find((bundle) => bundle.digest === digest);
      if (!there) throw new Refusal(404, VANISHED);
      return there.id; // all of it had come, and only the answer was lost
    }
  }

  /**
   * A job whenever it changes.
   * @param {string} id
   * @param {AbortSignal} signal
   * @yields {object} the job; null if it was deleted, and that is the last
   */
  async *events(id, signal) {
    for (;;) {
      try {
        const answer = await this.#kept(() => this.#once("GET", `jobs/${id}/events`, { signal, stream: true }), signal);
        for await (const { event, data } of serverSentEvents(answer.body, signal)) {
          if (event === "gone") return yield null;
          if (event === "expired") {
            this.#forget();
            break;
          }
          if (event !== "job") continue;
          const job = JSON.parse(data);
          yield job;
          if (["done", "dead", "cancelled"].includes(job.state)) return;
        }
      } catch (error) {
        if (error instanceof Refusal && error.status === 404) return yield null;
        if (signal?.aborted || !(error instanceof Lost)) throw error;
      }
      await pause(PAUSES[0], signal);
    }
  }

  /** Go on with what the server holds of these bytes, or begin. */
  async #begin(size, digest, signal) {
    if (this.begun?.digest === digest) {
      try {
        return await this.get(`uploads/${this.begun.id}`, { signal });
      } catch (error) {
        if (error.status !== 404) throw error;
      }
    } else await this.#abandon();
    // Asked again because the answer was lost, the server knows it by the key.
    const at = await this.post("uploads", { size, sha256: digest, key: drawnKey() }, { signal });
    this.begun = at.bundle ? null : { id: at.id, digest };
    signal?.addEventListener("abort", () => this.begun?.id === at.id && this.#abandon(), { once: true });
    return at;
  }

  /** Have the server forget what was begun; if it cannot be reached, before the next upload. */
  async #abandon() {
    const { begun } = this;
    if (!begun) return;
    begun.digest = null;
    try {
      await this.#once("DELETE", `uploads/${begun.id}`);
    } catch (error) {
      if (error instanceof Lost) return;
    }
    if (this.begun === begun) this.begun = null;
  }

  async #chunk(id, bytes, offset, signal) {
    try {
      const answer = await this.#once("PATCH", `uploads/${id}`, {
        body: bytes.subarray(offset, offset + CHUNK), headers: { "Upload-Offset": String(offset) }, signal,
      });
      return await read(answer.json());
    } catch (error) {
      if (error instanceof Refusal && error.status === 409) {
        // Where its end has come and only the answer was lost, the server takes its time over the whole.
        if (!(error.answer.offset > offset)) await pause(PAUSES[0], signal);
        return error.answer;
      }
      if (!(error instanceof Lost) && !waits(error) && error.status !== 401) throw error;
      await this.#after(error, 0, signal);
      return this.get(`uploads/${id}`, { signal }); // how much of it arrived?
    }
  }

  async #json(method, path, options = {}) {
    return this.#kept(async () => {
      const answer = await this.#once(method, path, options);
      return answer.status === 204 ? null : read(answer.json());
    }, options.signal);
  }

  /** Do it until it is answered. */
  async #kept(does, signal) {
    for (let attempt = 0; ; attempt++) {
      try {
        return await does();
      } catch (error) {
        await this.#after(error, attempt, signal);
      }
    }
  }

  /** Make it possible to try again, or throw. */
  async #after(error, attempt, signal) {
    if (signal?.aborted) throw error;
    if (error instanceof Refusal && error.status === 401) {
      this.#forget();
      this.asking ??= this.signIn().finally(() => { this.asking = null; });
      if (!(await this.asking)) throw new Refusal(401, "You are signed out; sign in to go on.");
      return;
    }
    if (!(error instanceof Lost) && !waits(error)) throw error;
    if (error instanceof Refusal && error.status === 429 && attempt >= PAUSES.length) throw error;
    this.told = true;
    this.tell(error instanceof Lost ? "The connection is lost; trying again." : error.message);
    await pause(Math.max(error.seconds ?? 0, PAUSES[Math.min(attempt, PAUSES.length - 1)]), signal);
  }

  /** One request; throws Lost, or Refusal with the server's sentence. */
  async #once(method, path, { json, body, headers = {}, signal, open = false, stream = false } = {}) {
    signal?.throwIfAborted();
    const token = this.#token();
    if (!open && !token) throw new Refusal(401, "You are signed out; sign in to go on.");
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), PATIENCE);
    const aborted = () => stop.abort();
    signal?.addEventListener("abort", aborted);
    let answer;
    try {
      answer = await fetch(`api/v1/${path}`, {
        method,
        headers: {
          ...headers,
          ...(token && !open ? { Authorization: `Bearer ${token.token}` } : {}),
          ...(json ? { "Content-Type": "application/json" } : body ? { "Content-Type": "application/octet-stream" } : {}),
        },
        body: json ? JSON.stringify(json) : body,
        cache: "no-store", credentials: "omit", redirect: "error", referrerPolicy: "no-referrer", signal: stop.signal,
      });
    } catch {
      signal?.throwIfAborted();
      throw new Lost();
    } finally {
      clearTimeout(timer);
      if (!stream) signal?.removeEventListener("abort", aborted);
    }
    if (this.told && !AGAIN.includes(answer.status)) {
      this.told = false;
      this.tell(null);
    }
    if (answer.ok) return answer;
    const said = await answer.json().catch(() => ({}));
    const sentence = typeof said.detail === "string" ? said.detail : `The server answered ${answer.status}; try again later.`;
    const refusal = new Refusal(answer.status, sentence, said);
    refusal.seconds = 1000 * (Number(answer.headers.get("Retry-After")) || 0);
    throw refusal;
  }

  #token() {
    try {
      return JSON.parse(session.getItem(TOKEN));
    } catch {
      return null;
    }
  }

  #forget() {
    session.removeItem(TOKEN);
  }
}

/** Events of a stream: {event, data}; throws Lost when it breaks or falls silent. */
async function* serverSentEvents(body, signal) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      let timer;
      const silence = new Promise((_, fail) => { timer = setTimeout(() => fail(new Lost()), SILENCE); });
      const { done, value } = await read(Promise.race([reader.read(), silence]), signal).finally(() => clearTimeout(timer));
      if (done) return;
      rest += decoder.decode(value, { stream: true }).replaceAll("\r", "");
      for (let end; (end = rest.indexOf("\n\n")) >= 0; rest = rest.slice(end + 2)) {
        const fields = { event: "message", data: "" };
        for (const line of rest.slice(0, end).split("\n")) {
          const [name, text] = [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trimStart()];
          if (name === "event") fields.event = text;
          if (name === "data") fields.data += text;
        }
        yield fields;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** What is read from an answer's body; Lost where the connection breaks meanwhile. */
async function read(promise, signal) {
  try {
    return await promise;
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof Lost) throw error;
    throw new Lost();
  }
}

function waits(error) {
  return error instanceof Refusal && AGAIN.includes(error.status);
}

/** Wait, with some chance in it; less when the machine comes back online or the lid is opened. */
function pause(milliseconds, signal) {
  return new Promise((go, stop) => {
    const over = new AbortController();
    const end = (does) => () => {
      clearTimeout(timer);
      over.abort();
      does();
    };
    const timer = setTimeout(end(go), milliseconds * (0.75 + Math.random() / 2));
    const options = { signal: over.signal };
    addEventListener("online", end(go), options);
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && end(go)(), options);
    signal?.addEventListener("abort", end(() => stop(signal.reason)), options);
  });
}

/** Where the token is kept: in the tab's session, or in this page alone where the browser blocks that. */
function storage() {
  try {
    sessionStorage.setItem("sansface", "");
    sessionStorage.removeItem("sansface");
    return sessionStorage;
  } catch {
    const page = new Map();
    return { getItem: (key) => page.get(key) ?? null, setItem: (key, value) => page.set(key, value), removeItem: (key) => page.delete(key) };
  }
}

/** 32 hexadecimal digits, at random. */
function drawnKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
