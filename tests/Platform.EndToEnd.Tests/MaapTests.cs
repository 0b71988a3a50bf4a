using System.Net;
using System.Text.Json;

namespace MultiAgent.Platform.EndToEnd.Tests;

/// <summary>The operator's command line as a process, beside a running platform.</summary>
public sealed class MaapTests : IDisposable
{
    private readonly TempFolder _data = new();

    public void Dispose() => _data.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Events_OfARunningPlatform_AreSeenAndDeadLettersDecidedOn(bool withNats)
    {
        Dictionary<string, string?> environment = PlatformEnvironment.With();
        if (withNats) Needs.Program("nats-server");
        await using NatsServer? nats = withNats ? await NatsServer.StartAsync() : null;
        if (nats is not null) environment["NATS_URL"] = nats.Url;
        environment["Messaging__MaxDeliveries"] = "1";
        await using PlatformProcess platform = await PlatformProcess.StartAsync(_data.Path, environment);
        using HttpClient client = platform.ClientFor(PlatformEnvironment.Key);
        await client.PostJsonAsync("/v1/chat/completions", """{"model":"local/assistant","messages":[{"role":"user","content":"hi"}]}""");

        (int code, string output, _) = await RunAsync(environment, "events", "tail", "usage.>", "--from-start", "--count", "1");
        JsonElement line = JsonDocument.Parse(output).RootElement;
        Assert.Equal((0, "1.0", "usage.metered.model_inference"), (code, line.GetProperty("specversion").GetString(), line.GetProperty("type").GetString()));
        Assert.Equal("local/assistant", line.GetProperty("data").GetProperty("records")[0].GetProperty("model").GetString());

        Assert.Equal((0, "There are no dead letters."), await FirstLineAsync("events", "dlq", "list"));
        Assert.Equal((1, "0 dropped."), await FirstLineAsync("events", "dlq", "drop", "7"));
        Assert.Equal((0, "0 replayed."), await FirstLineAsync("events", "dlq", "replay", "--all"));
        (code, _, string error) = await RunAsync(environment, "events", "dlq", "drop");
        Assert.Equal(1, code);
        Assert.Contains("Give either numbers or --all.", error, StringComparison.Ordinal);

        async Task<(int, string)> FirstLineAsync(params string[] args)
        {
            (int exit, string text, _) = await RunAsync(environment, args);
            return (exit, text.Split('\n')[0].Trim());
        }
    }

    [Theory]
    [InlineData("MAAP_DATA_DIR", "/nowhere/at/all", "There is no event log at /nowhere/at/all/events.db.")]
    [InlineData("NATS_URL", "nowhere", "NATS_URL")]
    [InlineData("NATS_URL", "nats://127.0.0.1:1", "127.0.0.1:1")]
    public async Task Bus_ThatIsNotThere_IsToldInOneLine(string variable, string value, string expected)
    {
        (int code, string output, string error) = await RunAsync(new() { [variable] = value }, "events", "dlq", "list");

        Assert.Equal((1, ""), (code, output));
        string line = Assert.Single(error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.StartsWith("maap: ", line, StringComparison.Ordinal);
        Assert.Contains(expected, line, StringComparison.Ordinal);
    }

    private async Task<(int Code, string Output, string Error)> RunAsync(Dictionary<string, string?> environment, params string[] args)
    {
        (int code, string output, string error) = await MaapProcess.RunAsync(_data.Path, environment, args);
        return (code, output, error);
    }
}
