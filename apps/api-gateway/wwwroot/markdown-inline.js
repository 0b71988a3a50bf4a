// Emphasis, code spans and links within a line of Markdown. See markdown.js.

const MAX_DEPTH = 8;
const MAX_SPAN = 2000; // how far a closing mark is looked for; bounds the work on text full of open marks
const SAFE = /^(?:https?:\/\/|mailto:)[^\s]/i;
const BARE = /^https?:\/\/[^\s<>"'`\\^{}|]+/i;
const PUNCTUATION = /[!-/:-@[-`{-~]/;
const WORD = /[\p{L}\p{N}]/u;

/** @returns {DocumentFragment} */
export function renderInline(text, depth = 0) {
  const out = document.createDocumentFragment();
  let plain = "";
  const flush = () => { if (plain) { out.append(plain); plain = ""; } };
  const add = (node) => { flush(); out.append(node); };

  let at = 0;
  while (at < text.length) {
    const span = depth < MAX_DEPTH ? readSpan(text, at, depth) : null;
    if (span) {
      add(span.node);
      at = span.end;
    } else if (text[at] === "\\" && PUNCTUATION.test(text[at + 1] ?? "")) {
      plain += text[at + 1];
      at += 2;
    } else if (text[at] === "\n") {
      plain = plain.replace(/(?: +|\\)$/, "");
      add(document.createElement("br"));
      at++;
    } else {
      // Take a whole run of backticks or stars as text once it is known to open nothing.
      const run = "`*_~".includes(text[at]) ? runLength(text, at) : 1;
      plain += text.slice(at, at + run);
      at += run;
    }
  }
  flush();
  return out;
}

function readSpan(text, at, depth) {
  switch (text[at]) {
    case "`": return readCode(text, at);
    case "*":
    case "_": return readEmphasis(text, at, depth);
    case "~": return text[at + 1] === "~" ? readMarked(text, at, "~~", ["del"], depth) : null;
    case "[": return readLink(text, at, depth);
    case "!": return text[at + 1] === "[" ? readLink(text, at + 1, depth) : null;
    case "<": return readAngle(text, at);
    case "h":
    case "H": return WORD.test(text[at - 1] ?? "") ? null : readBare(text, at);
    default: return null;
  }
}

function readCode(text, at) {
  const length = runLength(text, at);
  const mark = "`".repeat(length);
  for (let end = text.indexOf(mark, at + length); end >= 0; end = text.indexOf(mark, end)) {
    const closing = runLength(text, end);
    if (closing === length) {
      const code = document.createElement("code");
      const inner = text.slice(at + length, end).replaceAll("\n", " ");
      code.textContent = /^ .*[^ ].* $/.test(inner) ? inner.slice(1, -1) : inner;
      return { node: code, end: end + length };
    }
    end += closing;
  }
  return null;
}

function readEmphasis(text, at, depth) {
  const length = Math.min(runLength(text, at), 3);
  const mark = text[at].repeat(length);
  return readMarked(text, at, mark, { 1: ["em"], 2: ["strong"], 3: ["strong", "em"] }[length], depth);
}

function readMarked(text, at, mark, tags, depth) {
  const start = at + mark.length;
  if (!isVisible(text[start])) return null;
  if (mark[0] === "_" && WORD.test(text[at - 1] ?? "")) return null; // snake_case is no emphasis
  const limit = Math.min(text.length, start + MAX_SPAN);
  for (let end = start; end < limit; end++) {
    if (text[end] === "\\") { end++; continue; }
    if (text[end] === "`") { end = Math.max(end, (readCodeEnd(text, end) ?? end + 1) - 1); continue; }
    if (text[end] !== mark[0]) continue;
    const run = runLength(text, end);
    const fits = run === mark.length || (run > mark.length && run >= 3);
    const closes = fits && isVisible(text[end - 1]) && !(mark[0] === "_" && WORD.test(text[end + run] ?? ""));
    if (closes) {
      // Of a longer run the outer marks close the outer span: **bold *both***
      const close = end + run - mark.length;
      let node = renderInline(text.slice(start, close), depth + 1);
      for (const tag of tags.toReversed()) {
        const element = document.createElement(tag);
        element.append(node);
        node = element;
      }
      return { node, end: close + mark.length };
    }
    end += run - 1;
  }
  return null;
}

function readCodeEnd(text, at) {
  const length = runLength(text, at);
  const mark = "`".repeat(length);
  const end = text.indexOf(mark, at + length);
  return end < 0 ? at + length : end + length;
}

function readLink(text, at, depth) {
  const limit = Math.min(text.length, at + MAX_SPAN);
  let open = 0;
  let close = -1;
  for (let i = at; i < limit; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === "[") open++;
    else if (text[i] === "]" && --open === 0) { close = i; break; }
  }
  if (close < 0 || text[close + 1] !== "(") return null;
  // The address may hold balanced parentheses; a title after it is dropped.
  let end = -1;
  open = 0;
  for (let i = close + 1; i < limit && text[i] !== "\n"; i++) {
    if (text[i] === "(") open++;
    else if (text[i] === ")" && --open === 0) { end = i; break; }
  }
  if (end < 0) return null;
  const address = text.slice(close + 2, end).trim().split(/\s+["'(]/)[0].replace(/^<(.*)>$/, "$1");
  const label = text.slice(at + 1, close) || address;
  const node = SAFE.test(address) ? link(address, renderInline(label, MAX_DEPTH - 1 > depth ? depth + 1 : MAX_DEPTH)) : renderInline(label, MAX_DEPTH);
  return { node, end: end + 1 };
}

function readAngle(text, at) {
  const end = text.slice(at, at + MAX_SPAN).indexOf(">");
  const address = text.slice(at + 1, at + end);
  return end > 0 && SAFE.test(address) && !/\s/.test(address)
    ? { node: link(address, address), end: at + end + 1 }
    : null;
}

function readBare(text, at) {
  const match = BARE.exec(text.slice(at, at + MAX_SPAN));
  if (!match) return null;
  let address = match[0].replace(/[.,;:!?*_~]+$/, "");
  // A closing parenthesis belongs to the sentence unless the address opened it.
  while (address.endsWith(")") && address.split(")").length > address.split("(").length) address = address.slice(0, -1);
  return { node: link(address, address), end: at + address.length };
}

function link(address, content) {
  const anchor = document.createElement("a");
  anchor.href = address;
  anchor.target = "_blank";
  anchor.rel = "noopener noreferrer nofollow";
  anchor.append(content);
  return anchor;
}

function runLength(text, at) {
  let end = at;
  while (text[end] === text[at]) end++;
  return end - at;
}

function isVisible(char) {
  return char !== undefined && char.trim() !== "";
}
