// Server-sent events over fetch. EventSource can neither send an Authorization header nor POST.

/**
 * Yields {id, event, data} for each event of a text/event-stream body, by the rules of the HTML standard but for one: the id is
 * the event's own, empty where it has none, so that a reader can tell a piece of text from an event that it has seen.
 * An event that the connection cut off is dropped, as the standard asks.
 * @param {ReadableStream<Uint8Array>} body
 */
export async function* readEvents(body) {
  const reader = body.getReader();
  const decoder = new TextDecoder(); // strips the byte order mark
  const parser = new EventParser();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield* parser.push(decoder.decode(value, { stream: true }));
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

export class EventParser {
  #rest = "";
  #id = "";
  #event = "";
  #data = [];

  /** Takes the next piece of text, wherever it was cut, and returns the events that it completes. */
  push(text) {
    const events = [];
    this.#rest += text;
    let start = 0;
    for (let at = 0; at < this.#rest.length; at++) {
      const char = this.#rest[at];
      if (char !== "\n" && char !== "\r") continue;
      // A CR at the very end may be half of a CRLF: wait for what follows.
      if (char === "\r" && at + 1 === this.#rest.length) break;
      this.#line(this.#rest.slice(start, at), events);
      if (char === "\r" && this.#rest[at + 1] === "\n") at++;
      start = at + 1;
    }
    this.#rest = this.#rest.slice(start);
    return events;
  }

  #line(line, events) {
    if (line === "") {
      if (this.#data.length > 0) {
        events.push({ id: this.#id, event: this.#event || "message", data: this.#data.join("\n") });
      }
      this.#id = "";
      this.#event = "";
      this.#data = [];
      return;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + (line[colon + 1] === " " ? 2 : 1));
    if (field === "data") this.#data.push(value);
    else if (field === "event") this.#event = value;
    else if (field === "id" && !value.includes("\0")) this.#id = value;
    // Comments (": ping") have an empty field name; "retry" is for those who reconnect by the clock.
  }
}
