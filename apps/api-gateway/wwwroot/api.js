// The platform's API as this page uses it: key, errors, and runs that survive a lost connection.
import { readEvents } from "./sse.js";

const KEY = "maap.key";
const MAX_PAGES = 10;
const RETRY_DELAYS = [300, 1000, 2000, 4000, 8000, 8000];
const TERMINAL = new Set(["run.completed", "run.failed", "run.cancelled"]);

/** A refusal of the server, or a connection that failed (status 0). */
export class ApiError extends Error {
  constructor({ status, title, detail = "", code = "" }) {
    super(detail || title);
    Object.assign(this, { status, title, detail, code });
  }

  static unreachable() {
    return new ApiError({ status: 0, title: "No connection", detail: "The server cannot be reached. Is it running?" });
  }

  static async from(response) {
    const text = await response.text().catch(() => "");
    let body = {};
    try { body = JSON.parse(text) ?? {}; } catch { /* a proxy may answer in HTML */ }
    const wait = response.headers.get("Retry-After");
    const detail = body.detail ?? body.error?.message ?? "";
    return new ApiError({
      status: response.status,
      title: body.title ?? `The server answered ${response.status}`,
      detail: response.status === 429 && /^\d+$/.test(wait ?? "") ? `${detail} Try again in ${wait} s.`.trim() : detail,
      code: body.code ?? body.error?.code ?? "",
    });
  }
}

export class Api {
  #askForKey;
  #asking = null;

  /** @param {(wrong: boolean) => Promise<string|null>} askForKey asks the reader; null when the reader declines. */
  constructor(askForKey) {
    this.#askForKey = askForKey;
  }

  get key() { return sessionStorage.getItem(KEY) ?? ""; }

  set key(value) {
    if (value) sessionStorage.setItem(KEY, value);
    else sessionStorage.removeItem(KEY);
  }

  /** Takes the key from a link like /#key=… and removes it from the address, so that it is not shared by accident. */
  takeKeyFromAddress() {
    const match = /^#key=(.+)$/.exec(location.hash);
    if (!match) return false;
    let key = match[1];
    try { key = decodeURIComponent(key); } catch { /* not encoded */ }
    this.key = key;
    history.replaceState(null, "", location.pathname + location.search);
    return true;
  }

  async agents() {
    const agents = [];
    let cursor = "";
    for (let page = 0; page < MAX_PAGES; page++) {
      const query = cursor ? `?cursor=${encodeURIComponent(cursor)}` : "";
      const { data, nextCursor: next } = await (await this.#send(`/api/v1/agents${query}`)).json();
      agents.push(...data);
      if (!next) break;
      cursor = next;
    }
    return agents;
  }

  async rate(messageId, rating) {
    await this.#send(`/api/v1/messages/${encodeURIComponent(messageId)}/feedback`, { method: "POST", body: { rating } });
  }

  async cancel(runId) {
    await this.#send(`/api/v1/runs/${encodeURIComponent(runId)}/cancel`, { method: "POST" });
  }

  /**
   * Sends a message and yields the events of its run to the last one. When the connection drops, it goes on after the
   * event it saw last, so the reader neither misses nor repeats a word.
   */
  async *chat({ agent, message, conversationId, requestKey }, { signal, onReconnect }) {
    let runId = null;
    let lastId = "";
    let attempt = 0;
    let response = await this.#send("/api/v1/chat", {
      method: "POST",
      body: { agent, message, stream: true, ...(conversationId && { conversationId: conversationId }) },
      headers: { Accept: "text/event-stream", "Idempotency-Key": requestKey },
      signal,
    });
    for (;;) {
      try {
        for await (const { id, event, data } of readEvents(response.body)) {
          if (id && lastId && Number(id) <= Number(lastId)) continue; // seen before the connection dropped
          if (id) lastId = id;
          attempt = 0;
          const payload = JSON.parse(data);
          if (event === "run.started") runId = payload.runId;
          yield { event, ...payload };
          if (TERMINAL.has(event)) return;
        }
      } catch (error) {
        if (signal.aborted || error instanceof SyntaxError) throw error;
      }
      response = null;
      while (!response) {
        if (!runId || attempt >= RETRY_DELAYS.length) throw ApiError.unreachable();
        onReconnect();
        await pause(RETRY_DELAYS[attempt++], signal);
        response = await this.#resume(runId, lastId, signal);
      }
    }
  }

  /** The rest of a run, or null when the server cannot be reached or is not ready yet. */
  async #resume(runId, lastId, signal) {
    try {
      return await this.#send(`/api/v1/runs/${encodeURIComponent(runId)}/events`, {
        headers: { Accept: "text/event-stream", ...(lastId && { "Last-Event-ID": lastId }) },
        signal,
      });
    } catch (error) {
      if (error instanceof ApiError && (error.status === 0 || error.status === 429 || error.status >= 500)) return null;
      throw error;
    }
  }

  async #send(path, { method = "GET", body, headers = {}, signal } = {}) {
    for (;;) {
      const key = this.key;
      let response;
      try {
        response = await fetch(path, {
          method,
          signal,
          cache: "no-store",
          body: body === undefined ? undefined : JSON.stringify(body),
          headers: {
            ...(body !== undefined && { "Content-Type": "application/json" }),
            ...(key && { Authorization: `Bearer ${key}` }),
            ...headers,
          },
        });
      } catch (error) {
        if (signal?.aborted) throw error;
        throw ApiError.unreachable();
      }
      if (response.ok) return response;
      const refusal = await ApiError.from(response);
      if (response.status !== 401) throw refusal;
      // Another request may have got a new key meanwhile; then only try again.
      if (this.key === key && !(await this.#newKey(key !== ""))) throw refusal;
    }
  }

  async #newKey(wrong) {
    this.#asking ??= this.#askForKey(wrong).finally(() => { this.#asking = null; });
    const key = await this.#asking;
    if (key) this.key = key;
    return key !== null;
  }
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
  });
}
