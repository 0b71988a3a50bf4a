using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace MultiAgent.Platform.EndToEnd.Tests;

/// <summary>One process for the clients and the chat page, with a provider whose models each behave in a way of their own.</summary>
public sealed class RunningPlatform : IAsyncLifetime
{
    private readonly TempFolder _data = new();

    public FakeProvider Provider { get; private set; } = null!;

    public PlatformProcess Process { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        Provider = await FakeProvider.StartAsync();
        Provider.Default = BehaveAsync;
        Process = await PlatformProcess.StartAsync(_data.Path, PlatformEnvironment.With(Provider, ("Tools__Http__AllowPrivateNetworks", "true")));
        using HttpClient client = Process.ClientFor(PlatformEnvironment.Key);
        await client.AddLocalAgentAsync();
        await client.PostJsonAsync("/api/v1/agents", """{"slug":"endless","name":"Endless","instructions":"Talk.","model":"fake/endless"}""", System.Net.HttpStatusCode.Created);
    }

    public async ValueTask DisposeAsync()
    {
        await Process.DisposeAsync();
        await Provider.DisposeAsync();
        _data.Dispose();
    }

    /// <summary>How the models of the provider behave.</summary>
    public static async Task BehaveAsync(HttpContext context)
    {
        JsonElement request = await FakeProvider.ReadAsync(context);
        bool stream = request.TryGetProperty("stream", out JsonElement s) && s.ValueKind == JsonValueKind.True;
        switch (request.GetProperty("model").GetString())
        {
            case "tools" when !request.GetProperty("messages").EnumerateArray().Any(m => m.GetProperty("role").GetString() == "tool"):
                await (stream ? StreamToolCallAsync(context) : FakeProvider.Raw("""
                    {"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"tools","choices":[{"index":0,"message":{"role":"assistant","content":null,"refusal":null,
                     "tool_calls":[{"id":"call_1","type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Hue\"}"}}]},"logprobs":null,"finish_reason":"tool_calls"}],
                     "usage":{"prompt_tokens":20,"completion_tokens":9,"total_tokens":29}}
                    """)(context));
                break;
            case "schema":
                await FakeProvider.AnswerAsync(context, """{"name":"Maria","age":34}""");
                break;
            case "limited" or "limited-for-node":
                // One model for each client: the platform leaves a limited one alone for as long as it asked.
                await FakeProvider.Error(429, "rate_limit_exceeded", "120")(context);
                break;
            case "broken":
                await FakeProvider.BeginStreamAsync(context);
                await FakeProvider.ChunkAsync(context, "broken", new { role = "assistant", content = "so far" });
                break;
            case "endless":
                await FakeProvider.BeginStreamAsync(context);
                await FakeProvider.ChunkAsync(context, "endless", new { role = "assistant", content = "It **never** ends" });
                await FakeProvider.UntilAbortedAsync(context);
                break;
            case "silent":
                await FakeProvider.UntilAbortedAsync(context);
                break;
            case "embedding" when request.TryGetProperty("encoding_format", out JsonElement format) && format.GetString() == "base64":
                await FakeProvider.Raw("""{"object":"list","data":[{"object":"embedding","index":0,"embedding":"AAAAPwAAgL8AAIA+"}],"model":"embedding","usage":{"prompt_tokens":3,"total_tokens":3}}""")(context);
                break;
            default:
                await FakeProvider.AnswerAsync(context, "Hello from the provider.");
                break;
        }
    }

    private static async Task StreamToolCallAsync(HttpContext context)
    {
        await FakeProvider.BeginStreamAsync(context);
        await FakeProvider.ChunkAsync(context, "tools", new { role = "assistant", content = (string?)null, tool_calls = new[] { new { index = 0, id = "call_1", type = "function", function = new { name = "get_weather", arguments = "" } } } });
        foreach (string part in (string[])["{\"city\":", "\"Hue\"}"])
            await FakeProvider.ChunkAsync(context, "tools", new { tool_calls = new[] { new { index = 0, function = new { arguments = part } } } });
        await FakeProvider.ChunkAsync(context, "tools", new { }, "tool_calls");
        await FakeProvider.DataAsync(context, "[DONE]");
    }
}

[CollectionDefinition(Name)]
public sealed class SharedProcess : ICollectionFixture<RunningPlatform>
{
    public const string Name = "running platform";
}
