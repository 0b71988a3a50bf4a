using System.Collections.Concurrent;
using System.Net;
using System.Text.Json;

namespace MultiAgent.Platform.EndToEnd.Tests;

/// <summary>kill -9 under load: what was acknowledged is there afterwards, once.</summary>
public sealed class CrashTests : IDisposable
{
    private readonly TempFolder _data = new();

    public void Dispose() => _data.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Kill_WhileModelsAnswer_LosesNoAcknowledgedUsageAndCountsNoneTwice(bool withNats)
    {
        await using FakeProvider provider = await FakeProvider.StartAsync();
        Dictionary<string, string?> environment = PlatformEnvironment.With(provider);
        if (withNats) Needs.Program("nats-server");
        await using NatsServer? nats = withNats ? await NatsServer.StartAsync() : null;
        if (nats is not null) environment["NATS_URL"] = nats.Url;
        var whole = new ConcurrentDictionary<string, int>();
        int sent = 0;
        for (int round = 0; round < 3; round++)
        {
            await using PlatformProcess platform = await PlatformProcess.StartAsync(_data.Path, environment);
            using HttpClient client = platform.ClientFor(PlatformEnvironment.Key);
            int enough = whole.Count + 60;
            var reached = new TaskCompletionSource();
            using var stop = new CancellationTokenSource();
            Task[] load = [.. Enumerable.Range(0, 8).Select(worker => Task.Run(async () =>
            {
                while (!stop.IsCancellationRequested)
                {
                    string id = $"req-{Interlocked.Increment(ref sent)}";
                    bool stream = worker % 2 == 0;
                    try
                    {
                        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
                        {
                            Content = HttpTestExtensions.Json($$"""{"model":"{{TestPlatform.Priced}}","messages":[{"role":"user","content":"hi"}],"stream":{{(stream ? "true" : "false")}}}"""),
                        };
                        request.Headers.Add("X-Request-Id", id);
                        using HttpResponseMessage response = await client.SendAsync(request, stop.Token);
                        string body = await response.Content.ReadAsStringAsync(stop.Token);
                        if (response.StatusCode == HttpStatusCode.OK && (!stream || body.EndsWith("data: [DONE]\n\n", StringComparison.Ordinal))) whole[id] = 1;
                        if (whole.Count >= enough) reached.TrySetResult();
                    }
                    catch (Exception e) when (e is HttpRequestException or IOException or OperationCanceledException)
                    {
                        // killed
                    }
                }
            }))];
            await reached.Task.WaitAsync(PlatformProcess.StartDeadline);
            await platform.KillAsync();
            await stop.CancelAsync();
            await Task.WhenAll(load);
            if (nats is null) continue;
            await nats.KillAsync();
            await nats.RunAsync();
        }

        await using PlatformProcess last = await PlatformProcess.StartAsync(_data.Path, environment);
        using HttpClient reader = last.ClientFor(PlatformEnvironment.Key);
        Dictionary<string, List<JsonElement>> records = [];
        await Eventually.TrueAsync(async () =>
        {
            records = (await AllAsync(reader, "/api/v1/usage/records")).GroupBy(r => r.GetProperty("requestId").GetString()!).ToDictionary(g => g.Key, g => g.ToList());
            return whole.Keys.All(records.ContainsKey);
        }, "usage of every acknowledged request");

        Assert.All(records, r => Assert.Single(r.Value));
        Assert.All(whole.Keys, id => Assert.Equal((11L, 7L, "ok"), Facts(records[id][0])));
        // Nothing is in the books that the provider has not answered or at least been asked.
        Assert.True(records.Count <= provider.Requests.Count, $"{records.Count} records of {provider.Requests.Count} requests.");
        List<JsonElement> journeys = [];
        await Eventually.TrueAsync(async () => (journeys = await AllAsync(reader, "/api/v1/journeys")).Count >= whole.Count, "a journey of every acknowledged request");
        Assert.Equal(journeys.Count, journeys.Select(j => j.GetProperty("id").GetString()).Distinct().Count());
        Assert.True(journeys.Count <= sent, $"{journeys.Count} journeys of {sent} requests.");
        TestContext.Current.TestOutputHelper?.WriteLine($"{whole.Count} acknowledged, {records.Count} records, {journeys.Count} journeys, {provider.Requests.Count} provider requests.");
    }

    /// <summary>Alone, a process takes its own runs up again; with a replica beside it on one PostgreSQL, that one goes on with them.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Kill_WhileRunsAreUnderWay_EndsEveryAcknowledgedRun(bool withReplica)
    {
        if (withReplica) Assert.SkipWhen(TestPostgres.Missing is not null, TestPostgres.Missing ?? "");
        await using FakeProvider provider = await FakeProvider.StartAsync();
        Dictionary<string, string?> environment = PlatformEnvironment.With(provider);
        await using TestDatabase? database = withReplica ? await (await TestPostgres.SharedAsync()).NewDatabaseAsync() : null;
        using var folder = new TempFolder();
        if (database is not null)
        {
            foreach ((string key, string? value) in database.Settings) environment[key] = value;
            environment["Runs__LeaseSeconds"] = "3";
        }
        await using PlatformProcess? replica = database is null ? null : await PlatformProcess.StartAsync(folder.Path, environment);
        var accepted = new ConcurrentDictionary<string, bool>();
        var random = new Random(7);
        bool agentMade = false;
        provider.Default = async context =>
        {
            await Task.Delay(random.Next(40), context.RequestAborted);
            await FakeProvider.AnswerAsync(context, "an answer in some words");
        };
        for (int round = 0; round < 3; round++)
        {
            await using PlatformProcess platform = await PlatformProcess.StartAsync(_data.Path, environment);
            using HttpClient client = platform.ClientFor(PlatformEnvironment.Key);
            if (!agentMade) await client.PostJsonAsync("/api/v1/agents", $$"""{"slug":"worker","name":"Worker","instructions":"Work.","model":"{{TestPlatform.Priced}}"}""", HttpStatusCode.Created);
            agentMade = true;
            int enough = accepted.Count + 25;
            var reached = new TaskCompletionSource();
            using var stop = new CancellationTokenSource();
            Task[] load = [.. Enumerable.Range(0, 6).Select(_ => Task.Run(async () =>
            {
                while (!stop.IsCancellationRequested)
                {
                    try
                    {
                        using HttpResponseMessage response = await client.PostStreamAsync("/api/v1/chat", """{"agent":"worker","message":"go","stream":true}""", stop.Token);
                        if (response.StatusCode != HttpStatusCode.OK) continue;
                        using var lines = new StreamReader(await response.Content.ReadAsStreamAsync(stop.Token));
                        string? run = null;
                        while (await lines.ReadLineAsync(stop.Token) is { } line)
                        {
                            if (run is null && line.StartsWith("data:", StringComparison.Ordinal) && line.Contains("\"runId\"", StringComparison.Ordinal))
                            {
                                // From here on the client knows of the run: it is accepted.
                                run = JsonDocument.Parse(line[5..]).RootElement.GetProperty("runId").GetString()!;
                                accepted[run] = false;
                                if (accepted.Count >= enough) reached.TrySetResult();
                            }
                            if (run is not null && line == "event: run.completed") accepted[run] = true;
                        }
                    }
                    catch (Exception e) when (e is HttpRequestException or IOException or OperationCanceledException)
                    {
                        // killed
                    }
                }
            }))];
            await reached.Task.WaitAsync(PlatformProcess.StartDeadline);
            await platform.KillAsync();
            await stop.CancelAsync();
            await Task.WhenAll(load);
        }

        await using PlatformProcess? again = replica is null ? await PlatformProcess.StartAsync(_data.Path, environment) : null;
        using HttpClient reader = (replica ?? again!).ClientFor(PlatformEnvironment.Key);
        Dictionary<string, string> status = [];
        await Eventually.TrueAsync(async () =>
        {
            status = (await AllAsync(reader, "/api/v1/runs")).ToDictionary(r => r.GetProperty("id").GetString()!, r => r.GetProperty("status").GetString()!);
            return status.Values.All(s => s is "completed" or "failed" or "cancelled");
        }, "every run is at its end");

        Assert.All(accepted, run => Assert.True(status.ContainsKey(run.Key), $"Run {run.Key} was acknowledged and is lost."));
        Assert.All(accepted.Where(a => a.Value), run => Assert.Equal("completed", status[run.Key]));
        TestContext.Current.TestOutputHelper?.WriteLine($"{accepted.Count} accepted, {accepted.Count(a => a.Value)} seen to their end; {string.Join(", ", status.Values.CountBy(s => s).Select(c => $"{c.Value} {c.Key}"))}.");
        // The log of each run has no gap and one end.
        foreach (string run in accepted.Keys.Take(30))
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, $"/api/v1/runs/{run}/events");
            request.Headers.Accept.ParseAdd("application/json");
            using HttpResponseMessage response = await reader.SendAsync(request);
            JsonElement[] events = [.. (await response.ReadJsonAsync()).GetProperty("data").EnumerateArray()];
            Assert.Equal(Enumerable.Range(1, events.Length).Select(i => (long)i), events.Select(e => e.GetProperty("seq").GetInt64()));
            Assert.Single(events, e => e.GetProperty("type").GetString() is "run.completed" or "run.failed" or "run.cancelled" or "completed" or "failed" or "cancelled");
        }
        // What the killed process had on its own disk comes with its next start.
        await using PlatformProcess? later = replica is null ? null : await PlatformProcess.StartAsync(_data.Path, environment);
        // Every run is a journey with an end.
        int active = -1;
        try
        {
            await Eventually.TrueAsync(async () => (active = (await AllAsync(reader, "/api/v1/journeys?status=active")).Count) == 0, "no journey of an ended run is active");
        }
        catch (TimeoutException)
        {
            Assert.Fail($"{active} journeys of {status.Count} ended runs are active.");
        }
    }

    private static (long, long, string?) Facts(JsonElement record) =>
        (record.GetProperty("inputTokens").GetInt64(), record.GetProperty("outputTokens").GetInt64(), record.GetProperty("status").GetString());

    private static async Task<List<JsonElement>> AllAsync(HttpClient client, string path)
    {
        var all = new List<JsonElement>();
        string? cursor = null;
        do
        {
            JsonElement page = await client.GetJsonAsync($"{path}{(path.Contains('?', StringComparison.Ordinal) ? '&' : '?')}limit=200{(cursor is null ? "" : $"&cursor={cursor}")}");
            all.AddRange(page.GetProperty("data").EnumerateArray());
            cursor = page.TryGetProperty("nextCursor", out JsonElement next) ? next.GetString() : null;
        }
        while (cursor is not null);
        return all;
    }
}
