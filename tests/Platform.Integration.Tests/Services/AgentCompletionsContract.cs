using System.Diagnostics;
using System.IO.Pipelines;
using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Contracts.Clients;
using MultiAgent.Contracts.Identity;

namespace MultiAgent.Platform.Integration.Tests.Services;

/// <summary>What <see cref="IAgentCompletions"/> promises, wherever the orchestrator is.</summary>
public abstract class AgentCompletionsContract : IAsyncLifetime
{
    private static int s_models;

    private readonly string _model = $"contract-{Interlocked.Increment(ref s_models)}";

    protected abstract TestPlatform Platform { get; }

    private IAgentCompletions Agents => Platform.App.Services.GetRequiredService<IAgentCompletions>();

    /// <summary>An agent of the demo tenant whose model no other test uses; its slug is the model's name.</summary>
    public virtual async ValueTask InitializeAsync() => await Platform.Client.PostJsonAsync("/api/v1/agents",
        $$"""{"slug":"{{_model}}","name":"Contract","instructions":"Answer.","model":"fake/{{_model}}"}""", HttpStatusCode.Created);

    public virtual ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task List_OfATenant_HoldsItsAgentsAlone()
    {
        TestTenant other = Platform.AddTenant($"other-{Guid.NewGuid():N}"[..20]);

        IReadOnlyList<AgentSummary> own = await Agents.ListAsync(await CallerAsync(), CancellationToken.None);
        IReadOnlyList<AgentSummary> others = await Agents.ListAsync(await CallerAsync(other.Key), CancellationToken.None);

        AgentSummary agent = Assert.Single(own, a => a.Slug == _model);
        Assert.Equal("Contract", agent.Name);
        Assert.True(agent.CreatedAt > TimeProvider.System.GetUtcNow().AddMinutes(-5));
        Assert.DoesNotContain(others, a => a.Slug == _model);
    }

    [Fact]
    public async Task Answer_Whole_IsACompletionWithItsRun()
    {
        await using IAgentCompletion completion = await Agents.CompleteAsync(await RequestAsync(), CancellationToken.None);
        JsonElement body = JsonDocument.Parse(await ReadAsync(completion.Body)).RootElement;

        Assert.Equal((200, false, null), (completion.StatusCode, completion.Failed, completion.RetryAfterSeconds));
        Assert.Equal($"chatcmpl-{completion.RunId}", body.GetProperty("id").GetString());
        Assert.Equal("Hello from the provider.", body.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
        Assert.Equal("completed", (await Platform.Client.GetJsonAsync($"/api/v1/runs/{completion.RunId}")).GetProperty("status").GetString());
    }

    [Fact]
    public async Task Answer_Streamed_ComesAsItIsMadeAndEndsWithItsMark()
    {
        var goOn = new TaskCompletionSource();
        Platform.Provider.For(_model, async context =>
        {
            await FakeProvider.BeginStreamAsync(context);
            await FakeProvider.ChunkAsync(context, "m", new { role = "assistant", content = "first " });
            await goOn.Task.WaitAsync(Eventually.Deadline);
            await FakeProvider.ChunkAsync(context, "m", new { content = "second" });
            await FakeProvider.ChunkAsync(context, "m", new { }, "stop");
            await FakeProvider.DataAsync(context, "[DONE]");
        });

        await using IAgentCompletion completion = await Agents.CompleteAsync(await RequestAsync(stream: true), CancellationToken.None);
        string begun = await ReadUntilAsync(completion.Body, "first");
        goOn.SetResult();
        string rest = await ReadAsync(completion.Body);

        Assert.Equal(200, completion.StatusCode);
        Assert.DoesNotContain("second", begun, StringComparison.Ordinal);
        Assert.EndsWith("data: [DONE]\n\n", rest, StringComparison.Ordinal);
        Assert.Equal("first second", Sse.Text(Sse.Chunks(begun + rest)));
        Assert.False(completion.Failed);
    }

    [Fact]
    public async Task Stream_ThatBreaksOff_EndsInAnErrorAndWithoutItsMark()
    {
        var breakOff = new TaskCompletionSource();
        Platform.Provider.For(_model, async context =>
        {
            await FakeProvider.BeginStreamAsync(context);
            await FakeProvider.ChunkAsync(context, "m", new { role = "assistant", content = "so far" });
            await breakOff.Task.WaitAsync(Eventually.Deadline);
            context.Abort();
        });

        await using IAgentCompletion completion = await Agents.CompleteAsync(await RequestAsync(stream: true), CancellationToken.None);
        string body = await ReadUntilAsync(completion.Body, "so far");
        breakOff.SetResult();
        body += await ReadAsync(completion.Body);

        Assert.True(completion.Failed);
        Assert.DoesNotContain("[DONE]", body, StringComparison.Ordinal);
        Assert.Equal("provider_stream_interrupted", Sse.Chunks(body)[^1].GetProperty("error").GetProperty("code").GetString());
    }

    [Theory]
    [InlineData("no-such-agent", """{"messages":[{"role":"user","content":"hi"}]}""", 404, "model_not_found")]
    [InlineData("(long)", """{"messages":[{"role":"user","content":"hi"}]}""", 404, "model_not_found")]
    [InlineData("nicht-ä-da", """{"messages":[{"role":"user","content":"hi"}]}""", 404, "model_not_found")]
    [InlineData(null, """{"messages":"hi"}""", 400, null)]
    public async Task Request_ThatCannotBeServed_IsAnErrorWithoutARun(string? agent, string body, int status, string? code)
    {
        AgentCompletionRequest request = await RequestAsync() with { Body = Encoding.UTF8.GetBytes(body) };
        if (agent is not null) request = request with { Agent = agent == "(long)" ? new string('a', 100_000) : agent };

        await using IAgentCompletion completion = await Agents.CompleteAsync(request, CancellationToken.None);
        JsonElement error = JsonDocument.Parse(await ReadAsync(completion.Body)).RootElement.GetProperty("error");

        Assert.Equal((status, true, null), (completion.StatusCode, completion.Failed, completion.RunId));
        if (code is not null) Assert.Equal(code, error.GetProperty("code").GetString());
        else Assert.False(string.IsNullOrEmpty(error.GetProperty("code").GetString()));
    }

    [Fact]
    public async Task Agent_OfAnotherTenant_IsNotFound()
    {
        TestTenant other = Platform.AddTenant($"other-{Guid.NewGuid():N}"[..20]);

        await using IAgentCompletion completion = await Agents.CompleteAsync(await RequestAsync() with { Caller = await CallerAsync(other.Key) }, CancellationToken.None);

        Assert.Equal(404, completion.StatusCode);
    }

    [Fact]
    public async Task Provider_ThatRefuses_IsTheRunsError()
    {
        Platform.Provider.For(_model, FakeProvider.Error(400, "invalid_value"));

        await using IAgentCompletion completion = await Agents.CompleteAsync(await RequestAsync(), CancellationToken.None);

        Assert.Equal((400, true), (completion.StatusCode, completion.Failed));
        Assert.NotNull(completion.RunId);
    }

    [Fact]
    public async Task Limit_OfConcurrentRuns_SaysWhenToComeBack()
    {
        Platform.Provider.For(_model, FakeProvider.UntilAbortedAsync);
        Caller limited = Limited(await CallerAsync());
        using var leave = new CancellationTokenSource();
        TestTenant other = Platform.AddTenant($"busy-{Guid.NewGuid():N}"[..20]);
        await other.Client.PostJsonAsync("/api/v1/agents", $$"""{"slug":"busy","name":"Busy","instructions":"Answer.","model":"fake/{{_model}}"}""", HttpStatusCode.Created);
        AgentCompletionRequest request = await RequestAsync() with { Agent = "busy", Caller = Limited(await CallerAsync(other.Key)) };
        Task<IAgentCompletion> first = Agents.CompleteAsync(request, leave.Token).AsTask();
        await Eventually.TrueAsync(() => Platform.Provider.RequestsFor(_model).Count == 1, "the first run is at the provider");

        await using IAgentCompletion second = await Agents.CompleteAsync(request, CancellationToken.None);

        Assert.Equal((429, 1), (second.StatusCode, second.RetryAfterSeconds));
        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);

        static Caller Limited(Caller caller) => new()
        {
            TenantId = caller.TenantId,
            TenantSlug = caller.TenantSlug,
            ApiKeyId = caller.ApiKeyId,
            Scopes = caller.Scopes,
            Limits = new TenantLimits { ConcurrentRuns = 1 },
        };
    }

    [Fact]
    public async Task Key_ThatWasUsedBefore_GivesTheSameRun()
    {
        AgentCompletionRequest request = await RequestAsync() with { IdempotencyKey = $"key {Guid.NewGuid():N}" };

        await using IAgentCompletion first = await Agents.CompleteAsync(request, CancellationToken.None);
        await using IAgentCompletion again = await Agents.CompleteAsync(request, CancellationToken.None);
        await using IAgentCompletion other = await Agents.CompleteAsync(request with { Body = """{"messages":[{"role":"user","content":"other"}]}"""u8.ToArray() }, CancellationToken.None);

        Assert.NotNull(first.RunId);
        Assert.Equal(first.RunId, again.RunId);
        Assert.Equal(await ReadAsync(first.Body), await ReadAsync(again.Body));
        Assert.Equal(409, other.StatusCode);
    }

    [Fact]
    public async Task Caller_WhoLeavesBeforeTheAnswer_CancelsTheRunAtOnce()
    {
        Platform.Provider.For(_model, FakeProvider.UntilAbortedAsync);
        using var leave = new CancellationTokenSource();
        int aborted = Platform.Provider.Aborted;
        Task<IAgentCompletion> completion = Agents.CompleteAsync(await RequestAsync(), leave.Token).AsTask();
        await Eventually.TrueAsync(() => Platform.Provider.RequestsFor(_model).Count == 1, "the run is at the provider");

        long started = Stopwatch.GetTimestamp();
        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => completion);

        await CancelledAsync(aborted, started);
    }

    [Fact]
    public async Task Reader_WhoLeavesAStream_CancelsTheRunAtOnce()
    {
        Platform.Provider.For(_model, async context =>
        {
            await FakeProvider.BeginStreamAsync(context);
            await FakeProvider.ChunkAsync(context, "m", new { role = "assistant", content = "first" });
            await FakeProvider.UntilAbortedAsync(context);
        });
        int aborted = Platform.Provider.Aborted;
        IAgentCompletion completion = await Agents.CompleteAsync(await RequestAsync(stream: true), CancellationToken.None);
        await ReadUntilAsync(completion.Body, "first");

        long started = Stopwatch.GetTimestamp();
        await completion.DisposeAsync();

        await CancelledAsync(aborted, started);
        JsonElement run = default;
        await Eventually.TrueAsync(async () => (run = await Platform.Client.GetJsonAsync($"/api/v1/runs/{completion.RunId}")).GetProperty("status").GetString() != "running", "the run has ended");
        Assert.Equal("cancelled", run.GetProperty("status").GetString());
    }

    private async Task CancelledAsync(int abortedBefore, long started)
    {
        await Eventually.TrueAsync(() => Platform.Provider.Aborted > abortedBefore, "the provider's call is broken off");
        TimeSpan took = Stopwatch.GetElapsedTime(started);
        TestContext.Current.TestOutputHelper?.WriteLine($"The call of the model ended {took.TotalMilliseconds:0} ms after the client had left.");
        // A tenth of a second is the promise; a loaded machine may be late.
        Assert.True(took < TimeSpan.FromSeconds(8), $"The call went on for {took}.");
    }

    private async Task<Caller> CallerAsync(string key = TestPlatform.DemoKey) =>
        await Platform.App.Services.GetRequiredService<ITenantDirectory>().FindByApiKeyAsync(key, CancellationToken.None) ?? throw new InvalidOperationException("The key is unknown.");

    private async Task<AgentCompletionRequest> RequestAsync(bool stream = false) => new()
    {
        Caller = await CallerAsync(),
        Agent = _model,
        Body = Encoding.UTF8.GetBytes($$"""{"model":"agent/{{_model}}","stream":{{(stream ? "true" : "false")}},"messages":[{"role":"user","content":"hi"}]}"""),
        Stream = stream,
        RequestId = "req_of_the_contract",
    };

    private static async Task<string> ReadAsync(PipeReader body)
    {
        await using Stream stream = body.AsStream(leaveOpen: true);
        using var reader = new StreamReader(stream);
        return await reader.ReadToEndAsync().WaitAsync(Eventually.Deadline);
    }

    private static async Task<string> ReadUntilAsync(PipeReader body, string text)
    {
        var seen = new StringBuilder();
        while (!seen.ToString().Contains(text, StringComparison.Ordinal))
        {
            ReadResult read = await body.ReadAsync().AsTask().WaitAsync(Eventually.Deadline);
            seen.Append(Encoding.UTF8.GetString(read.Buffer));
            body.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted) break;
        }
        return seen.ToString();
    }
}

/// <summary>In one process.</summary>
[Collection(SharedPlatform.Name)]
[Trait("Database", "once")]
public sealed class LocalAgentCompletionsTests(PlatformFixture fixture) : AgentCompletionsContract
{
    protected override TestPlatform Platform => fixture.Platform;
}

/// <summary>From the gateway to the orchestrator in another process.</summary>
[Collection(ServicesApart.Name)]
[Trait("Database", "once")]
public sealed class RemoteAgentCompletionsTests(ServicesFixture fixture) : AgentCompletionsContract
{
    protected override TestPlatform Platform => fixture.Platform;
}
