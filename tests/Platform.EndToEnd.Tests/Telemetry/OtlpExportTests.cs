using System.Net;
using System.Text.Json;

namespace MultiAgent.Platform.EndToEnd.Tests.Telemetry;

/// <summary>What an OpenTelemetry collector gets: spans, metrics and logs of models and agents, joined to the client's trace, without a word of content.</summary>
public sealed class OtlpExportTests : IDisposable
{
    private const string ChatTrace = "5a17c0de5a17c0de5a17c0de00000001";
    private const string AgentTrace = "5a17c0de5a17c0de5a17c0de00000002";

    // Stands in every prompt, and in an answer that repeats it.
    private const string Secret = "quetzalcoatlus";

    private readonly TempFolder _data = new();

    public void Dispose() => _data.Dispose();

    [Fact]
    public async Task Export_OfAModelCallAndARun_HasSpansAndMetricsAndNoContent()
    {
        await using OtlpReceiver receiver = await OtlpReceiver.StartAsync();
        await using FakeProvider provider = await FakeProvider.StartAsync();
        await using PlatformProcess platform = await PlatformProcess.StartAsync(_data.Path, PlatformEnvironment.With(provider,
            ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.Endpoint), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_BSP_SCHEDULE_DELAY", "200"), ("OTEL_BLRP_SCHEDULE_DELAY", "200"), ("OTEL_METRIC_EXPORT_INTERVAL", "500")));
        using HttpClient client = platform.ClientFor(PlatformEnvironment.Key);
        await client.AddLocalAgentAsync();
        string model = TestPlatform.Priced.Split('/')[1];
        string body = $$"""{"model":"{{TestPlatform.Priced}}","messages":[{"role":"user","content":"Tell me of the {{Secret}}."}]}""";

        using HttpResponseMessage chat = await client.PostAsync("/v1/chat/completions", body, ("traceparent", $"00-{ChatTrace}-00000000000000c1-01"));
        using HttpResponseMessage run = await client.PostAsync("/api/v1/chat", $$"""{"agent":"helper","message":"What is 12 * (3 + 4)? The {{Secret}} asks.","stream":false}""", ("traceparent", $"00-{AgentTrace}-00000000000000c2-01"));
        // A provider that quotes the prompt in its refusal is the likeliest way for content to get into a log.
        provider.For(model, FakeProvider.Raw($$"""{"error":{"message":"{{Secret}} is refused","type":"x","param":null,"code":null} }""", 400));
        using HttpResponseMessage refused = await client.PostAsync("/v1/chat/completions", body);

        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.OK, HttpStatusCode.BadRequest), (chat.StatusCode, run.StatusCode, refused.StatusCode));
        Assert.Contains("84", (await run.ReadJsonAsync()).GetProperty("message").GetProperty("content").GetString(), StringComparison.Ordinal);
        try
        {
            await Eventually.TrueAsync(() => Missing(receiver, model).Length == 0, "everything is exported");
        }
        catch (TimeoutException)
        {
            Assert.Fail($"Not exported: {string.Join(", ", Missing(receiver, model))}.");
        }
        // The stop sends the rest, so that nothing can come after the look.
        platform.Signal(PlatformProcess.SigTerm);
        Assert.Equal(0, await platform.ExitCodeAsync());
        foreach (string signal in (string[])["traces", "metrics", "logs"]) Assert.False(receiver.Has(signal, Secret), $"The prompt is in the {signal}.");
        Assert.Equal(["logs", "metrics", "traces"], receiver.Signals);
        string traceParent = provider.Requests.First().Headers["traceparent"].ToString();
        Assert.Matches($"^00-{ChatTrace}-[0-9a-f]{{16}}-01$", traceParent);
        Assert.DoesNotContain("00000000000000c1", traceParent, StringComparison.Ordinal);
    }

    private static string[] Missing(OtlpReceiver receiver, string model)
    {
        string[] spans = [$"chat {model}", "invoke_agent helper", "execute_tool calculator", "gen_ai.operation.name", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"];
        string[] metrics = ["gen_ai.client.token.usage", "gen_ai.client.operation.duration"];
        return
        [
            .. spans.Where(s => !receiver.Has("traces", s)),
            .. metrics.Where(m => !receiver.Has("metrics", m)),
            .. new[] { ChatTrace, AgentTrace }.Where(t => !receiver.Has("traces", Convert.FromHexString(t))),
            .. new[] { "was refused with status" }.Where(l => !receiver.Has("logs", l)),
        ];
    }
}
