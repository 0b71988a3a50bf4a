// Markdown as chat models write it, rendered to DOM nodes. Text from the model only ever becomes text nodes and a few
// known elements, never HTML, so nothing in it can run. Covers: headings, emphasis, code, fences, lists, links, tables,
// quotes, rules. Images become links: the page loads nothing from elsewhere.
import { renderInline } from "./markdown-inline.js";

const MAX_DEPTH = 10;
const FENCE = /^( {0,3})(`{3,}|~{3,})\s*([^`\s]*)[^`]*$/;
const HEADING = /^ {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*$/;
const RULE = /^ {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( {0,9})(?:([-*+])|(\d{1,9})[.)])(?:[ \t]+(.*)|$)/;
const DIVIDER = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;

const rendered = new WeakMap();

/** Shows the text in the element. Blocks that did not change since the last call keep their nodes (and a selection in them). */
export function showMarkdown(element, text) {
  const lines = text.replace(/\r\n?/g, "\n").replace(/\t/g, "    ").split("\n");
  const blocks = split(lines);
  const before = rendered.get(element) ?? [];
  let same = 0;
  while (same < before.length && same < blocks.length && before[same].source === blocks[same].source) same++;
  for (const { node } of before.slice(same)) node.remove();
  const after = before.slice(0, same);
  for (const block of blocks.slice(same)) {
    const node = build(block, 0);
    element.append(node);
    after.push({ source: block.source, node });
  }
  rendered.set(element, after);
}

/** Cuts lines into blocks: {kind, lines, source, …}. */
function split(lines) {
  const blocks = [];
  let at = 0;
  while (at < lines.length) {
    if (lines[at].trim() === "") { at++; continue; }
    const start = at;
    const [block, next] = take(lines, at);
    at = next;
    blocks.push({ ...block, source: `${block.kind}\n${lines.slice(start, next).join("\n")}` });
  }
  return blocks;
}

function take(lines, at) {
  const line = lines[at];
  let match;
  if ((match = FENCE.exec(line))) return takeFence(lines, at, match);
  if ((match = HEADING.exec(line))) return [{ kind: "heading", level: match[1].length, text: match[2] }, at + 1];
  if (RULE.test(line)) return [{ kind: "rule" }, at + 1];
  if (QUOTE.test(line)) return takeQuote(lines, at);
  if ((match = ITEM.exec(line))) return takeList(lines, at, match);
  if (isTable(lines, at)) return takeTable(lines, at);
  let end = at + 1;
  while (end < lines.length && !startsBlock(lines, end)) end++;
  return [{ kind: "paragraph", text: lines.slice(at, end).map((l) => l.trimStart()).join("\n") }, end];
}

function startsBlock(lines, at) {
  const line = lines[at];
  return line.trim() === "" || FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line)
    || ITEM.test(line) || isTable(lines, at);
}

function takeFence(lines, at, [, indent, fence, language]) {
  let end = at + 1;
  const closes = (line) => {
    const text = line.trim();
    return text.length >= fence.length && text === fence[0].repeat(text.length);
  };
  while (end < lines.length && !closes(lines[end])) end++;
  const code = lines.slice(at + 1, end).map((l) => (l.startsWith(indent) ? l.slice(indent.length) : l.trimStart()));
  return [{ kind: "code", language, text: code.join("\n") }, Math.min(end + 1, lines.length)];
}

function takeQuote(lines, at) {
  let end = at;
  while (end < lines.length && lines[end].trim() !== "" && (QUOTE.test(lines[end]) || !startsBlock(lines, end))) end++;
  return [{ kind: "quote", lines: lines.slice(at, end).map((l) => l.replace(QUOTE, "")) }, end];
}

function takeList(lines, at, first) {
  const indent = first[1].length;
  const ordered = first[3] !== undefined;
  const items = [];
  let loose = false;
  let end = at;
  while (end < lines.length) {
    const match = ITEM.exec(lines[end]);
    if (!match || RULE.test(lines[end]) || match[1].length > indent + 1 || (match[3] !== undefined) !== ordered) break;
    const marker = lines[end].length - (match[4] ?? "").length;
    const content = match[4] === undefined ? indent + 2 : Math.min(marker, match[1].length + 5);
    const item = [match[4] ?? ""];
    end++;
    // What is indented belongs to the item, and so do lines that go on without a mark.
    while (end < lines.length) {
      const line = lines[end];
      const inner = line.length - line.trimStart().length;
      if (line.trim() === "") {
        const next = lines[end + 1];
        if (next === undefined || next.trim() === "" || next.length - next.trimStart().length < indent + 2) break;
        loose = true;
      } else if (inner < indent + 2 && startsBlock(lines, end)) break;
      item.push(line.slice(Math.min(inner, content)));
      end++;
    }
    items.push(item);
    if (end + 1 < lines.length && lines[end].trim() === "") {
      const next = ITEM.exec(lines[end + 1]);
      if (next && next[1].length <= indent + 1 && next[1].length + 1 >= indent && (next[3] !== undefined) === ordered) end++;
    }
  }
  return [{ kind: "list", ordered, start: Number(first[3] ?? 1), items, loose }, end];
}

function isTable(lines, at) {
  return at + 1 < lines.length && lines[at].includes("|") && lines[at + 1].includes("-")
    && DIVIDER.test(lines[at + 1]) && cells(lines[at]).length === cells(lines[at + 1]).length;
}

function takeTable(lines, at) {
  const align = cells(lines[at + 1]).map((cell) => {
    const [left, right] = [cell.startsWith(":"), cell.endsWith(":")];
    return left && right ? "center" : right ? "end" : "start";
  });
  let end = at + 2;
  while (end < lines.length && lines[end].includes("|")) end++;
  return [{ kind: "table", align, head: cells(lines[at]), rows: lines.slice(at + 2, end).map(cells) }, end];
}

function cells(line) {
  const row = line.trim().replace(/^\|/, "").replace(/(?<!\\)\|$/, "");
  return row.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
}

function build(block, depth) {
  switch (block.kind) {
    case "heading": return fill(`h${Math.min(block.level + 2, 6)}`, block.text); // h1 and h2 are the page's own
    case "rule": return document.createElement("hr");
    case "code": return buildCode(block);
    case "quote": return buildNested(document.createElement("blockquote"), block.lines, depth);
    case "list": return buildList(block, depth);
    case "table": return buildTable(block);
    default: return fill("p", block.text);
  }
}

function fill(tag, text) {
  const element = document.createElement(tag);
  element.append(renderInline(text));
  return element;
}

function buildNested(element, lines, depth) {
  if (depth >= MAX_DEPTH) element.append(lines.join("\n"));
  else element.append(...split(lines).map((block) => build(block, depth + 1)));
  return element;
}

function buildList({ ordered, start, items, loose }, depth) {
  const list = document.createElement(ordered ? "ol" : "ul");
  if (ordered && start !== 1) list.start = start;
  for (const lines of items) {
    const item = buildNested(document.createElement("li"), lines, depth);
    if (!loose && item.firstElementChild?.tagName === "P") item.firstElementChild.replaceWith(...item.firstElementChild.childNodes);
    list.append(item);
  }
  return list;
}

function buildTable({ align, head, rows }) {
  const table = document.createElement("table");
  const addRow = (section, texts, tag) => {
    const row = section.insertRow();
    align.forEach((side, column) => {
      const cell = fill(tag, texts[column] ?? "");
      cell.className = side;
      row.append(cell);
    });
  };
  addRow(table.createTHead(), head, "th");
  const body = table.createTBody();
  for (const row of rows) addRow(body, row, "td");
  const frame = document.createElement("div");
  frame.className = "table";
  frame.tabIndex = 0; // wide tables scroll, also by keyboard
  frame.append(table);
  return frame;
}

function buildCode({ language, text }) {
  const frame = document.createElement("div");
  frame.className = "code";
  const bar = document.createElement("div");
  const name = document.createElement("span");
  name.textContent = language || "text";
  const copy = document.createElement("button");
  copy.type = "button";
  copy.className = "copy-code";
  copy.textContent = "Copy";
  bar.append(name, copy);
  const pre = document.createElement("pre");
  pre.tabIndex = 0;
  const code = document.createElement("code");
  code.textContent = text;
  pre.append(code);
  frame.append(bar, pre);
  return frame;
}
