using System.Collections.Concurrent;
using System.Net;
using System.Text.Json;

namespace MultiAgent.Platform.EndToEnd.Tests.Services;

/// <summary>Every service is restarted in turn under a steady load of all kinds of requests, and each request is answered right.</summary>
public sealed class RollingRestartTests
{
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(40);

    private const string Prompt = """{"model":"MODEL","stream":STREAM,"messages":[{"role":"user","content":"hi"}]}""";

    [Fact]
    public async Task Restart_OfEachServiceUnderLoad_LosesNoRequest()
    {
        Assert.SkipWhen(NatsServer.Missing is not null, NatsServer.Missing ?? "");
        Assert.SkipWhen(TestPostgres.Missing is not null, TestPostgres.Missing ?? "");
        await using TestDatabase database = await (await TestPostgres.SharedAsync()).NewDatabaseAsync();
        var replicas = new Dictionary<string, int> { ["tenant-service"] = 2, ["orchestrator"] = 2, ["analytics-service"] = 2, ["api-gateway"] = 2 };
        await using ServiceProcesses services = await ServiceProcesses.StartAsync(replicas, database.Settings);
        services.Provider.Default = async context =>
        {
            await Task.Delay(30, context.RequestAborted);
            await FakeProvider.AnswerAsync(context, "an answer in some words");
        };
        await using var balancer = new LoadBalancer(services.Of("api-gateway").Select(g => g.Url), PlatformEnvironment.Key);
        await balancer.Next().PostJsonAsync("/api/v1/agents", $$"""{"slug":"worker","name":"Worker","instructions":"Work.","model":"{{TestPlatform.Priced}}"}""", HttpStatusCode.Created);

        var answered = new ConcurrentDictionary<string, int>();
        var wrong = new ConcurrentQueue<string>();
        using var stop = new CancellationTokenSource();
        Task[] load = [.. Kinds.SelectMany(kind => Enumerable.Range(0, 2).Select(_ => Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                // A steady load, not the heaviest: the processes have to start beside it.
                await Task.Delay(Pace);
                try
                {
                    if (await kind.SendAsync(balancer.Next()) is { } problem) wrong.Enqueue($"{TimeProvider.System.GetUtcNow():HH:mm:ss.fff} {kind.Name}: {problem}");
                    else answered.AddOrUpdate(kind.Name, 1, (_, n) => n + 1);
                }
                catch (Exception e)
                {
                    wrong.Enqueue($"{TimeProvider.System.GetUtcNow():HH:mm:ss.fff} {kind.Name}: {e.GetType().Name} {e.Message} {e.InnerException?.Message}");
                }
            }
        })))];
        await MoreAsync(answered, wrong);

        // One replica of each service at a time; the other ones carry the load meanwhile.
        foreach (ServiceProcess[] round in services.All.GroupBy(p => p.Service).SelectMany(g => g.Select((process, replica) => (process, replica))).GroupBy(p => p.replica, p => p.process).Select(g => g.ToArray()))
        {
            await Task.WhenAll(round.Select(RestartAsync));
            await MoreAsync(answered, wrong);
        }
        await stop.CancelAsync();
        await Task.WhenAll(load);

        TestContext.Current.TestOutputHelper?.WriteLine(string.Join(", ", answered.OrderBy(a => a.Key).Select(a => $"{a.Value} {a.Key}")) + $"; wrong: {wrong.Count}");
        Assert.True(wrong.IsEmpty, string.Join('\n', wrong.Take(20)));
        Assert.All(Kinds, k => Assert.True(answered[k.Name] > 20, $"{answered[k.Name]} {k.Name}"));

        async Task RestartAsync(ServiceProcess process)
        {
            string begun = $"{TimeProvider.System.GetUtcNow():HH:mm:ss.fff}";
            int exit = await process.StopAsync();
            string ended = $"{TimeProvider.System.GetUtcNow():HH:mm:ss.fff}";
            await process.StartAsync();
            TestContext.Current.TestOutputHelper?.WriteLine($"{process.Service} at {process.Url} was told to stop at {begun}, ended at {ended} with exit code {exit}, and was back after {process.Process.TimeToReady.TotalSeconds:0.0} s");
            Assert.Equal(0, exit);
            // The next one goes when this one takes its share again.
            using HttpClient direct = process.Process.ClientFor(PlatformEnvironment.Key);
            await Eventually.TrueAsync(async () => (await direct.GetAsync("/health/ready")).IsSuccessStatusCode, $"{process.Service} is ready again");
        }
    }

    /// <summary>Waits until each kind of request was answered some times more, and the health checks have gone round.</summary>
    private static async Task MoreAsync(ConcurrentDictionary<string, int> answered, ConcurrentQueue<string> wrong)
    {
        Dictionary<string, int> before = answered.ToDictionary();
        long started = System.Diagnostics.Stopwatch.GetTimestamp();
        try
        {
            await Eventually.TrueAsync(() => Kinds.All(k => answered.GetValueOrDefault(k.Name) >= before.GetValueOrDefault(k.Name) + 10)
                && System.Diagnostics.Stopwatch.GetElapsedTime(started) > TimeSpan.FromSeconds(3), "every kind of request is answered");
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException($"{e.Message}: {string.Join(", ", Kinds.Select(k => $"{answered.GetValueOrDefault(k.Name) - before.GetValueOrDefault(k.Name)} {k.Name}"))}. Wrong: {string.Join('\n', wrong.Take(10))}");
        }
    }

    private sealed record Kind(string Name, Func<HttpClient, Task<string?>> SendAsync);

    private static readonly Kind[] Kinds =
    [
        new("model", client => CompleteAsync(client, TestPlatform.Priced, stream: false)),
        new("agent", client => CompleteAsync(client, "agent/worker", stream: false)),
        new("agent stream", client => CompleteAsync(client, "agent/worker", stream: true)),
        new("chat", async client =>
        {
            using HttpResponseMessage response = await client.PostAsync("/api/v1/chat", """{"agent":"worker","message":"go","stream":false}""");
            return await ProblemAsync(response, body => body.GetProperty("status").GetString() == "completed");
        }),
        new("me", async client =>
        {
            using HttpResponseMessage response = await client.GetAsync("/api/v1/me");
            return await ProblemAsync(response, body => body.GetProperty("tenantSlug").GetString() == "demo");
        }),
        new("agents", async client =>
        {
            using HttpResponseMessage response = await client.GetAsync("/api/v1/agents");
            return await ProblemAsync(response, body => body.GetProperty("data").EnumerateArray().Any(a => a.GetProperty("slug").GetString() == "worker"));
        }),
        new("usage", async client =>
        {
            using HttpResponseMessage response = await client.GetAsync("/api/v1/usage");
            return await ProblemAsync(response, body => body.TryGetProperty("total", out _));
        }),
    ];

    private static async Task<string?> CompleteAsync(HttpClient client, string model, bool stream)
    {
        string body = Prompt.Replace("MODEL", model, StringComparison.Ordinal).Replace("STREAM", stream ? "true" : "false", StringComparison.Ordinal);
        using HttpResponseMessage response = await client.PostAsync("/v1/chat/completions", body);
        if (!stream) return await ProblemAsync(response, b => b.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString() == "an answer in some words");
        string text = await response.Content.ReadAsStringAsync();
        return response.StatusCode == HttpStatusCode.OK && text.EndsWith("data: [DONE]\n\n", StringComparison.Ordinal) && Sse.Text(Sse.Chunks(text)).Trim() == "an answer in some words"
            ? null : $"{(int)response.StatusCode} {text[^Math.Min(400, text.Length)..]}";
    }

    private static async Task<string?> ProblemAsync(HttpResponseMessage response, Func<JsonElement, bool> right)
    {
        string text = await response.Content.ReadAsStringAsync();
        return response.StatusCode == HttpStatusCode.OK && right(JsonDocument.Parse(text).RootElement) ? null : $"{(int)response.StatusCode} {text[..Math.Min(400, text.Length)]}";
    }
}
