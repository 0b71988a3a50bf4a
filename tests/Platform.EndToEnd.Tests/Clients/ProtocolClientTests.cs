using System.Diagnostics;
using System.Net;
using System.Text.Json;

namespace MultiAgent.Platform.EndToEnd.Tests.Clients;

/// <summary>The official peers of MCP and A2A.</summary>
[Collection(SharedProcess.Name)]
public sealed class ProtocolClientTests(RunningPlatform platform)
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    [Theory]
    [InlineData("a2a.mjs", 8)]
    [InlineData("mcp.mjs", 7)]
    public Task NpmClient_InEveryCheck_Succeeds(string script, int least) => CheckAsync(script, platform.Process.Url, least);

    /// <summary>Runs a client's checks against a platform with the agents <c>helper</c> and <c>endless</c>.</summary>
    internal static async Task CheckAsync(string script, Uri url, int least)
    {
        using Process process = Start([script, url.AbsoluteUri, PlatformEnvironment.Key, "helper", "endless"]);
        try
        {
            Task<string> errors = process.StandardError.ReadToEndAsync();
            string output = await process.StandardOutput.ReadToEndAsync().WaitAsync(Patience);
            JsonElement[] checks = [.. output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => JsonDocument.Parse(l).RootElement)];
            Assert.All(checks, c => Assert.True(c.GetProperty("ok").GetBoolean(), c.ToString()));
            Assert.True(checks.Length >= least, $"Only {checks.Length} checks ran. {await errors}");
        }
        finally
        {
            if (!process.HasExited) process.Kill();
        }
    }

    [Fact]
    public async Task ReferenceServer_AsASource_IsUsed()
    {
        int port = FreePort.Next();
        using Process server = Start(["node_modules/@modelcontextprotocol/server-everything/dist/index.js", "streamableHttp"], port);
        try
        {
            using HttpClient client = platform.Process.ClientFor(PlatformEnvironment.Key);
            string source = $$$"""{"slug":"everything","kind":"mcp","mcp":{"url":"http://localhost:{{{port}}}/mcp"}}""";
            await Eventually.TrueAsync(async () => (await client.PostAsync("/api/v1/tool-sources", new StringContent(source, null, "application/json"))).StatusCode == HttpStatusCode.Created, "the server is read");

            Assert.Equal("Echo: hi", await CallAsync(client, "echo", """{"message":"hi"}"""));
            Assert.Equal("The sum of 2 and 3 is 5.", await CallAsync(client, "get-sum", """{"a":2,"b":3}"""));
            Assert.Contains("temperature", await CallAsync(client, "get-structured-content", """{"location":"New York"}"""));
            Assert.Contains("demo://resource", await CallAsync(client, "list_resources", "{}"));
        }
        finally
        {
            if (!server.HasExited) server.Kill();
        }
    }

    private static async Task<string> CallAsync(HttpClient client, string tool, string arguments)
    {
        using HttpResponseMessage response = await client.PostAsync($"/api/v1/tools/everything.{tool}/call", new StringContent($$"""{"arguments":{{arguments}}}""", null, "application/json"));
        JsonElement body = JsonDocument.Parse(await response.Content.ReadAsStringAsync()).RootElement;
        Assert.True(response.IsSuccessStatusCode && !body.GetProperty("isError").GetBoolean(), body.ToString());
        return body.GetProperty("text").GetString()!;
    }

    private static Process Start(string[] arguments, int? port = null)
    {
        string node = Needs.Program("node", "nodejs");
        Needs.Folder(Repository.At("tests/clients/node_modules/@modelcontextprotocol/server-everything"), "The npm clients are not installed; run npm ci in tests/clients.");
        var start = new ProcessStartInfo(node) { WorkingDirectory = Repository.At("tests/clients"), RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (string argument in arguments) start.ArgumentList.Add(argument);
        if (port is { } number) start.Environment["PORT"] = number.ToString(System.Globalization.CultureInfo.InvariantCulture);
        return Process.Start(start)!;
    }
}
