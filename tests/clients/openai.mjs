// Drives the platform with the official client: node openai.mjs <base URL> <API key>. One line of JSON per check; exit code 1 when one fails.
import assert from "node:assert/strict";
import OpenAI, { APIUserAbortError, AuthenticationError, BadRequestError, NotFoundError, RateLimitError } from "openai";

const [baseURL, apiKey] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 30_000 });
const weather = {
  type: "function",
  function: {
    name: "get_weather",
    description: "The weather in a city",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false },
  },
};
const question = [{ role: "user", content: "What is the weather in Hue?" }];
const schema = {
  type: "json_schema",
  json_schema: {
    name: "person",
    strict: true,
    schema: { type: "object", properties: { name: { type: "string" }, age: { type: "integer" } }, required: ["name", "age"], additionalProperties: false },
  },
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

async function textOf(stream) {
  let text = "";
  let last;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta?.content ?? "";
    last = chunk;
  }
  return { text, last };
}

for (const [kind, models] of Object.entries({
  provider: { chat: "fake/priced", tools: "fake/tools", schema: "fake/schema" },
  agent: { chat: "agent/helper", tools: "agent/helper", schema: "agent/helper" },
})) {
  await check(`${kind}: chat`, async () => {
    const answer = await client.chat.completions.create({ model: models.chat, messages: [{ role: "user", content: "What is 12 * (3 + 4)?" }] });
    assert.ok(answer.choices[0].message.content.length > 0);
    assert.equal(answer.choices[0].finish_reason, "stop");
    assert.equal(answer.object, "chat.completion");
    assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
    assert.ok(answer._request_id);
  });
  await check(`${kind}: stream`, async () => {
    const stream = await client.chat.completions.create({
      model: models.chat, messages: [{ role: "user", content: "What is 12 * (3 + 4)?" }], stream: true, stream_options: { include_usage: true },
    });
    const { text, last } = await textOf(stream);
    assert.ok(text.length > 0);
    assert.deepEqual(last.choices, []);
    assert.ok(last.usage.total_tokens > 0);
  });
  await check(`${kind}: stream helper`, async () => {
    const runner = client.chat.completions.stream({ model: models.chat, messages: [{ role: "user", content: "Good morning" }] });
    const final = await runner.finalChatCompletion();
    assert.ok(final.choices[0].message.content.length > 0);
  });
  await check(`${kind}: tools round trip`, async () => {
    const first = await client.chat.completions.create({ model: models.tools, messages: question, tools: [weather] });
    assert.equal(first.choices[0].finish_reason, "tool_calls");
    const call = first.choices[0].message.tool_calls[0];
    assert.equal(call.function.name, "get_weather");
    assert.equal(typeof JSON.parse(call.function.arguments).city, "string");
    const second = await client.chat.completions.create({
      model: models.tools,
      messages: [...question, first.choices[0].message, { role: "tool", tool_call_id: call.id, content: "{\"temperature\": 31, \"sky\": \"clear\"}" }],
      tools: [weather],
    });
    assert.equal(second.choices[0].finish_reason, "stop");
    assert.ok(second.choices[0].message.content.length > 0);
  });
  await check(`${kind}: tools in a stream`, async () => {
    const stream = await client.chat.completions.create({ model: models.tools, messages: question, tools: [weather], stream: true });
    let id, name = "", args = "", reason;
    for await (const chunk of stream) {
      const choice = chunk.choices[0];
      const part = choice?.delta?.tool_calls?.[0];
      id ??= part?.id;
      name += part?.function?.name ?? "";
      args += part?.function?.arguments ?? "";
      reason = choice?.finish_reason ?? reason;
    }
    assert.ok(id);
    assert.equal(name, "get_weather");
    assert.ok(JSON.parse(args).city);
    assert.equal(reason, "tool_calls");
  });
  await check(`${kind}: structured output`, async () => {
    const answer = await client.chat.completions.create({
      model: models.schema, messages: [{ role: "user", content: "Maria is 34 years old." }], response_format: schema,
    });
    const person = JSON.parse(answer.choices[0].message.content);
    assert.equal(typeof person.name, "string");
    assert.ok(Number.isInteger(person.age));
  });
}

await check("embeddings: default format", async () => {
  for (const model of ["local/embeddings", "fake/embedding"]) {
    const answer = await client.embeddings.create({ model, input: "a quiet river" });
    assert.ok(answer.data[0].embedding.length > 0);
    assert.equal(typeof answer.data[0].embedding[0], "number");
  }
});
await check("embeddings: several inputs as numbers", async () => {
  const answer = await client.embeddings.create({ model: "local/embeddings", input: ["one", "two"], encoding_format: "float" });
  assert.deepEqual(answer.data.map((d) => d.index), [0, 1]);
});
await check("models: list and get", async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.ok(ids.includes("agent/helper"));
  assert.equal((await client.models.retrieve("fake/priced")).id, "fake/priced");
});
await check("errors: unknown key", async () => {
  const stranger = new OpenAI({ baseURL, apiKey: "maap_not-a-key-of-this-platform-at-all", maxRetries: 0 });
  await assert.rejects(stranger.chat.completions.create({ model: "auto", messages: question }),
    (e) => e instanceof AuthenticationError && e.code === "invalid_api_key" && e.requestID.startsWith("req_"));
});
await check("errors: unknown model", () => assert.rejects(
  client.chat.completions.create({ model: "no-such-model", messages: question }), (e) => e instanceof NotFoundError && e.code === "model_not_found"));
await check("errors: unknown agent", () => assert.rejects(
  client.chat.completions.create({ model: "agent/no-such-agent", messages: question }), (e) => e instanceof NotFoundError));
await check("errors: no messages", () => assert.rejects(
  client.chat.completions.create({ model: "fake/priced", messages: [] }), (e) => e instanceof BadRequestError && e.param === "messages"));
await check("errors: rate limit of the provider", () => assert.rejects(
  client.chat.completions.create({ model: "fake/limited-for-node", messages: question }), (e) => e instanceof RateLimitError && e.headers.get("retry-after") === "120"));
await check("errors: stream that breaks", async () => {
  const stream = await client.chat.completions.create({ model: "fake/broken", messages: question, stream: true });
  await assert.rejects(textOf(stream), (e) => e instanceof OpenAI.APIError);
});
await check("abort: a stream", async () => {
  const stream = await client.chat.completions.create({ model: "fake/endless", messages: question, stream: true });
  for await (const _ of stream) break;
  assert.ok(stream.controller.signal.aborted);
});
await check("abort: before the answer", async () => {
  const abort = new AbortController();
  const pending = client.chat.completions.create({ model: "fake/silent", messages: question }, { signal: abort.signal });
  setTimeout(() => abort.abort(), 200);
  await assert.rejects(pending, (e) => e instanceof APIUserAbortError);
});
process.exitCode = failed;
