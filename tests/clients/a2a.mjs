// Drives an agent with the official A2A client: node a2a.mjs <platform URL> <API key> <agent>.
import assert from "node:assert/strict";
import { Role, TaskState } from "@a2a-js/sdk";
import { ClientFactory, ClientFactoryOptions, DefaultAgentCardResolver, JsonRpcTransportFactory } from "@a2a-js/sdk/client";
import { check } from "./checks.mjs";

const [platform, key, agent] = process.argv.slice(2);
const fetchImpl = (url, init = {}) => fetch(url, { ...init, headers: { ...Object.fromEntries(new Headers(init.headers)), Authorization: `Bearer ${key}` } });
const factory = new ClientFactory(ClientFactoryOptions.createFrom(ClientFactoryOptions.default, {
  transports: [new JsonRpcTransportFactory({ fetchImpl })],
  cardResolver: new DefaultAgentCardResolver({ fetchImpl }),
}));
const message = (messageId, text, contextId) => ({ message: { messageId, contextId, role: Role.ROLE_USER, parts: [{ content: { $case: "text", value: text } }] } });
let client, task;

await check("card", async () => {
  client = await factory.createFromUrl(new URL(`/a2a/${agent}/.well-known/agent-card.json`, platform).href, "");
  const card = await client.getAgentCard();
  assert.equal(card.supportedInterfaces[0].protocolVersion, "1.0");
  assert.ok(card.capabilities.streaming);
});
await check("send", async () => {
  task = await client.sendMessage(message("m1", "Hello"));
  assert.equal(task.status.state, TaskState.TASK_STATE_COMPLETED);
  assert.ok(task.artifacts[0].parts[0].content.value.length > 0);
});
await check("same message, same task", async () => assert.equal((await client.sendMessage(message("m1", "Hello"))).id, task.id));
await check("get", async () => assert.equal((await client.getTask({ id: task.id })).contextId, task.contextId));
await check("list", async () => assert.deepEqual((await client.listTasks({ contextId: task.contextId })).tasks.map((t) => t.id), [task.id]));
await check("stream", async () => {
  const seen = [];
  let text = "";
  for await (const event of client.sendMessageStream(message("m2", "And again?", task.contextId))) {
    seen.push(event.payload.$case);
    if (event.payload.$case === "artifactUpdate") text += event.payload.value.artifact.parts[0].content.value;
    if (event.payload.$case === "statusUpdate") assert.equal(event.payload.value.status.state, TaskState.TASK_STATE_COMPLETED);
  }
  assert.equal(seen[0], "task");
  assert.equal(seen.at(-1), "statusUpdate");
  assert.ok(text.length > 0);
});
await check("cancel after the end", async () => assert.rejects(client.cancelTask({ id: task.id })));
await check("unknown task", async () => assert.rejects(client.getTask({ id: "run_nothing" })));
