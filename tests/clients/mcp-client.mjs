// Our MCP client under the conformance suite: the platform is told of the suite's server as a source of tools, and calls what the scenario is about.
// node mcp-client.mjs <platform> <key> <server>: the suite adds the server, and names the scenario in the environment.
import assert from "node:assert/strict";

const [platform, key, server] = process.argv.slice(2);
const scenario = process.env.MCP_CONFORMANCE_SCENARIO ?? "";
const slug = `c${process.pid}`;
const calls = {
  tools_call: [["add_numbers", { a: 2, b: 3 }]],
  "sse-retry": [["test_reconnection", {}]],
};

async function api(method, path, body) {
  const response = await fetch(new URL(path, platform), { method, headers: { authorization: `Bearer ${key}`, "content-type": "application/json" }, body: body && JSON.stringify(body) });
  const text = await response.text();
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
  return text.length > 0 ? JSON.parse(text) : null;
}

const source = await api("POST", "/api/v1/tool-sources", { slug, kind: "mcp", mcp: { url: server } });
for (const [tool, args] of calls[scenario] ?? []) {
  assert.ok(source.tools.includes(`${slug}.${tool}`), `no tool ${tool} in ${source.tools}`);
  const result = await api("POST", `/api/v1/tools/${slug}.${tool}/call`, { arguments: args });
  assert.ok(!result.isError, result.text);
}
