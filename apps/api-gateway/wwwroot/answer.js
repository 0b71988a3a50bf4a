// One answer on the page: text and tool calls in the order they came, then its facts, or what went wrong.
import { showMarkdown } from "./markdown.js";

const STATUS_TEXT = { 0: "No connection", 401: "API key needed", 403: "Not allowed", 429: "Too many requests" };
const REASONS = {
  max_steps: "it reached its limit of steps",
  max_tokens: "it reached its limit of tokens",
  max_cost: "it reached its limit of cost",
  max_seconds: "it reached its limit of time",
  length: "it reached its limit of length",
  repeated_call: "it repeated the same tool call",
  oscillation: "it went round in circles",
};
const NORMAL_REASONS = new Set([undefined, null, "", "stop", "completed", "end", "final_answer", "tool_calls"]);

export class Answer {
  #parts;
  #segments = []; // {text, element}: stretches of text between tool calls
  #open = null; // the segment that takes deltas now
  #tools = new Map();
  #frame = 0;
  #usage = null;
  #model = "";
  #notes = [];
  #messageId = null;

  /** @param {{retry: () => void, rate: (messageId: string, rating: number) => Promise<void>, copied: () => void}} actions */
  constructor(actions) {
    this.element = document.getElementById("answer-template").content.firstElementChild.cloneNode(true);
    this.#parts = this.#find(".parts");
    this.#find(".retry").addEventListener("click", () => actions.retry());
    this.#find(".copy").addEventListener("click", async () => {
      if (await copyText(this.text)) actions.copied();
    });
    for (const [selector, rating] of [[".up", 1], [".down", -1]]) {
      this.#find(selector).addEventListener("click", async () => {
        const pressed = this.#ratingButtons().map((button) => button.getAttribute("aria-pressed"));
        this.#showRating(rating);
        try {
          await actions.rate(this.#messageId, rating);
        } catch {
          this.#ratingButtons().forEach((button, index) => button.setAttribute("aria-pressed", pressed[index]));
        }
      });
    }
  }

  get text() {
    return this.#segments.map((segment) => segment.text).join("\n\n").trim();
  }

  append(text) {
    this.#segment().text += text;
    this.#schedule();
  }

  /** What the server stored is what counts; it differs from the deltas only when some got lost or were withdrawn. */
  complete({ messageId: id, text, model, usage }) {
    this.#messageId = id ?? this.#messageId;
    const shown = this.#segments.map((segment) => segment.text).join("");
    if (typeof text === "string" && text !== shown) this.#segment().text = text;
    this.#model = model ?? this.#model;
    if (usage) this.#usage = add(this.#usage, usage);
    this.#draw();
    this.#open = null;
  }

  startTool({ id, name, arguments: input }) {
    this.#draw();
    this.#open = null;
    const element = document.getElementById("tool-template").content.firstElementChild.cloneNode(true);
    element.querySelector(".what").textContent = `Using ${name}`;
    element.dataset.state = "running";
    addPlain(element.querySelector(".body"), "Arguments", input);
    this.#parts.append(element);
    this.#tools.set(id, element);
  }

  completeTool({ id, name, result, isError: failed }) {
    if (!this.#tools.has(id)) this.startTool({ id, name });
    const element = this.#tools.get(id);
    element.dataset.state = failed ? "failed" : "done";
    element.querySelector(".what").textContent = failed ? `${name} failed` : `Used ${name}`;
    addPlain(element.querySelector(".body"), failed ? "Error" : "Result", result);
  }

  finish({ reason } = {}) {
    if (!NORMAL_REASONS.has(reason)) this.#notes.push(`Ended early: ${REASONS[reason] ?? reason}`);
    this.#settle();
  }

  stopped() {
    this.#notes.push("Stopped");
    this.#settle();
  }

  fail({ status, title, detail, code }) {
    const box = this.#find(".problem");
    box.querySelector("strong").textContent = STATUS_TEXT[status] ?? title ?? "Something went wrong";
    box.querySelector("p").textContent = detail || (STATUS_TEXT[status] ? title : "");
    box.querySelector("code").textContent = code ?? "";
    box.hidden = false;
    this.#settle();
    this.#find(".after").hidden = true;
  }

  #settle() {
    this.#draw();
    for (const tool of this.#tools.values()) {
      if (tool.dataset.state === "running") tool.dataset.state = "failed";
    }
    this.element.setAttribute("aria-busy", "false");
    this.#find(".facts").textContent = [this.#model, ...describeUsage(this.#usage), ...this.#notes].filter(Boolean).join(" · ");
    this.#find(".copy").hidden = this.text === "";
    for (const button of this.#ratingButtons()) button.hidden = this.#messageId === null;
    this.#find(".after").hidden = this.text === "" && this.#notes.length === 0;
  }

  #segment() {
    if (!this.#open) {
      const element = document.createElement("div");
      element.className = "markdown";
      this.#parts.append(element);
      this.#open = { text: "", element };
      this.#segments.push(this.#open);
    }
    return this.#open;
  }

  // At most once per frame, however fast the deltas come.
  #schedule() {
    this.#frame ||= requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    if (this.#open) showMarkdown(this.#open.element, this.#open.text);
  }

  #showRating(rating) {
    this.#find(".up").setAttribute("aria-pressed", String(rating > 0));
    this.#find(".down").setAttribute("aria-pressed", String(rating < 0));
  }

  #ratingButtons() {
    return [this.#find(".up"), this.#find(".down")];
  }

  #find(selector) {
    return this.element.querySelector(selector);
  }
}

/** Also works where the clipboard API does not exist: on plain HTTP from another machine. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.className = "hidden";
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

function addPlain(body, label, value) {
  if (value === undefined || value === null || value === "") return;
  const title = document.createElement("b");
  title.textContent = label;
  const pre = document.createElement("pre");
  pre.textContent = pretty(value);
  body.append(title, pre);
}

function pretty(value) {
  if (typeof value !== "string") return JSON.stringify(value, null, 2);
  try { return JSON.stringify(JSON.parse(value), null, 2); } catch { return value; }
}

function add(total, usage) {
  if (!total) return { ...usage };
  const sum = (a, b) => (typeof a === "number" && typeof b === "number" ? a + b : null);
  return {
    inputTokens: sum(total.inputTokens, usage.inputTokens),
    outputTokens: sum(total.outputTokens, usage.outputTokens),
    costUsd: sum(Number(total.costUsd ?? NaN), Number(usage.costUsd ?? NaN)),
  };
}

function describeUsage(usage) {
  if (!usage) return [];
  const number = new Intl.NumberFormat("en");
  const facts = [];
  if (usage.inputTokens != null && usage.outputTokens != null) {
    facts.push(`${number.format(usage.inputTokens)} tokens in, ${number.format(usage.outputTokens)} out`);
  }
  facts.push(describeCost(usage.costUsd));
  return facts;
}

function describeCost(cost) {
  if (cost === null || cost === undefined || Number.isNaN(Number(cost))) return "cost unknown";
  const value = Number(cost);
  if (value === 0) return "no cost";
  return `$${value.toLocaleString("en", value < 0.01 ? { maximumSignificantDigits: 2 } : { minimumFractionDigits: 2, maximumFractionDigits: 4 })}`;
}
