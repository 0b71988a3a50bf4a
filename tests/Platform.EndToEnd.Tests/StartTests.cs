using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace MultiAgent.Platform.EndToEnd.Tests;

/// <summary>Starting and stopping the executable as an operator does.</summary>
public sealed partial class StartTests : IDisposable
{
    private readonly TempFolder _data = new();

    public void Dispose() => _data.Dispose();

    [Fact]
    public async Task FirstStart_TellsWhatRunsAndTheSecretsOnce_AndTheSecondNothing()
    {
        string key;
        await using (PlatformProcess first = await PlatformProcess.StartAsync(_data.Path))
        {
            string line = first.Output[0];
            Assert.Contains("Multi-AI-Agent Platform is running on http://127.0.0.1:", line, StringComparison.Ordinal);
            Assert.Contains(_data.Path, line, StringComparison.Ordinal);
            Assert.Contains("browser", line, StringComparison.Ordinal);
            await Eventually.TrueAsync(() => first.Output.Any(l => l.Contains("-d '", StringComparison.Ordinal)), "the curl command");
            string output = string.Join('\n', first.Output);
            key = KeyIn().Match(output).Groups[1].Value;
            Assert.StartsWith("maap_", key, StringComparison.Ordinal);
            Assert.Contains("curl " + first.Url.AbsoluteUri.TrimEnd('/') + "/v1/chat/completions", output, StringComparison.Ordinal);
            Assert.Contains("Password", output, StringComparison.Ordinal);
            using HttpClient client = first.ClientFor(key);
            JsonElement answer = await client.PostJsonAsync("/v1/chat/completions", CurlBody(output));
            Assert.Contains("84", answer.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString(), StringComparison.Ordinal);
            await client.PostJsonAsync("/api/v1/agents", """{"slug":"kept","name":"Kept"}""", HttpStatusCode.Created);
            first.Signal(PlatformProcess.SigTerm);
            Assert.Equal(0, await first.ExitCodeAsync());
        }

        await using PlatformProcess second = await PlatformProcess.StartAsync(_data.Path);
        TestContext.Current.TestOutputHelper?.WriteLine($"The second start took {second.TimeToReady.TotalSeconds:0.00} s.");
        using HttpClient again = second.ClientFor(key);
        Assert.Equal("Kept", (await again.GetJsonAsync("/api/v1/agents/kept")).GetProperty("name").GetString());
        Assert.DoesNotContain(second.Output, l => l.Contains("maap_", StringComparison.Ordinal) || l.Contains("Password", StringComparison.Ordinal));
        // 3 s is the promise on a machine of its own.
        Assert.True(second.TimeToReady < TimeSpan.FromSeconds(Environment.ProcessorCount > 2 && Environment.GetEnvironmentVariable("CI") == "true" ? 3 : 15), $"The second start took {second.TimeToReady}.");
    }

    [Fact]
    public async Task FirstStart_WithSecretsFromTheEnvironment_ShowsNone()
    {
        await using PlatformProcess platform = await PlatformProcess.StartAsync(_data.Path, PlatformEnvironment.With());
        using HttpClient client = platform.ClientFor(PlatformEnvironment.Key);

        await client.GetJsonAsync("/v1/models");

        await Eventually.TrueAsync(() => platform.Output.Any(l => l.Contains("-d '", StringComparison.Ordinal)), "the curl command");
        Assert.DoesNotContain(platform.Output, l => l.Contains(PlatformEnvironment.Key, StringComparison.Ordinal) || l.Contains(TestPlatform.DemoPassword, StringComparison.Ordinal));
        Assert.Empty(platform.Errors);
    }

    [Fact]
    public async Task Stop_WithADrainDelay_GoesOnServingWhileItIsNotReady()
    {
        Dictionary<string, string?> environment = new(PlatformEnvironment.With()) { ["Limits__DrainDelaySeconds"] = "3" };
        await using PlatformProcess platform = await PlatformProcess.StartAsync(_data.Path, environment);
        using HttpClient client = platform.ClientFor(PlatformEnvironment.Key);

        platform.Signal(PlatformProcess.SigTerm);

        await Eventually.TrueAsync(async () =>
        {
            using HttpResponseMessage ready = await client.GetAsync("/health/ready");
            return ready.StatusCode == HttpStatusCode.ServiceUnavailable;
        }, "the instance says that it is not ready");
        await client.PostJsonAsync("/v1/chat/completions", """{"model":"agent/assistant","messages":[{"role":"user","content":"hi"}]}""");
        Assert.Equal(0, await platform.ExitCodeAsync());
    }

    [Fact]
    public async Task IdlePlatform_ListensOnLoopbackOnly_InLittleMemory()
    {
        int port = FreePort.Next();
        await using PlatformProcess platform = await PlatformProcess.StartAsync(_data.Path, PlatformEnvironment.With(), "--urls", $"http://localhost:{port}");
        using HttpClient client = platform.ClientFor(PlatformEnvironment.Key);
        await client.GetJsonAsync("/health");

        string hex = $":{port:X4}";
        string[] listening = [.. new[] { "/proc/net/tcp", "/proc/net/tcp6" }.Where(File.Exists).SelectMany(File.ReadLines)
            .Select(l => l.Split(' ', StringSplitOptions.RemoveEmptyEntries)).Where(f => f.Length > 3 && f[3] == "0A" && f[1].EndsWith(hex, StringComparison.Ordinal)).Select(f => f[1].Split(':')[0])];
        Assert.NotEmpty(listening);
        Assert.All(listening, address => Assert.Contains(address, new[] { "0100007F", "00000000000000000000000001000000" }));
        double megabytes = platform.ResidentBytes() / 1048576.0;
        TestContext.Current.TestOutputHelper?.WriteLine($"{megabytes:0} MiB resident at idle.");
        Assert.True(megabytes < 250, $"{megabytes:0} MiB resident at idle.");
    }

    [Theory]
    [InlineData(PlatformProcess.SigTerm)]
    [InlineData(PlatformProcess.SigInt)]
    public async Task Signal_WhileAStreamIsUnderWay_LetsItEndAndExitsWith0(int signal)
    {
        await using FakeProvider provider = await FakeProvider.StartAsync();
        var finish = new TaskCompletionSource();
        provider.For("slow", async context =>
        {
            await FakeProvider.BeginStreamAsync(context);
            await FakeProvider.ChunkAsync(context, "slow", new { content = "begun" });
            await finish.Task.WaitAsync(Eventually.Deadline);
            await FakeProvider.ChunkAsync(context, "slow", new { content = " and finished" }, "stop");
            await FakeProvider.DataAsync(context, "[DONE]");
        });
        await using PlatformProcess platform = await PlatformProcess.StartAsync(_data.Path, PlatformEnvironment.With(provider));
        using HttpClient client = platform.ClientFor(PlatformEnvironment.Key);
        using HttpResponseMessage response = await client.PostStreamAsync("/v1/chat/completions", """{"model":"fake/slow","messages":[{"role":"user","content":"hi"}],"stream":true}""");
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        Assert.Contains("begun", await reader.ReadLineAsync(), StringComparison.Ordinal);

        platform.Signal(signal);
        // The server has heard the signal once it takes no more connections.
        await Eventually.TrueAsync(() => !Accepts(platform.Url), "the server takes no more connections");
        finish.SetResult();
        string rest = await reader.ReadToEndAsync();

        Assert.Contains("and finished", rest, StringComparison.Ordinal);
        Assert.EndsWith("data: [DONE]\n\n", rest, StringComparison.Ordinal);
        Assert.Equal(0, await platform.ExitCodeAsync());
        Assert.Empty(platform.Errors);
    }

    public static TheoryData<string, string, string[]> BadStarts => new()
    {
        { "the port is taken", "", ["--urls", "http://127.0.0.1:TAKEN"] },
        { "the address is not this machine's", "", ["--urls", "http://192.0.2.1:8080"] },
        { "the address is no URL", "", ["--urls", "not a url"] },
        { "the port is no number", "", ["--urls", "http://127.0.0.1:abc"] },
        { "the data folder is a file", "MAAP_DATA_DIR=FILE", [] },
        { "the data folder cannot be made", "MAAP_DATA_DIR=/proc/maap-test", [] },
        { "the data folder cannot be written", "MAAP_DATA_DIR=/proc/sys", [] },
        { "a number is no number", "Limits__Burst=many", [] },
        { "a number is out of range", "Limits__MaxJsonDepth=1", [] },
        { "a price is no price", "Models__Catalogue__x__InputPrice=cheap", [] },
        { "a setting is unknown", "Models__Providers__x__BaseUri=http://localhost/v1", [] },
        { "a provider has no URL", "Models__Providers__x__Type=openai", [] },
        { "the key is short", "MAAP_BOOTSTRAP_API_KEY=short", [] },
        { "the password is short", "MAAP_BOOTSTRAP_ADMIN_PASSWORD=short", [] },
        { "journeys never end", "Journeys__AbandonAfterMinutes=0", [] },
        { "appsettings.json is malformed", "APPSETTINGS", [] },
    };

    [Theory]
    [MemberData(nameof(BadStarts))]
    public async Task BadStart_OfAnyKind_TellsOneLineAndExitsWith1(string what, string setting, string[] args)
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        string port = ((IPEndPoint)taken.LocalEndpoint).Port.ToString(System.Globalization.CultureInfo.InvariantCulture);
        using var folder = new TempFolder();
        string file = Path.Combine(folder.Path, "a-file");
        await File.WriteAllTextAsync(file, "");
        var environment = new Dictionary<string, string?> { ["MAAP_DATA_DIR"] = _data.Path };
        if (setting == "APPSETTINGS") await File.WriteAllTextAsync(Path.Combine(folder.Path, "appsettings.json"), "{ \"Limits\": { \"Burst\": 5, }");
        else if (setting.Split('=', 2) is [var name, var value]) environment[name] = value == "FILE" ? file : value;

        await using PlatformProcess platform = PlatformProcess.Launch(environment,
            args.Length == 0 ? ["--urls", "http://127.0.0.1:0"] : [.. args.Select(a => a.Replace("TAKEN", port, StringComparison.Ordinal))], folder.Path);

        Assert.Equal(1, await platform.ExitCodeAsync());
        string line = Assert.Single(platform.Errors);
        Assert.True(line.StartsWith("maap: ", StringComparison.Ordinal), $"{what}: {line}");
        Assert.DoesNotContain("   at ", line, StringComparison.Ordinal);
        Assert.DoesNotContain(platform.Output, l => l.Contains("   at ", StringComparison.Ordinal) || l.Contains("Exception", StringComparison.Ordinal));
        TestContext.Current.TestOutputHelper?.WriteLine(line);
    }

    [Fact]
    public async Task BadStart_WithDataThatAnotherProcessUses_TellsOneLineAndExitsWith1()
    {
        await using PlatformProcess first = await PlatformProcess.StartAsync(_data.Path);

        await using PlatformProcess second = PlatformProcess.Launch(new Dictionary<string, string?> { ["MAAP_DATA_DIR"] = _data.Path }, ["--urls", "http://127.0.0.1:0"]);

        Assert.Equal(1, await second.ExitCodeAsync());
        Assert.Contains("in use by another process", Assert.Single(second.Errors), StringComparison.Ordinal);
        using HttpClient client = first.ClientFor(null);
        await client.GetJsonAsync("/health/live");
    }

    [Fact]
    public async Task BadStart_AfterWhichTheMistakeIsMended_WorksOnTheSameData()
    {
        await using (PlatformProcess bad = PlatformProcess.Launch(new Dictionary<string, string?> { ["MAAP_DATA_DIR"] = _data.Path, ["MAAP_BOOTSTRAP_API_KEY"] = "short" }, ["--urls", "http://127.0.0.1:0"]))
            Assert.Equal(1, await bad.ExitCodeAsync());

        await using PlatformProcess good = await PlatformProcess.StartAsync(_data.Path, PlatformEnvironment.With());
        using HttpClient client = good.ClientFor(PlatformEnvironment.Key);

        JsonElement agents = await client.GetJsonAsync("/api/v1/agents");
        Assert.Equal(3, agents.GetProperty("data").GetArrayLength());
    }

    private static bool Accepts(Uri url)
    {
        try
        {
            using var client = new TcpClient();
            client.Connect(url.Host, url.Port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static string CurlBody(string output) => BodyIn().Match(output).Groups[1].Value;

    [GeneratedRegex(@"API key +(\S+)")]
    private static partial Regex KeyIn();

    [GeneratedRegex("-d '(.+)'")]
    private static partial Regex BodyIn();
}
