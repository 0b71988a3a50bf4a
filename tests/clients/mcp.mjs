// Uses the platform as an MCP server with the official client: node mcp.mjs <platform URL> <API key> <agent> <agent that never ends>.
import assert from "node:assert/strict";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { check } from "./checks.mjs";

const [platform, key, agent, endless] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${key}` };
const transport = (given) => new StreamableHTTPClientTransport(new URL("/mcp", platform), { requestInit: { headers: given } });
const client = new Client({ name: "test", version: "1" });

await check("connect", () => client.connect(transport(headers)));
await check("list", async () => assert.ok((await client.listTools()).tools.some((t) => t.name === `agent__${agent}`)));
await check("call", async () => {
  const result = await client.callTool({ name: `agent__${agent}`, arguments: { message: "Hello" } });
  assert.ok(!result.isError && result.content[0].text.length > 0);
});
await check("wrong arguments", async () => assert.ok((await client.callTool({ name: `agent__${agent}`, arguments: {} })).isError));
await check("progress and cancellation", async () => {
  const abort = new AbortController();
  let told = 0;
  await assert.rejects(client.callTool({ name: `agent__${endless}`, arguments: { message: "Go" } }, undefined, {
    signal: abort.signal,
    onprogress: () => { told++; abort.abort(); },
  }));
  assert.ok(told > 0);
  for (let i = 0; ; i++) {
    const runs = await (await fetch(new URL(`/api/v1/runs?agent=${endless}&limit=1`, platform), { headers })).json();
    if (runs.data[0].status === "cancelled") break;
    assert.ok(i < 100, runs.data[0].status);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
});
await check("without a key", async () => assert.rejects(new Client({ name: "test", version: "1" }).connect(transport({}))));
await check("close", () => client.close());
