using System.Net;
using System.Text.Json;
using MultiAgent.Platform.EndToEnd.Tests.Telemetry;

namespace MultiAgent.Platform.EndToEnd.Tests.Services;

/// <summary>Each service as a process of its own, as an operator starts it.</summary>
public sealed class SeparateServicesTests
{
    private const string Trace = "5a17c0de5a17c0de5a17c0de00000007";

    [Theory]
    [InlineData("api-gateway", "Gateway")]
    [InlineData("orchestrator", "Orchestrator")]
    [InlineData("tenant-service", "Tenants")]
    [InlineData("analytics-service", "Analytics")]
    public async Task Start_WithoutTheSharedSecret_EndsInOneClearLine(string service, string assembly)
    {
        using var folder = new TempFolder();
        foreach ((string? secret, string words) in ((string?, string)[])[(null, "JWT_SECRET"), ("too short", "has 9 bytes")])
        {
            await using PlatformProcess process = PlatformProcess.Launch(
                new Dictionary<string, string?> { ["MAAP_DATA_DIR"] = folder.Path, ["JWT_SECRET"] = secret }, ["--urls", "http://127.0.0.1:0"], folder.Path, PlatformProcess.AssemblyOf(service, assembly));

            Assert.Equal(1, await process.ExitCodeAsync());
            string line = Assert.Single(process.Errors);
            Assert.Contains(words, line, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Services_ByThemselves_AreThePlatformAndOneTrace()
    {
        Assert.SkipWhen(NatsServer.Missing is not null, NatsServer.Missing ?? "");
        await using OtlpReceiver receiver = await OtlpReceiver.StartAsync();
        await using ServiceProcesses services = await ServiceProcesses.StartAsync(new Dictionary<string, int>(), settings: new Dictionary<string, string?>
        {
            ["OTEL_EXPORTER_OTLP_ENDPOINT"] = receiver.Endpoint,
            ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf",
            ["OTEL_BSP_SCHEDULE_DELAY"] = "200",
        });
        using HttpClient client = services.Of("api-gateway")[0].Process.ClientFor(PlatformEnvironment.Key);

        // The demo tenant's examples come by an event from the tenant service to the orchestrator.
        await Eventually.TrueAsync(async () => (await client.GetJsonAsync("/api/v1/agents")).GetProperty("data").GetArrayLength() >= 3, "the demo tenant has its example agents");
        await client.PostJsonAsync("/api/v1/agents", $$"""{"slug":"worker","name":"Worker","instructions":"Work.","model":"{{TestPlatform.Priced}}"}""", HttpStatusCode.Created);
        using HttpResponseMessage completion = await client.PostAsync("/v1/chat/completions", """{"model":"agent/worker","messages":[{"role":"user","content":"hi"}]}""", ("traceparent", $"00-{Trace}-00000000000000d1-01"));
        Assert.Equal(HttpStatusCode.OK, completion.StatusCode);
        string runId = completion.Headers.GetValues("x-maap-run-id").Single();

        // From the gateway through the orchestrator to the provider it is one trace, with a span of each process in it.
        string traceParent = services.Provider.Requests.Last().Headers["traceparent"].ToString();
        Assert.Matches($"^00-{Trace}-[0-9a-f]{{16}}-01$", traceParent);
        byte[] trace = Convert.FromHexString(Trace);
        await Eventually.TrueAsync(() => receiver.Has("traces", trace) && receiver.Has("traces", "invoke_agent worker") && receiver.Has("traces", "api-gateway") && receiver.Has("traces", "orchestrator"), "the spans of both are exported");

        // The run is in the orchestrator's books, and its usage went to the analytics service by an event.
        JsonElement run = await client.GetJsonAsync($"/api/v1/runs/{runId}");
        Assert.Equal("completed", run.GetProperty("status").GetString());
        JsonElement usage = await TestPlatform.UsageAsync(client, 1);
        Assert.Equal(11, usage.GetProperty("total").GetProperty("inputTokens").GetInt64());

        await RunWorkflowAsync(client);

        // In the steady state the gateway asks nobody who the caller is.
        using HttpClient tenants = services.Of("tenant-service")[0].Process.ClientFor(null);
        double before = await AskedAsync(tenants);
        Assert.True(before >= 1, "The gateway has never asked.");
        for (int i = 0; i < 200; i++)
            await client.PostJsonAsync("/v1/chat/completions", $$"""{"model":"{{TestPlatform.Priced}}","messages":[{"role":"user","content":"hi"}]}""");
        Assert.True(await AskedAsync(tenants) <= before + 4, $"The tenant service was asked {await AskedAsync(tenants) - before} times for 200 requests.");
    }

    /// <summary>A workflow that asks an agent and a person, all through the gateway.</summary>
    private static async Task RunWorkflowAsync(HttpClient client)
    {
        await client.PostJsonAsync("/api/v1/workflows", """
            {"apiVersion":"maap/v1","kind":"Workflow","name":"review","steps":[
                {"id":"draft","type":"agent","agent":"worker","message":"Draft {{ inputs.what }}"},
                {"id":"check","type":"human","title":"Send it?"},
                {"id":"out","type":"transform","output":"{{ steps.check.output.decision }}"}]}
            """, HttpStatusCode.Created);
        string id = (await client.PostJsonAsync("/api/v1/runs", """{"workflow":"review","inputs":{"what":"a letter"}}""", HttpStatusCode.Accepted)).GetProperty("id").GetString()!;
        JsonElement open = default;
        await Eventually.TrueAsync(async () => (open = (await client.GetJsonAsync("/api/v1/approvals")).GetProperty("data")).GetArrayLength() == 1, "the question");
        Assert.Empty((await client.PostJsonAsync("/api/v1/events", """{"name":"nobody.waits"}""")).GetProperty("runs").EnumerateArray());
        await client.PostJsonAsync($"/api/v1/approvals/{open[0].GetProperty("id").GetString()}", """{"decision":"approve"}""");
        JsonElement run = default;
        await Eventually.TrueAsync(async () => (run = await client.GetJsonAsync($"/api/v1/runs/{id}")).GetProperty("status").GetString() == "completed", "the run's end");
        Assert.Equal("approve", run.GetProperty("output").GetString());
    }

    private static async Task<double> AskedAsync(HttpClient tenants) => (await tenants.GetStringAsync("/metrics")).Split('\n')
        .Where(l => l.StartsWith("http_requests_total", StringComparison.Ordinal) && l.Contains("/internal/v1/callers/find", StringComparison.Ordinal))
        .Sum(l => double.Parse(l.Split('}')[1].Trim().Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture));
}
