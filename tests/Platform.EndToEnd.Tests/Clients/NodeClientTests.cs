using System.Diagnostics;
using System.Text.Json;

namespace MultiAgent.Platform.EndToEnd.Tests.Clients;

/// <summary>The official client of npm, as its users use it.</summary>
[Collection(SharedProcess.Name)]
public sealed class NodeClientTests(RunningPlatform platform)
{
    [Theory]
    [InlineData("openai.mjs", 20)]
    [InlineData("responses.mjs", 18)]
    public async Task NpmClient_InEveryCheck_Succeeds(string script, int least)
    {
        int aborted = platform.Provider.Aborted;
        string node = Needs.Program("node", "nodejs");
        Needs.Folder(Repository.At("tests/clients/node_modules/openai"), "The npm client is not installed; run npm ci in tests/clients.");
        var start = new ProcessStartInfo(node)
        {
            WorkingDirectory = Repository.At("tests/clients"),
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (string arg in (string[])[script, new Uri(platform.Process.Url, "v1").AbsoluteUri, PlatformEnvironment.Key]) start.ArgumentList.Add(arg);
        using Process process = Process.Start(start)!;
        try
        {
            Task<string> errors = process.StandardError.ReadToEndAsync();
            string output = await process.StandardOutput.ReadToEndAsync().WaitAsync(TimeSpan.FromMinutes(2));
            JsonElement[] checks = [.. output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => JsonDocument.Parse(l).RootElement)];

            Assert.All(checks, c => Assert.True(c.GetProperty("ok").GetBoolean(), c.ToString()));
            Assert.True(checks.Length >= least, $"Only {checks.Length} checks ran. {await errors}");
        }
        finally
        {
            if (!process.HasExited) process.Kill();
        }
        // The two calls that the script leaves open reached the provider.
        await Eventually.TrueAsync(() => platform.Provider.Active == 0, "no request hangs at the provider");
        Assert.True(platform.Provider.Aborted >= aborted + 2);
    }
}
