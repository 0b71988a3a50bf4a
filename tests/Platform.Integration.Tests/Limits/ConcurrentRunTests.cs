using System.Net;
using System.Text.Json;

namespace MultiAgent.Platform.Integration.Tests.Limits;

/// <summary>How many runs a tenant may have active at once, over both surfaces that start runs.</summary>
public sealed class ConcurrentRunTests : IAsyncLifetime
{
    private const string Agent = """{"slug":"slow","name":"Slow","instructions":"Think.","model":"fake/slow"}""";
    private const string Chat = """{"agent":"slow","message":"go","stream":false}""";

    private readonly SemaphoreSlim _mayAnswer = new(0);
    private TestPlatform _platform = null!;

    public async ValueTask InitializeAsync()
    {
        _platform = await TestPlatform.StartAsync(new Dictionary<string, string?> { ["Limits:ConcurrentRuns"] = "2" });
        _platform.Provider.Default = async context =>
        {
            Assert.True(await _mayAnswer.WaitAsync(Eventually.Deadline, context.RequestAborted));
            await FakeProvider.AnswerAsync(context, "done");
        };
        await _platform.Client.PostJsonAsync("/api/v1/agents", Agent, HttpStatusCode.Created);
    }

    public async ValueTask DisposeAsync()
    {
        // Runs that a failed test left would hold up the stop.
        _mayAnswer.Release(100);
        await _platform.DisposeAsync();
        _mayAnswer.Dispose();
    }

    [Fact]
    public async Task Run_AboveTheTenantsLimit_Gets429UntilOneHasEnded()
    {
        TestTenant other = _platform.AddTenant("other");
        await other.Client.PostJsonAsync("/api/v1/agents", Agent, HttpStatusCode.Created);
        List<Task<HttpResponseMessage>> active = [.. Enumerable.Range(0, 2).Select(_ => _platform.Client.PostAsync("/api/v1/chat", Chat))];
        await ActiveAsync(2);

        using HttpResponseMessage third = await _platform.Client.PostAsync("/api/v1/chat", Chat);
        using HttpResponseMessage completion = await _platform.Client.PostAsync("/v1/chat/completions", """{"model":"agent/slow","messages":[{"role":"user","content":"go"}]}""");
        Task<HttpResponseMessage> others = other.Client.PostAsync("/api/v1/chat", Chat);
        await ActiveAsync(3);

        Assert.Equal((HttpStatusCode.TooManyRequests, HttpStatusCode.TooManyRequests), (third.StatusCode, completion.StatusCode));
        JsonElement problem = await third.ReadJsonAsync();
        Assert.Equal("application/problem+json", third.Content.Headers.ContentType!.MediaType);
        Assert.Equal("concurrency_limit_exceeded", problem.GetProperty("code").GetString());
        Assert.Equal("concurrency_limit_exceeded", (await completion.ReadJsonAsync()).GetProperty("error").GetProperty("code").GetString());
        Assert.All(new[] { third, completion }, r => Assert.Equal("1", r.Headers.GetValues("Retry-After").Single()));

        _mayAnswer.Release();
        // Whichever of the three was first at the provider; the tenant's own must lose one for the next to be accepted.
        Task<HttpResponseMessage> ended = await Task.WhenAny([.. active, others]).WaitAsync(Eventually.Deadline);
        if (ended == others)
        {
            _mayAnswer.Release();
            ended = await Task.WhenAny(active).WaitAsync(Eventually.Deadline);
        }
        active.Remove(ended);
        Assert.Equal(HttpStatusCode.OK, (await ended).StatusCode);
        active.Add(_platform.Client.PostAsync("/api/v1/chat", Chat));
        await Eventually.TrueAsync(() => active[^1].IsCompleted || _platform.Provider.RequestsFor("slow").Count == 4, "the next run has reached the provider");
        Assert.False(active[^1].IsCompleted, "The next run was refused although one had ended.");
        using HttpResponseMessage again = await _platform.Client.PostAsync("/api/v1/chat", Chat);
        _mayAnswer.Release(10);

        Assert.Equal(HttpStatusCode.TooManyRequests, again.StatusCode);
        Assert.All(await Task.WhenAll([.. active, others]), r => Assert.Equal(HttpStatusCode.OK, r.StatusCode));
        Assert.Equal(4, _platform.Provider.RequestsFor("slow").Count);
    }

    private Task ActiveAsync(int count) => Eventually.TrueAsync(() => _platform.Provider.Active == count, $"{count} runs are at the provider");
}
