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
const RESTARTS = 5;
const TOKEN = "sansface-token";

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
  }

  get signedIn() {
    return sessionStorage.getItem(TOKEN) !== null;
  }

  /** Get a token for a name and a password; it stays in this tab's session. */
  async enter(name, password) {
    const answer = await this.#once("POST", "tokens", { json: { name, password }, open: true });
    const { id, token } = await answer.json();
    sessionStorage.setItem(TOKEN, JSON.stringify({ id, token }));
  }

  /** Give the token back; it is forgotten here even if the server cannot be reached. */
  async leave() {
    const id = this.#token()?.id;
    try {
      if (id) await this.#once("DELETE", `tokens/${id}`);
    } catch (error) {
      if (!(error instanceof Refusal || error instanceof Lost)) throw error;
    } finally {
      sessionStorage.removeItem(TOKEN);
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
   * Send a bundle, in chunks that go on where the connection broke.
   * @param {Uint8Array} bytes
   * @param {string} digest its SHA-256 in hexadecimal
   * @param {(done: number) => void} progress bytes that have arrived
   * @param {AbortSignal} signal
   * @returns {Promise<string>} the bundle's id; at once if the server has it already
   */
  async upload(bytes, digest, progress, signal) {
    for (let began = 1; ; began++) {
      let at = await this.post("uploads", { size: bytes.length, sha256: digest }, { signal });
      const id = at.id;
      try {
        while (!at.bundle) {
          progress(at.offset);
          at = await this.#chunk(id, bytes, at.offset, signal);
        }
        progress(bytes.length);
        return at.bundle.id ?? at.bundle;
      } catch (error) {
        // After a long time without a connection the server has forgotten the beginning.
        if (!(error instanceof Refusal && error.status === 404 && began < RESTARTS)) throw error;
      }
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
      return JSON.parse(sessionStorage.getItem(TOKEN));
    } catch {
      return null;
    }
  }

  #forget() {
    sessionStorage.removeItem(TOKEN);
  }
}

/** Events of a stream: {event, data}; throws Lost when it breaks or falls silent. */
async function* serverSentEvents(body, signal) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      let timer;
      const silence = new Promise((_, fail) => { timer = setTimeout(() => fail(new Lost()), SILENCE); });
      const { done, value } = await read(Promise.race([reader.read(), silence]), signal).finally(() => clearTimeout(timer));
      if (done) return;
      rest += value.replaceAll("\r", "");
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
