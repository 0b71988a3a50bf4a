using System.Net;
using System.Text;
using System.Text.Json;

namespace MultiAgent.Platform.Integration.Tests.OpenAi;

/// <summary>The provider gets what the client sent and the client gets what the provider sent, byte for byte.</summary>
[Collection(SharedPlatform.Name)]
[Trait("Database", "once")]
public sealed class PassThroughTests(PlatformFixture fixture)
{
    private const string Path = "/v1/chat/completions";

    private readonly TestPlatform _platform = fixture.Platform;
    private readonly string _model = fixture.NewModel();

    [Theory]
    [InlineData("unknown fields", """ "zebra": {"a":[1,2.50,1e3,"\u00e9"]}, "user":"u-1" """)]
    [InlineData("tools", """ "tools":[{"type":"function","function":{"name":"w"}}], "tool_choice":{"type":"function","function":{"name":"w"}}, "parallel_tool_calls":false """)]
    [InlineData("schema", """ "response_format":{"type":"json_schema","json_schema":{"name":"s","strict":true,"schema":{"type":"object","properties":{"b":{},"a":{}}}}} """)]
    [InlineData("sampling", """ "n":3, "seed":9223372036854775807, "stop":["\n","END"], "logprobs":true, "top_logprobs":5, "temperature":0.70, "logit_bias":{"50256":-100} """)]
    [InlineData("limits", """ "max_tokens":12, "max_completion_tokens":13, "store":false, "metadata":{"k":"v"}, "service_tier":"flex" """)]
    public async Task Request_OfAnyMembers_ReachesTheProviderAsSent(string _, string members)
    {
        string sent = $$"""{ {{members}} , "messages":[{"role":"developer","content":"ü 漢 \ud83d\ude00"},{"role":"user","content":"hi"}],  "model" : "fake/{{_model}}"}""";
        using HttpResponseMessage response = await _platform.Client.PostAsync(Path, sent);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(sent.Replace($"fake/{_model}", _model, StringComparison.Ordinal), Received());
    }

    [Fact]
    public async Task Request_WithImagesToolCallsAndResults_ReachesTheProviderAsSent()
    {
        string sent = $$$"""
            {"model":"fake/{{{_model}}}","messages":[
              {"role":"user","content":[{"type":"text","text":"what is it"},{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo=","detail":"low"}},{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}}]},
              {"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"w","arguments":"{\"city\": \"Hue\"}"}}]},
              {"role":"tool","tool_call_id":"call_1","content":"rain"}]}
            """;
        using HttpResponseMessage response = await _platform.Client.PostAsync(Path, sent);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(sent.Replace($"fake/{_model}", _model, StringComparison.Ordinal), Received());
    }

    [Fact]
    public async Task Request_WithAuthorization_ReachesTheProviderWithThePlatformsKeyOnly()
    {
        using HttpResponseMessage response = await _platform.Client.PostAsync(Path, Chat(_model), ("OpenAI-Organization", "org-1"), ("x-stainless-lang", "js"));

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var headers = _platform.Provider.Requests.Single(r => r.Body.Contains($"\"{_model}\"", StringComparison.Ordinal)).Headers;
        Assert.Equal("Bearer sk-fake", headers.Authorization.ToString());
        Assert.DoesNotContain(headers, h => h.Value.ToString().Contains(TestPlatform.DemoKey, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Answer_OfAnyMembers_ReachesTheClientAsSent()
    {
        const string answer = """
            {"id":"chatcmpl-9",  "object":"chat.completion","created":1700000000,"model":"m-2026","choices":[
              {"index":1,"message":{"role":"assistant","content":"\u00e9\ud83d\ude00","refusal":null,"reasoning_content":"…","annotations":[]},"logprobs":{"content":[{"token":"a","logprob":-0.10,"bytes":[97],"top_logprobs":[]}]},"finish_reason":"stop"},
              {"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"w","arguments":"not json {"}}]},"finish_reason":"tool_calls"}],
             "usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7},"service_tier":"default","system_fingerprint":"fp","zebra":{"x":1e5}}
            """;
        _platform.Provider.For(_model, FakeProvider.Raw(answer));

        using HttpResponseMessage response = await _platform.Client.PostAsync(Path, Chat(_model));

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(answer, await response.Content.ReadAsStringAsync());
        Assert.Equal($"fake/{_model}", response.Headers.GetValues("x-maap-model").Single());
        Assert.True(response.Headers.Contains("X-Request-Id"));
    }

    [Fact]
    public async Task Stream_WithoutIncludeUsage_AsksForUsageAndKeepsItFromTheClient()
    {
        using HttpResponseMessage response = await _platform.Client.PostStreamAsync(Path, Chat(_model, """,  "stream" : true"""));
        string body = await response.Content.ReadAsStringAsync();

        Assert.Equal("text/event-stream", response.Content.Headers.ContentType!.MediaType);
        Assert.Equal("no-cache", response.Headers.CacheControl!.ToString());
        Assert.Equal(Chat(_model, """,  "stream" : true""").Replace($"\"fake/{_model}\"", $"\"{_model}\",\"stream_options\":{{\"include_usage\":true}}", StringComparison.Ordinal), Received());
        JsonElement[] chunks = Sse.Chunks(body);
        Assert.DoesNotContain(chunks, c => c.GetProperty("choices").GetArrayLength() == 0);
        Assert.Equal("Hello from the provider. ", Sse.Text(chunks));
        Assert.EndsWith("data: [DONE]\n\n", body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Stream_WithIncludeUsage_EndsWithTheUsageChunk()
    {
        string sent = Chat(_model, ""","stream":true,"stream_options":{"include_usage":true}""");
        using HttpResponseMessage response = await _platform.Client.PostStreamAsync(Path, sent);
        string body = await response.Content.ReadAsStringAsync();

        Assert.Equal(sent.Replace($"fake/{_model}", _model, StringComparison.Ordinal), Received());
        JsonElement last = Sse.Chunks(body)[^1];
        Assert.Equal(0, last.GetProperty("choices").GetArrayLength());
        Assert.Equal(18, last.GetProperty("usage").GetProperty("total_tokens").GetInt32());
    }

    [Fact]
    public async Task Stream_WithOtherOptions_KeepsThemBesideIncludeUsage()
    {
        using HttpResponseMessage response = await _platform.Client.PostStreamAsync(Path, Chat(_model, ""","stream":true,"stream_options":{"include_obfuscation":false}"""));
        await response.Content.ReadAsStringAsync();

        JsonElement options = _platform.Provider.RequestsFor(_model).Single().GetProperty("stream_options");
        Assert.True(options.GetProperty("include_usage").GetBoolean());
        Assert.False(options.GetProperty("include_obfuscation").GetBoolean());
    }

    [Fact]
    public async Task Stream_OfUnusualEvents_ReachesTheClientAsSent()
    {
        const string events = ": comment\n\ndata: {\"id\":\"c\",\"choices\":[{\"index\":1,\"delta\":{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"index\":0,\"id\":\"call_1\",\"type\":\"function\",\"function\":{\"name\":\"w\",\"arguments\":\"\"}}]},\"finish_reason\":null}],\"obfuscation\":\"xyz\"}\n\n"
            + "event: x\r\ndata:{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"漢\\u00e9\"},\"finish_reason\":\"length\"}],\"zebra\":1}\r\n\r\ndata: [DONE]\n\n";
        _platform.Provider.For(_model, FakeProvider.Raw(events, contentType: "text/event-stream"));

        using HttpResponseMessage response = await _platform.Client.PostStreamAsync(Path, Chat(_model, ""","stream":true"""));

        Assert.Equal(events, await response.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task Stream_OfBytesInSmallPieces_ReachesTheClientAsSent()
    {
        // Pieces end inside events, inside escapes and inside UTF-8 sequences.
        byte[] events = Encoding.UTF8.GetBytes(string.Concat(Enumerable.Range(0, 20).Select(i => $"data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"漢{i}\"}},\"finish_reason\":null}}]}}\n\n"))
            + "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n");
        _platform.Provider.For(_model, async context =>
        {
            await FakeProvider.BeginStreamAsync(context);
            for (int i = 0; i < events.Length; i += 7)
            {
                await context.Response.Body.WriteAsync(events.AsMemory(i, Math.Min(7, events.Length - i)));
                await context.Response.Body.FlushAsync();
            }
        });

        using HttpResponseMessage response = await _platform.Client.PostStreamAsync(Path, Chat(_model, ""","stream":true"""));

        Assert.Equal(Encoding.UTF8.GetString(events), await response.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task Stream_OfASlowProvider_ArrivesEventByEvent()
    {
        var second = new TaskCompletionSource();
        _platform.Provider.For(_model, async context =>
        {
            await FakeProvider.BeginStreamAsync(context);
            await FakeProvider.ChunkAsync(context, "m", new { content = "first" });
            await second.Task.WaitAsync(Eventually.Deadline);
            await FakeProvider.ChunkAsync(context, "m", new { content = "second" }, "stop");
            await FakeProvider.DataAsync(context, "[DONE]");
        });

        using HttpResponseMessage response = await _platform.Client.PostStreamAsync(Path, Chat(_model, ""","stream":true"""));
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        string? line = await reader.ReadLineAsync().WaitAsync(Eventually.Deadline);
        second.SetResult();

        Assert.Contains("first", line, StringComparison.Ordinal);
        Assert.Contains("second", await reader.ReadToEndAsync(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5,-1,0.25]}],"model":"m","usage":{"prompt_tokens":3,"total_tokens":3}}""", "float")]
    [InlineData("""{"object":"list","data":[{"object":"embedding","index":0,"embedding":"AAAAPwAAgL8AAIA+"}],"model":"m","usage":{"prompt_tokens":3,"total_tokens":3}}""", "base64")]
    public async Task Embeddings_OfAProvider_PassInBothFormats(string answer, string format)
    {
        _platform.Provider.For(_model, FakeProvider.Raw(answer));
        string sent = $$"""{"input":["a",[1,2,3]],"model":"fake/{{_model}}","encoding_format":"{{format}}","dimensions":3}""";

        using HttpResponseMessage response = await _platform.Client.PostAsync("/v1/embeddings", sent);

        Assert.Equal(answer, await response.Content.ReadAsStringAsync());
        Assert.Equal(sent.Replace($"fake/{_model}", _model, StringComparison.Ordinal), Received());
    }

    [Fact]
    public async Task Embeddings_OfTheLocalModel_AreTheSameInBothFormats()
    {
        JsonElement numbers = await _platform.Client.PostJsonAsync("/v1/embeddings", """{"model":"local/embeddings","input":"a quiet river","encoding_format":"float"}""");
        JsonElement base64 = await _platform.Client.PostJsonAsync("/v1/embeddings", """{"model":"local/embeddings","input":"a quiet river","encoding_format":"base64"}""");

        float[] expected = [.. numbers.GetProperty("data")[0].GetProperty("embedding").EnumerateArray().Select(n => n.GetSingle())];
        byte[] bytes = base64.GetProperty("data")[0].GetProperty("embedding").GetBytesFromBase64();
        float[] actual = [.. Enumerable.Range(0, bytes.Length / 4).Select(i => BitConverter.ToSingle(bytes, i * 4))];
        Assert.NotEmpty(expected);
        Assert.Equal(expected, actual);
    }

    internal static string Chat(string model, string more = "") => $$"""{"model":"fake/{{model}}","messages":[{"role":"user","content":"hi"}]{{more}}}""";

    private string Received() => _platform.Provider.Requests.Single(r => r.Body.Contains($"\"{_model}\"", StringComparison.Ordinal)).Body;
}
