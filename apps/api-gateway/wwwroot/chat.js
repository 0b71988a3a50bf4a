// The chat page: picks an agent, sends messages, shows the answers as they come.
import { Answer, copyText } from "./answer.js";
import { Api, ApiError } from "./api.js";
import { askForKey } from "./key-dialog.js";

const SUGGESTIONS = [
  "What time is it in Hanoi and in New York?",
  "What is 17.5 % of 1,240, and what is left?",
  "Explain in three sentences what an AI agent is",
  "Compare SSE and WebSocket in a small table",
];
const AGENT = "maap.agent";
const byId = (id) => document.getElementById(id);
const [scroll, messages, empty, input, send, stop, picker, latest, status] =
  ["scroll", "messages", "empty", "input", "send", "stop", "agent", "latest", "status"].map(byId);
const touch = matchMedia("(pointer: coarse)").matches;

const api = new Api((wrong) => askForKey({ wrong }));
let agents = [];
let conversationId = null;
let current = null; // {abort, runId, stopping}: the answer under way
let pinned = true; // whether the page follows the newest text

async function loadAgents() {
  try {
    agents = await api.agents();
  } catch (error) {
    showNoAgents(error);
    return;
  }
  if (agents.length === 0) {
    showNoAgents(new ApiError({ status: 404, title: "There is no agent yet", detail: "Create one with POST /api/v1/agents." }));
    return;
  }
  picker.replaceChildren(...agents.map(({ slug, name }) => new Option(name || slug, slug)));
  picker.disabled = false;
  const remembered = sessionStorage.getItem(AGENT);
  if (agents.some(({ slug }) => slug === remembered)) picker.value = remembered;
  showAgent();
  updateSend();
}

function showAgent() {
  const agent = agents.find(({ slug }) => slug === picker.value);
  byId("empty-title").textContent = "What can I do for you?";
  byId("empty-text").textContent = agent?.description || "Ask a question, or start with one of these.";
  byId("suggestions").replaceChildren(...SUGGESTIONS.map((text) => suggestion(text, () => ask(text))));
}

function showNoAgents({ status: code, title, detail }) {
  picker.replaceChildren(new Option("No agent"));
  picker.disabled = true;
  byId("empty-title").textContent = code === 401 ? "An API key opens this page" : title;
  byId("empty-text").textContent = code === 401
    ? "Use the one that the platform printed at first start." : detail;
  byId("suggestions").replaceChildren(suggestion(code === 401 ? "Enter the key" : "Try again", loadAgents));
}

function suggestion(text, onClick) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = text;
  button.addEventListener("click", onClick);
  const item = document.createElement("li");
  item.append(button);
  return item;
}

async function ask(message) {
  if (current || picker.disabled) return;
  const user = byId("user-template").content.firstElementChild.cloneNode(true);
  user.querySelector(".bubble").textContent = message;
  const answer = new Answer({
    retry: () => {
      if (current) return;
      user.remove();
      answer.element.remove();
      ask(message);
    },
    rate: async (messageId, rating) => {
      try {
        await api.rate(messageId, rating);
        announce("Thank you for the feedback");
      } catch (error) {
        announce(`The feedback was not saved: ${error.message}`);
        throw error;
      }
    },
    copied: () => announce("Copied"),
  });
  empty.hidden = true;
  messages.append(user, answer.element);
  follow(true);

  const run = { abort: new AbortController(), runId: null };
  current = run;
  updateSend();
  announce("Waiting for the answer");
  try {
    const request = { agent: picker.value, message, conversationId, requestKey: randomKey() };
    const onReconnect = () => announce("The connection dropped; reconnecting");
    for await (const event of api.chat(request, { signal: run.abort.signal, onReconnect })) {
      if (current !== run) return;
      show(event, answer, run);
    }
  } catch (error) {
    if (run.abort.signal.aborted) answer.stopped();
    else fail(answer, error);
  } finally {
    if (current === run) {
      current = null;
      updateSend();
      follow();
    }
  }
}

function show(event, answer, run) {
  switch (event.event) {
    case "run.started":
      run.runId = event.runId;
      conversationId = event.conversationId ?? conversationId;
      break;
    case "message.delta": answer.append(event.text); break;
    case "message.completed": answer.complete(event); break;
    case "tool_call.started": answer.startTool(event); break;
    case "tool_call.completed": answer.completeTool(event); break;
    case "run.completed":
      answer.finish(event);
      announce(`Answer: ${answer.text.slice(0, 1000)}`);
      break;
    case "run.cancelled":
      answer.stopped();
      announce("Stopped");
      break;
    case "run.failed":
      fail(answer, new ApiError({ title: "The run failed", detail: event.message, code: event.code }));
      break;
    default: break; // events that later versions add
  }
  follow();
}

function fail(answer, error) {
  const problem = error instanceof ApiError
    ? error
    : new ApiError({ title: "The answer could not be read", detail: String(error?.message ?? error) });
  answer.fail(problem);
  announce(`Failed: ${problem.message}`);
}

/** Tells the server, then lets go of the connection: the answer stops here even when the server cannot be reached. */
function stopAnswer() {
  if (!current) return;
  const { runId, abort } = current;
  if (runId) api.cancel(runId).catch(() => { /* the run may just have ended */ });
  abort.abort();
  announce("Stopped");
  if (!touch) input.focus();
}

function newChat() {
  stopAnswer();
  current = null;
  conversationId = null;
  messages.replaceChildren();
  empty.hidden = false;
  updateSend();
  pinned = true;
  scroll.scrollTop = 0;
  if (!touch) input.focus();
}

function updateSend() {
  stop.hidden = current === null;
  send.hidden = current !== null;
  send.disabled = input.value.trim() === "" || picker.disabled;
}

function resizeInput() {
  input.style.height = "auto";
  input.style.height = `${input.scrollHeight}px`;
}

function follow(force = false) {
  if (force) pinned = true;
  if (pinned && messages.childElementCount > 0) scroll.scrollTop = scroll.scrollHeight;
}

function announce(text) {
  status.textContent = text;
}

// Not crypto.randomUUID: that exists on HTTPS and localhost only.
function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function showTheme() {
  const dark = getComputedStyle(document.documentElement).getPropertyValue("--dark").trim() === "1";
  byId("theme").setAttribute("aria-pressed", String(dark));
  return dark;
}

byId("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const message = input.value.trim();
  if (message === "" || current || picker.disabled) return;
  input.value = "";
  resizeInput();
  if (!touch) input.focus();
  ask(message);
});

input.addEventListener("keydown", (event) => {
  // While an input method composes a word, Enter chooses it.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  byId("composer").requestSubmit();
});
input.addEventListener("input", () => { resizeInput(); updateSend(); });

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && current && !document.querySelector("dialog[open]")) stopAnswer();
});

messages.addEventListener("click", async ({ target }) => {
  const button = target.closest(".copy-code");
  if (!button || !(await copyText(button.closest(".code").querySelector("code").textContent))) return;
  button.textContent = "Copied";
  announce("Code copied");
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
});

scroll.addEventListener("scroll", () => {
  pinned = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 48;
  latest.hidden = pinned;
}, { passive: true });
// Text that is drawn later than its event (see Answer) moves the end of the page too.
new ResizeObserver(() => follow()).observe(messages);
latest.addEventListener("click", () => follow(true));

stop.addEventListener("click", stopAnswer);
byId("new-chat").addEventListener("click", newChat);
picker.addEventListener("change", () => {
  sessionStorage.setItem(AGENT, picker.value);
  newChat(); // a conversation belongs to one agent
  showAgent();
});
byId("key").addEventListener("click", async () => {
  const key = await askForKey({ wrong: false, current: api.key });
  if (key === null) return;
  api.key = key;
  newChat();
  loadAgents();
});
byId("theme").addEventListener("click", () => {
  const theme = showTheme() ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  localStorage.setItem("maap.theme", theme);
  showTheme();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);
addEventListener("hashchange", () => {
  if (api.takeKeyFromAddress()) { newChat(); loadAgents(); }
});

api.takeKeyFromAddress();
showTheme();
loadAgents();
