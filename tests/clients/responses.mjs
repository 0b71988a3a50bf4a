// Drives /v1/responses with the official client: node responses.mjs <base URL> <API key>. One line of JSON per check; exit code 1 when one fails.
import assert from "node:assert/strict";
import OpenAI, { APIUserAbortError, BadRequestError, NotFoundError } from "openai";

const [baseURL, apiKey] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 30_000 });
const weather = {
  type: "function",
  name: "get_weather",
  description: "The weather in a city",
  strict: true,
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false },
};
const format = {
  type: "json_schema",
  name: "person",
  strict: true,
  schema: { type: "object", properties: { name: { type: "string" }, age: { type: "integer" } }, required: ["name", "age"], additionalProperties: false },
};

let failed = 0;
async function check(name, body) {
  try {
    await body();
    console.log(JSON.stringify({ name, ok: true }));
  } catch (error) {
    failed = 1;
    console.log(JSON.stringify({ name, ok: false, error: String(error?.stack ?? error) }));
  }
}

for (const [kind, models] of Object.entries({
  provider: { text: "fake/priced", tools: "fake/tools", schema: "fake/schema" },
  agent: { text: "agent/helper", tools: "agent/helper", schema: "agent/helper" },
})) {
  await check(`${kind}: create`, async () => {
    const response = await client.responses.create({ model: models.text, input: "What is 12 * (3 + 4)?" });
    assert.equal(response.status, "completed");
    assert.ok(response.output_text.length > 0);
    assert.equal(response.usage.total_tokens, response.usage.input_tokens + response.usage.output_tokens);
    assert.ok(response._request_id);
    assert.equal((await client.responses.retrieve(response.id)).output_text, response.output_text);
  });
  await check(`${kind}: stream`, async () => {
    const stream = await client.responses.create({ model: models.text, input: "What is 12 * (3 + 4)?", stream: true });
    let text = "", number = 0, last;
    for await (const event of stream) {
      assert.equal(event.sequence_number, number++);
      if (event.type === "response.output_text.delta") text += event.delta;
      last = event;
    }
    assert.equal(last.type, "response.completed");
    assert.equal(last.response.output[0].content[0].text, text);
  });
  await check(`${kind}: stream helper`, async () => {
    const final = await client.responses.stream({ model: models.text, input: "Good morning" }).finalResponse();
    assert.equal(final.status, "completed");
    assert.ok(final.output_text.length > 0);
  });
  await check(`${kind}: tools round trip by previous_response_id`, async () => {
    const first = await client.responses.create({ model: models.tools, input: "What is the weather in Hue?", tools: [weather] });
    const call = first.output.find((item) => item.type === "function_call");
    assert.equal(call.name, "get_weather");
    assert.equal(typeof JSON.parse(call.arguments).city, "string");
    const second = await client.responses.create({
      model: models.tools, tools: [weather], previous_response_id: first.id, input: [{ type: "function_call_output", call_id: call.call_id, output: "{\"temperature\": 31}" }],
    });
    assert.equal(second.status, "completed");
    assert.ok(second.output_text.length > 0);
  });
  await check(`${kind}: tools round trip with the items sent again`, async () => {
    const input = [{ role: "user", content: "What is the weather in Hue?" }];
    const first = await client.responses.create({ model: models.tools, input, tools: [weather], store: false });
    const call = first.output.find((item) => item.type === "function_call");
    const second = await client.responses.create({
      model: models.tools, tools: [weather], store: false, input: [...input, ...first.output, { type: "function_call_output", call_id: call.call_id, output: "{\"temperature\": 31}" }],
    });
    assert.ok(second.output_text.length > 0);
  });
  await check(`${kind}: tools in a stream`, async () => {
    const stream = await client.responses.create({ model: models.tools, input: "What is the weather in Hue?", tools: [weather], stream: true });
    let args = "", done;
    for await (const event of stream) {
      if (event.type === "response.function_call_arguments.delta") args += event.delta;
      if (event.type === "response.output_item.done") done = event.item;
    }
    assert.ok(JSON.parse(args).city);
    assert.equal(done.arguments, args);
  });
  await check(`${kind}: structured output`, async () => {
    const response = await client.responses.parse({ model: models.schema, input: "Maria is 34 years old.", text: { format } });
    const person = JSON.parse(response.output_text);
    assert.equal(typeof person.name, "string");
    assert.ok(Number.isInteger(person.age));
  });
}

await check("background: create, retrieve, resume the stream", async () => {
  const queued = await client.responses.create({ model: "fake/priced", input: "Hi", background: true });
  assert.equal(queued.status, "queued");
  const stream = await client.responses.retrieve(queued.id, { stream: true, starting_after: 1 });
  const numbers = [];
  for await (const event of stream) numbers.push(event.sequence_number);
  assert.deepEqual(numbers, numbers.map((_, i) => i + 2));
  const done = await client.responses.retrieve(queued.id);
  assert.equal(done.status, "completed");
  const items = [];
  for await (const item of client.responses.inputItems.list(queued.id)) items.push(item);
  assert.equal(items[0].content[0].text, "Hi");
  await client.responses.delete(queued.id);
  await assert.rejects(client.responses.retrieve(queued.id), (e) => e instanceof NotFoundError);
});
await check("background: cancel", async () => {
  const queued = await client.responses.create({ model: "fake/silent", input: "Hi", background: true });
  assert.equal((await client.responses.cancel(queued.id)).status, "cancelled");
});
await check("errors: unknown model", () => assert.rejects(
  client.responses.create({ model: "no-such-model", input: "Hi" }), (e) => e instanceof NotFoundError && e.code === "model_not_found"));
await check("errors: what is not supported", () => assert.rejects(
  client.responses.create({ model: "fake/priced", input: "Hi", tools: [{ type: "web_search" }] }), (e) => e instanceof BadRequestError && e.param === "tools[0].type"));
await check("errors: stream that breaks", async () => {
  const stream = await client.responses.create({ model: "fake/broken", input: "Hi", stream: true });
  let last;
  for await (const event of stream) last = event;
  assert.equal(last.type, "response.failed");
});
await check("abort: before the answer", async () => {
  const abort = new AbortController();
  const pending = client.responses.create({ model: "fake/silent", input: "Hi", store: false }, { signal: abort.signal });
  setTimeout(() => abort.abort(), 200);
  await assert.rejects(pending, (e) => e instanceof APIUserAbortError);
});
process.exitCode = failed;
