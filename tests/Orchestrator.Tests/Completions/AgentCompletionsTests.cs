using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Contracts.Clients;
using MultiAgent.Orchestrator.Tests.Support;

namespace MultiAgent.Orchestrator.Tests.Completions;

[Trait("Database", "once")]
public sealed class AgentCompletionsTests
{
    private const string ClientTool = """{"type":"function","function":{"name":"lookup","parameters":{"type":"object"}}}""";

    [Fact]
    public async Task Usage_OfSeveralCalls_HasItsCachedAndReasoningTokens()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync(more: new { tools = new[] { new { name = "calculator" } } });
        host.Model.Script(
            FakeAnswer.Calling("calculator", """{"expression":"1+1"}""") with { InputTokens = 50, CachedInputTokens = 30, OutputTokens = 20, ReasoningTokens = 12 },
            FakeAnswer.Says("Two.") with { InputTokens = 60, CachedInputTokens = 40, OutputTokens = 3 });

        (_, JsonElement body, string? runId) = await CompleteAsync(host, """{"model":"agent/helper","messages":[{"role":"user","content":"1+1?"}]}""");

        JsonElement usage = body.GetProperty("usage");
        Assert.Equal(110, usage.GetProperty("prompt_tokens").GetInt32());
        Assert.Equal(70, usage.GetProperty("prompt_tokens_details").GetProperty("cached_tokens").GetInt32());
        Assert.Equal(12, usage.GetProperty("completion_tokens_details").GetProperty("reasoning_tokens").GetInt32());
        (_, JsonElement run, _) = await host.Alpha.GetJsonAsync($"/api/v1/runs/{runId}");
        Assert.False(run.GetProperty("usage").GetProperty("estimated").GetBoolean());
        Assert.Equal((70, 12), (run.GetProperty("usage").GetProperty("cachedInputTokens").GetInt32(), run.GetProperty("usage").GetProperty("reasoningTokens").GetInt32()));
    }

    [Fact]
    public async Task Usage_ThatAProviderDoesNotReport_IsMarkedInTheRun()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync(more: new { tools = new[] { new { name = "calculator" } } });
        host.Model.Script(FakeAnswer.Calling("calculator", """{"expression":"1+1"}""") with { Estimated = true }, FakeAnswer.Says("Two."));

        (_, _, string? runId) = await CompleteAsync(host, """{"model":"agent/helper","messages":[{"role":"user","content":"1+1?"}]}""");

        (_, JsonElement run, _) = await host.Alpha.GetJsonAsync($"/api/v1/runs/{runId}");
        Assert.True(run.GetProperty("usage").GetProperty("estimated").GetBoolean());
    }

    [Fact]
    public async Task Complete_Json_HasTheOpenAiShape()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync();

        (int status, JsonElement body, string? runId) = await CompleteAsync(host, """{"model":"agent/helper","messages":[{"role":"user","content":"Hi"}]}""");

        Assert.Equal(200, status);
        Assert.Equal($"chatcmpl-{runId}", body.Text("id"));
        Assert.Equal("chat.completion", body.Text("object"));
        Assert.Equal("agent/helper", body.Text("model"));
        Assert.True(body.GetProperty("created").GetInt64() > 1_700_000_000);
        JsonElement choice = Assert.Single(body.GetProperty("choices").EnumerateArray());
        Assert.Equal(0, choice.GetProperty("index").GetInt32());
        Assert.Equal("stop", choice.Text("finish_reason"));
        Assert.Equal(JsonValueKind.Null, choice.GetProperty("logprobs").ValueKind);
        Assert.Equal("assistant", choice.Text("message", "role"));
        Assert.Equal("Hello there", choice.Text("message", "content"));
        Assert.Equal(JsonValueKind.Null, choice.GetProperty("message").GetProperty("refusal").ValueKind);
        Assert.Equal(7, body.GetProperty("usage").GetProperty("total_tokens").GetInt32());
    }

    [Fact]
    public async Task Complete_Stream_ChunksInOrderAndDone()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync();

        string[] lines = await StreamAsync(host, """{"model":"agent/helper","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"Hi"}]}""");

        Assert.Equal("[DONE]", lines[^1]);
        JsonElement[] chunks = [.. lines[..^1].Select(l => JsonDocument.Parse(l).RootElement)];
        Assert.Single(chunks.Select(c => c.Text("id")).Distinct());
        Assert.All(chunks, c => Assert.Equal("chat.completion.chunk", c.Text("object")));
        JsonElement first = chunks[0].GetProperty("choices")[0];
        Assert.Equal("assistant", first.Text("delta", "role"));
        Assert.Equal("", first.Text("delta", "content"));
        Assert.Equal("Hello there", string.Concat(chunks[1..^2].Select(c => c.GetProperty("choices")[0].Text("delta", "content"))));
        Assert.Equal("stop", chunks[^2].GetProperty("choices")[0].Text("finish_reason"));
        Assert.Empty(chunks[^2].GetProperty("choices")[0].GetProperty("delta").EnumerateObject());
        Assert.Empty(chunks[^1].GetProperty("choices").EnumerateArray());
        Assert.Equal(5, chunks[^1].GetProperty("usage").GetProperty("prompt_tokens").GetInt32());
        Assert.All(chunks[..^1], c => Assert.Equal(JsonValueKind.Null, c.GetProperty("usage").ValueKind));
    }

    [Fact]
    public async Task Complete_StreamWithoutIncludeUsage_HasNoUsage()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync();

        string[] lines = await StreamAsync(host, """{"model":"agent/helper","stream":true,"messages":[{"role":"user","content":"Hi"}]}""");

        Assert.All(lines[..^1], l => Assert.False(JsonDocument.Parse(l).RootElement.TryGetProperty("usage", out _)));
    }

    [Fact]
    public async Task Complete_Settings_ClientWinsOverAgent()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync(more: new { temperature = 0.1, topP = 0.5, maxTokens = 100 });

        await CompleteAsync(host, """{"model":"x","messages":[{"role":"user","content":"Hi"}],"temperature":0.9,"max_completion_tokens":7,"seed":42,"stop":["x"],"logprobs":true}""");

        JsonElement request = host.Model.Requests.Single().Body;
        Assert.Equal(0.9, request.GetProperty("temperature").GetDouble());
        Assert.Equal(0.5, request.GetProperty("top_p").GetDouble());
        Assert.Equal(7, request.GetProperty("max_completion_tokens").GetInt32());
        Assert.False(request.TryGetProperty("max_tokens", out _));
        Assert.Equal(42, request.GetProperty("seed").GetInt32());
        Assert.False(request.TryGetProperty("logprobs", out _));
        Assert.Equal("fake/model", request.Text("model"));
    }

    [Fact]
    public async Task Complete_ClientTool_GoesBackToTheCaller()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync();
        host.Model.Script(FakeAnswer.Calling("lookup", """{"id":7}""", "call_9"));

        (_, JsonElement body, _) = await CompleteAsync(host, $$"""{"model":"x","messages":[{"role":"user","content":"Hi"}],"tools":[{{ClientTool}}]}""");

        JsonElement choice = body.GetProperty("choices")[0];
        Assert.Equal("tool_calls", choice.Text("finish_reason"));
        Assert.Equal(JsonValueKind.Null, choice.GetProperty("message").GetProperty("content").ValueKind);
        JsonElement call = Assert.Single(choice.GetProperty("message").GetProperty("tool_calls").EnumerateArray());
        Assert.Equal("call_9", call.Text("id"));
        Assert.Equal("""{"id":7}""", call.Text("function", "arguments"));
    }

    [Fact]
    public async Task Complete_ClientToolStreamed_NameThenArguments()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync();
        host.Model.Script(FakeAnswer.Calling("lookup", """{"id":7}"""));

        string[] lines = await StreamAsync(host, $$"""{"model":"x","stream":true,"messages":[{"role":"user","content":"Hi"}],"tools":[{{ClientTool}}]}""");

        JsonElement[] deltas = [.. lines[..^1].Select(l => JsonDocument.Parse(l).RootElement.GetProperty("choices")[0])];
        Assert.Equal(JsonValueKind.Null, deltas[0].GetProperty("delta").GetProperty("content").ValueKind);
        JsonElement named = deltas[1].GetProperty("delta").GetProperty("tool_calls")[0];
        Assert.Equal("lookup", named.Text("function", "name"));
        Assert.Equal("", named.Text("function", "arguments"));
        JsonElement rest = deltas[2].GetProperty("delta").GetProperty("tool_calls")[0];
        Assert.False(rest.TryGetProperty("id", out _));
        Assert.Equal("""{"id":7}""", rest.Text("function", "arguments"));
        Assert.Equal("tool_calls", deltas[^1].Text("finish_reason"));
    }

    [Fact]
    public async Task Complete_MixedTools_OwnAreMadeAndOnlyTheClientsGoOut()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync(more: new { tools = new[] { new { name = "calculator" } } });
        host.Model.Script(new FakeAnswer { Calls = [("call_1", "calculator", """{"expression":"6*7"}"""), ("call_2", "lookup", "{}")] });

        (_, JsonElement body, string? runId) = await CompleteAsync(host, $$"""{"model":"x","messages":[{"role":"user","content":"Hi"}],"tools":[{{ClientTool}}]}""");

        JsonElement call = Assert.Single(body.GetProperty("choices")[0].GetProperty("message").GetProperty("tool_calls").EnumerateArray());
        Assert.Equal("lookup", call.Text("function", "name"));
        (_, JsonElement events, _) = await host.Alpha.GetJsonAsync($"/api/v1/runs/{runId}/events", ("Accept", "application/json"));
        JsonElement made = events.GetProperty("data").EnumerateArray().Single(e => e.Text("type") == "tool_call.completed");
        Assert.Equal("42", made.Text("data", "result"));
        Assert.Single(host.Model.Requests);

        // The request that brings the client's result holds the client's messages alone.
        await CompleteAsync(host, $$"""
            {"model":"x","tools":[{{ClientTool}}],"messages":[{"role":"user","content":"Hi"},
            {"role":"assistant","content":null,"tool_calls":[{"id":"call_2","type":"function","function":{"name":"lookup","arguments":"{}"} }]},
            {"role":"tool","tool_call_id":"call_2","content":"found"}]}
            """);
        Assert.Equal(["system", "user", "assistant", "tool"], host.Model.Requests.Last().Roles);
    }

    [Fact]
    public async Task Complete_ForcedToolChoice_HoldsForTheFirstStepOnly()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync(more: new { tools = new[] { new { name = "current_time" } } });
        host.Model.Script(FakeAnswer.Calling("current_time", "{}"));

        await CompleteAsync(host, """{"model":"x","messages":[{"role":"user","content":"Hi"}],"tool_choice":"required"}""");

        SeenRequest[] requests = [.. host.Model.Requests];
        Assert.Equal("required", requests[0].Body.Text("tool_choice"));
        Assert.False(requests[1].Body.TryGetProperty("tool_choice", out _));
    }

    [Fact]
    public async Task Complete_SeveralSteps_UsageIsTheSum()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync(more: new { tools = new[] { new { name = "current_time" } } });
        host.Model.Script(FakeAnswer.Calling("current_time", "{}"));

        (_, JsonElement body, _) = await CompleteAsync(host, """{"model":"x","messages":[{"role":"user","content":"Hi"}]}""");

        Assert.Equal(10, body.GetProperty("usage").GetProperty("prompt_tokens").GetInt32());
        Assert.Equal(4, body.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
    }

    [Theory]
    [InlineData("nobody", """{"messages":[{"role":"user","content":"Hi"}]}""", 404, "model_not_found", "model")]
    [InlineData("helper", """{"messages":[]}""", 400, "invalid_request", "messages")]
    [InlineData("helper", """{"messages":[{"role":"user","content":"Hi"}],"n":2}""", 400, "invalid_request", "n")]
    [InlineData("helper", """{"messages":[{"content":"Hi"}]}""", 400, "invalid_request", "messages[0]")]
    [InlineData("helper", """{"messages":[{"role":"user","content":"Hi"}],"tools":[{"type":"function"}]}""", 400, "invalid_request", "tools[0]")]
    [InlineData("helper", """{"messages":[{"role":"user","content":"Hi"}],"variables":{"x":1}}""", 400, "validation_failed", "variables")]
    public async Task Complete_Refused_IsAnOpenAiError(string agent, string request, int status, string code, string param)
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync();

        (int actual, JsonElement body, string? runId) = await CompleteAsync(host, request, agent: agent);

        Assert.Equal(status, actual);
        Assert.Null(runId);
        Assert.Equal(code, body.Text("error", "code"));
        Assert.Equal(param, body.Text("error", "param"));
        Assert.Equal("invalid_request_error", body.Text("error", "type"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Complete_ProviderError_HasItsStatusBeforeAnythingIsStreamed(bool stream)
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync();
        host.Model.Script(new FakeAnswer { Status = 400, ErrorBody = """{"error":{"message":"Too long.","type":"invalid_request_error","param":null,"code":"context_length_exceeded"}}""" });

        (int status, JsonElement body, string? runId) = await CompleteAsync(host, """{"messages":[{"role":"user","content":"Hi"}]}""", stream: stream);

        Assert.Equal(400, status);
        Assert.Equal("context_length_exceeded", body.Text("error", "code"));
        (_, JsonElement run, _) = await host.Alpha.GetJsonAsync($"/api/v1/runs/{runId}");
        Assert.Equal("failed", run.Text("status"));
        Assert.Equal("context_length_exceeded", run.Text("error", "code"));
    }

    [Fact]
    public async Task Complete_StreamBreaksOff_EndsWithAnErrorAndNoDone()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync();
        host.Model.Script(FakeAnswer.Says("Half") with { BreaksOff = true });

        string[] lines = await StreamAsync(host, """{"messages":[{"role":"user","content":"Hi"}]}""");

        Assert.Equal("provider_stream_interrupted", JsonDocument.Parse(lines[^1]).RootElement.Text("error", "code"));
        Assert.DoesNotContain("[DONE]", lines);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Complete_ClientLeaves_CancelsTheRunAndClosesTheModelCall(bool stream)
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync();
        host.Model.Script(FakeAnswer.Says("One", "Two") with { Gate = (i, ct) => i == 1 || !stream ? Task.Delay(Timeout.Infinite, ct) : Task.CompletedTask });
        using var client = new CancellationTokenSource();

        if (stream)
        {
            IAgentCompletion completion = await StartAsync(host, """{"messages":[{"role":"user","content":"Hi"}]}""", true, "helper", client.Token);
            await completion.Body.ReadAsync(client.Token);
            await client.CancelAsync();
            await completion.DisposeAsync();
        }
        else
        {
            Task<IAgentCompletion> pending = StartAsync(host, """{"messages":[{"role":"user","content":"Hi"}]}""", false, "helper", client.Token);
            await host.Model.WaitForRequestsAsync(1);
            await client.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pending);
        }

        Assert.True(await host.Model.ClosedEarly.WaitAsync(TestHost.Deadline));
        JsonElement run = await host.Alpha.WaitForRunAsync();
        Assert.Equal("cancelled", run.Text("status"));
        Assert.Equal("client_disconnected", run.Text("reason"));
    }

    [Fact]
    public async Task Complete_LabelAndVersion_ChooseTheVersion()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync();
        await host.Alpha.SendAsync(HttpMethod.Put, "/api/v1/agents/helper?promote=false", new { name = "helper", instructions = "Second.", model = "fake/model" });

        foreach ((string reference, string expected) in new[] { ("helper", "Help."), ("helper@staging", "Second."), ("helper@1", "Help."), ("helper@2", "Second.") })
        {
            await CompleteAsync(host, """{"messages":[{"role":"user","content":"Hi"}]}""", agent: reference);
            Assert.Equal(expected, host.Model.Requests.Last().Messages[0].Text("content"));
        }
        Assert.Equal(404, (await CompleteAsync(host, """{"messages":[{"role":"user","content":"Hi"}]}""", agent: "helper@3")).Status);
    }

    [Fact]
    public async Task Complete_OtherTenantsAgent_IsNotFound()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync();

        Assert.Equal(404, (await CompleteAsync(host, """{"messages":[{"role":"user","content":"Hi"}]}""", key: "beta")).Status);
        var completions = host.Services.GetRequiredService<IAgentCompletions>();
        Assert.Empty(await completions.ListAsync(FakeTenants.Of("beta"), default));
        Assert.Equal("helper", Assert.Single(await completions.ListAsync(FakeTenants.Of("alpha"), default)).Slug);
    }

    [Fact]
    public async Task Complete_OneStep_RecordsOneJourneyAndOneOutboxEvent()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync();

        await CompleteAsync(host, """{"messages":[{"role":"user","content":"Hi"}]}""");

        JsonElement journey = Assert.Single(host.Spool.Journeys);
        Assert.Equal("recorded", journey.Text("kind"));
        Assert.Equal("completed", journey.Text("outcome"));
        Assert.Equal("model", journey.Text("step"));
        Assert.Equal(["orchestrator.run.completed"], await host.OutboxSubjectsAsync());
    }

    internal static async Task<(int Status, JsonElement Body, string? RunId)> CompleteAsync(TestHost host, string body, bool stream = false, string agent = "helper", string key = "alpha", string? idempotencyKey = null)
    {
        await using IAgentCompletion completion = await StartAsync(host, body, stream, agent, default, key, idempotencyKey);
        return (completion.StatusCode, JsonDocument.Parse(await ReadAsync(completion)).RootElement, completion.RunId);
    }

    internal static async Task<string[]> StreamAsync(TestHost host, string body, string agent = "helper")
    {
        await using IAgentCompletion completion = await StartAsync(host, body, true, agent, default);
        Assert.Equal(200, completion.StatusCode);
        string text = await ReadAsync(completion);
        Assert.EndsWith("\n\n", text);
        return [.. text.Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Select(l => l["data: ".Length..])];
    }

    private static Task<IAgentCompletion> StartAsync(TestHost host, string body, bool stream, string agent, CancellationToken cancellationToken, string key = "alpha", string? idempotencyKey = null) =>
        host.Services.GetRequiredService<IAgentCompletions>().CompleteAsync(new AgentCompletionRequest
        {
            Caller = FakeTenants.Of(key), Agent = agent, Body = Encoding.UTF8.GetBytes(body), Stream = stream, RequestId = "req_1", IdempotencyKey = idempotencyKey,
        }, cancellationToken).AsTask();

    private static async Task<string> ReadAsync(IAgentCompletion completion)
    {
        using var reader = new StreamReader(completion.Body.AsStream());
        return await reader.ReadToEndAsync().WaitAsync(TestHost.Deadline);
    }
}
