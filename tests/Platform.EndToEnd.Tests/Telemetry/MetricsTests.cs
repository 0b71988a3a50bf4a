using System.Net;
using System.Text.RegularExpressions;

namespace MultiAgent.Platform.EndToEnd.Tests.Telemetry;

/// <summary>/metrics of a process of its own: the names on which dashboards rely, and labels that do not grow.</summary>
public sealed partial class MetricsTests : IDisposable
{
    private readonly TempFolder _data = new();

    public void Dispose() => _data.Dispose();

    [Fact]
    public async Task Metrics_AfterTrafficOfEachKind_HaveTheirNamesAndDoNotGrow()
    {
        await using FakeProvider provider = await FakeProvider.StartAsync();
        await using PlatformProcess platform = await PlatformProcess.StartAsync(_data.Path, PlatformEnvironment.With(provider));
        using HttpClient client = platform.ClientFor(PlatformEnvironment.Key);
        await client.AddLocalAgentAsync();

        await TrafficAsync(client, provider, 0, 5);
        string[] first = await SeriesAsync(client);

        // The names that operators' dashboards use, exactly.
        string[] names =
        [
            "http_requests_total", "http_request_duration_seconds_bucket", "http_request_duration_seconds_count", "active_users_total", "chat_requests_total", "chat_completions_total",
            "user_journey_start_total", "user_journey_complete_total", "user_journey_duration_seconds_count", "user_journey_steps_total", "active_user_journeys_total",
            "model_tokens_total", "model_cost_usd_total", "model_time_to_first_token_seconds_count", "provider_errors_total", "model_circuit_state",
        ];
        Assert.All(names, name => Assert.True(first.Any(s => NameOf(s) == name), $"{name} is not on /metrics: {string.Join(' ', first.Select(NameOf).Distinct())}"));
        Assert.All(first.Where(s => NameOf(s) == "http_requests_total"), s => Assert.Equal(["method", "route", "service", "status"], Labels(s).Where(l => !l.StartsWith("otel_", StringComparison.Ordinal)).Order()));
        Assert.Contains(first, s => NameOf(s) == "http_requests_total" && s.Contains("route=\"/v1/chat/completions\"", StringComparison.Ordinal) && s.Contains("service=\"api-gateway\"", StringComparison.Ordinal));

        // The first values of a bounded label have names of their own; from then on nothing may be added.
        await TrafficAsync(client, provider, 5, 60);
        string[] grown = await SeriesAsync(client);
        await TrafficAsync(client, provider, 60, 160);
        string[] last = await SeriesAsync(client);

        string[] added = [.. last.Except(grown)];
        Assert.True(added.Length == 0, $"{added.Length} series were added: {string.Join('\n', added.Take(20))}");
        Assert.DoesNotContain(last, s => s.Contains("client-made-", StringComparison.Ordinal) && !s.Contains("type=\"client-made-", StringComparison.Ordinal));
        // Only the metrics of tenants name them, and no more than the operator allows.
        Assert.DoesNotContain(last, s => s.Contains("ten_", StringComparison.Ordinal) && !(NameOf(s).StartsWith("tenant_model_", StringComparison.Ordinal) && Labels(s).Contains("tenant")));
        Assert.DoesNotContain(last, s => s.Contains("usr_", StringComparison.Ordinal) || s.Contains("key_", StringComparison.Ordinal) || s.Contains("run_0", StringComparison.Ordinal));
    }

    private static async Task TrafficAsync(HttpClient client, FakeProvider provider, int from, int to)
    {
        provider.For("priced", FakeProvider.Error(400));
        await Parallel.ForEachAsync(Enumerable.Range(from, to - from), new ParallelOptions { MaxDegreeOfParallelism = 6 }, async (i, cancellationToken) =>
        {
            string name = $"client-made-{i}";
            (string Path, string Body)[] posts =
            [
                ("/v1/chat/completions", $$"""{"model":"{{TestPlatform.Priced}}","messages":[{"role":"user","content":"hi"}],"user":"{{name}}","stream":{{(i % 2 == 0 ? "true" : "false")}}}"""),
                ("/v1/chat/completions", $$"""{"model":"fake/{{name}}","messages":[{"role":"user","content":"hi"}]}"""),
                ("/v1/chat/completions", $$"""{"model":"{{name}}","messages":[{"role":"user","content":"hi"}]}"""),
                ("/v1/chat/completions", $$"""{"model":"agent/{{name}}","messages":[{"role":"user","content":"hi"}]}"""),
                ("/api/v1/journeys", $$"""{"type":"{{name}}","userId":"{{name}}"}"""),
                ("/api/v1/chat", """{"agent":"helper","message":"hi","stream":false}"""),
                ($"/api/v1/{name}", "{}"),
            ];
            foreach ((string path, string body) in posts)
            {
                using HttpResponseMessage response = await client.PostAsync(path, body);
                Assert.NotEqual(HttpStatusCode.InternalServerError, response.StatusCode);
            }
            using HttpResponseMessage unmatched = await client.GetAsync($"/{name}", cancellationToken);
            using HttpResponseMessage odd = await client.SendAsync(new HttpRequestMessage(new HttpMethod($"M{i}"), "/v1/models"), cancellationToken);
            Assert.Equal(HttpStatusCode.NotFound, unmatched.StatusCode);
        });
    }

    /// <summary>The series without their values.</summary>
    private static async Task<string[]> SeriesAsync(HttpClient client)
    {
        string[] series = [];
        // Runs and journeys are counted when they end, and the answer of /metrics is kept for a moment.
        int before = -1;
        await Eventually.TrueAsync(async () =>
        {
            using HttpResponseMessage response = await client.GetAsync("/metrics");
            string text = await response.Content.ReadAsStringAsync();
            series = [.. text.Split('\n').Where(l => l.Length > 0 && l[0] != '#').Select(l => Value().Replace(l, "")).Distinct()];
            bool settled = series.Length == before;
            before = series.Length;
            if (!settled) await Task.Delay(600);
            return settled;
        }, "the metrics have settled");
        return series;
    }

    private static string NameOf(string series) => series.Split('{', ' ')[0];

    private static IEnumerable<string> Labels(string series) => Label().Matches(series).Select(m => m.Groups[1].Value);

    [GeneratedRegex(@" [^ ]+( \d+)?$")]
    private static partial Regex Value();

    [GeneratedRegex(@"[{,]([a-z_]+)=")]
    private static partial Regex Label();
}
