using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using System.Text.Json;
using MultiAgent.Models.Catalogue;
using MultiAgent.Models.Providers;
using MultiAgent.Models.Upstream;

namespace MultiAgent.Models.Tests.Providers;

/// <summary>Makes calls from JSON and reads answers as JSON.</summary>
internal static class Calls
{
    /// <summary>Far longer than anything here takes; only a hang reaches it.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    public static readonly DeploymentTimeouts Timeouts = new(new UpstreamTimeouts(Patience, Patience, Patience), Patience);

    public static Deployment Deployment(string type, string model, Uri? url = null, ModelCapabilities capabilities = ModelCapabilities.Chat, int? maxOutput = null) => new()
    {
        Id = $"{type}/{model}#0",
        Provider = type,
        ProviderType = type,
        UpstreamModel = model,
        BaseUrl = url,
        ApiKey = "secret-key",
        Capabilities = capabilities,
        MaxOutputTokens = maxOutput,
        Timeouts = Timeouts,
    };

    public static ProviderCall Call(Deployment deployment, string json, ModelOperation operation = ModelOperation.Chat)
    {
        byte[] body = Encoding.UTF8.GetBytes(json);
        return new ProviderCall { Deployment = deployment, Operation = operation, Body = body, Envelope = RequestEnvelope.Parse(body, operation) };
    }

    public static async Task<string> ReadAllAsync(ProviderResponse response)
    {
        var text = new ArrayBufferWriter<byte>();
        while (true)
        {
            ReadResult read = await response.Body.ReadAsync().AsTask().WaitAsync(Patience);
            foreach (ReadOnlyMemory<byte> segment in read.Buffer) text.Write(segment.Span);
            response.Body.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted) return Encoding.UTF8.GetString(text.WrittenSpan);
        }
    }

    public static async Task<(int Status, JsonElement Json)> JsonAsync(this IModelProvider provider, ProviderCall call)
    {
        await using ProviderResponse response = await provider.SendAsync(call, CancellationToken.None).AsTask().WaitAsync(Patience);
        Assert.False(response.IsEventStream);
        return (response.StatusCode, JsonDocument.Parse(await ReadAllAsync(response)).RootElement);
    }

    /// <summary>The data of the events, comments left out; the last is <c>[DONE]</c> if that came.</summary>
    public static List<string> Events(string stream)
    {
        Assert.EndsWith("\n\n", stream);
        return [.. stream.Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Where(e => !e.StartsWith(':')).Select(e =>
        {
            Assert.StartsWith("data: ", e);
            return e["data: ".Length..];
        })];
    }

    /// <summary>The chunks before <c>[DONE]</c>, which must be there.</summary>
    public static List<JsonElement> Chunks(string stream)
    {
        List<string> events = Events(stream);
        Assert.Equal("[DONE]", events[^1]);
        return [.. events[..^1].Select(e => JsonDocument.Parse(e).RootElement)];
    }

    public static async Task<string> StreamAsync(this IModelProvider provider, ProviderCall call)
    {
        await using ProviderResponse response = await provider.SendAsync(call, CancellationToken.None).AsTask().WaitAsync(Patience);
        Assert.Equal(200, response.StatusCode);
        Assert.True(response.IsEventStream);
        return await ReadAllAsync(response);
    }

    public static string Content(IEnumerable<JsonElement> chunks) =>
        string.Concat(chunks.Where(c => c.GetProperty("choices").GetArrayLength() > 0)
            .Select(c => c.GetProperty("choices")[0].GetProperty("delta").Text("content"u8)));

    public static void AssertError(JsonElement body, string? code)
    {
        JsonElement error = body.GetProperty("error");
        Assert.Equal(["message", "type", "param", "code"], error.EnumerateObject().Select(p => p.Name));
        Assert.NotEmpty(error.GetProperty("message").GetString()!);
        Assert.Equal(code, error.GetProperty("code").GetString());
    }
}
