using System.Text;
using System.Text.Json;
using CsCheck;
using Microsoft.Extensions.Time.Testing;
using MultiAgent.Models.Providers;
using MultiAgent.Models.Providers.Anthropic;
using MultiAgent.Models.Tests.Upstream;
using MultiAgent.Models.Upstream;

namespace MultiAgent.Models.Tests.Providers.Anthropic;

public sealed class AnthropicStreamTests
{
    private const string Question = """{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"q"}]}""";

    private static readonly string s_start = Event("""{"type":"message_start","message":{"id":"msg_1","model":"claude-x","content":[],"usage":{"input_tokens":25,"cache_read_input_tokens":100,"cache_creation_input_tokens":7,"output_tokens":1}}}""");

    private static readonly string s_full = s_start
        + Event("""{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":""}}""")
        + Event("""{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"secret"}}""")
        + Event("""{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"x"}}""")
        + Event("""{"type":"content_block_stop","index":0}""")
        + Event("""{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}""")
        + Event("""{"type":"ping"}""")
        + Event("""{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Xin chào "}}""")
        + Event("""{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"😀\n"}}""", "\r\n")
        + Event("""{"type":"content_block_stop","index":1}""")
        + Event("""{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_1","name":"a","input":{}}}""")
        + Event("""{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"x\":"}}""")
        + Event("""{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"1}"}}""")
        + Event("""{"type":"content_block_stop","index":2}""")
        + Event("""{"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"toolu_2","name":"b","input":{}}}""")
        + Event("""{"type":"content_block_stop","index":3}""")
        + Event("""{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":89}}""")
        + Event("""{"type":"message_stop"}""");

    [Fact]
    public async Task Stream_TextAndTools_BecomesChunks()
    {
        List<JsonElement> chunks = Calls.Chunks(await Provider(s_full).StreamAsync(Call()));

        Assert.Equal("Xin chào 😀\n", Calls.Content(chunks));
        string[] calls = [.. chunks.Select(c => c.GetProperty("choices")).Where(c => c.GetArrayLength() > 0).Select(c => c[0].GetProperty("delta").Member("tool_calls"u8))
            .Where(t => t.IsDefined()).Select(t => t[0].GetRawText())];
        Assert.Equal(
            [
                """{"index":0,"id":"toolu_1","type":"function","function":{"name":"a","arguments":""}}""",
                """{"index":0,"function":{"arguments":"{\"x\":"}}""",
                """{"index":0,"function":{"arguments":"1}"}}""",
                """{"index":1,"id":"toolu_2","type":"function","function":{"name":"b","arguments":""}}""",
                """{"index":1,"function":{"arguments":"{}"}}""",
            ], calls);
        Assert.Equal("tool_calls", chunks[^2].GetProperty("choices")[0].GetProperty("finish_reason").GetString());
        JsonElement usage = chunks[^1].GetProperty("usage");
        Assert.Equal((132, 89, 100, 7), (usage.GetProperty("prompt_tokens").GetInt32(), usage.GetProperty("completion_tokens").GetInt32(),
            usage.GetProperty("prompt_tokens_details").GetProperty("cached_tokens").GetInt32(), usage.GetProperty("prompt_tokens_details").GetProperty("cache_write_tokens").GetInt32()));
    }

    [Fact]
    public async Task Stream_SplitAnywhere_GivesTheSameBytes()
    {
        string whole = await Provider(s_full).StreamAsync(Call());
        byte[] bytes = Encoding.UTF8.GetBytes(s_full);
        for (int cut = 1; cut < bytes.Length; cut++) Assert.Equal(whole, await Provider(s_full, cut).StreamAsync(Call()));
        Assert.Equal(whole, await Provider(s_full, [.. Enumerable.Range(1, bytes.Length - 1)]).StreamAsync(Call()));
    }

    [Fact]
    public async Task Stream_SplitManyTimes_GivesTheSameBytes()
    {
        string whole = await Provider(s_full).StreamAsync(Call());
        int length = Encoding.UTF8.GetByteCount(s_full);

        await Gen.Int[1, length - 1].Array[1, 40].SampleAsync(async cuts => Assert.Equal(whole, await Provider(s_full, [.. cuts.Distinct().Order()]).StreamAsync(Call())), iter: 200, threads: 1);
    }

    [Fact]
    public async Task Stream_CutAnywhere_FailsAndKeepsUsageSoFar()
    {
        byte[] bytes = Encoding.UTF8.GetBytes(s_full);
        int started = Encoding.UTF8.GetByteCount(s_start), counted = bytes.Length - Encoding.UTF8.GetByteCount(Event("""{"type":"message_stop"}"""));
        for (int length = started; length < bytes.Length - 1; length += 7)
        {
            var provider = new AnthropicProvider(new ScriptedTransport(200, "text/event-stream", bytes[..length]), new FakeTimeProvider());
            await using ProviderResponse response = await provider.SendAsync(Call(), CancellationToken.None);

            var e = await Assert.ThrowsAsync<UpstreamException>(() => Calls.ReadAllAsync(response));

            Assert.Equal(UpstreamFailure.ConnectionLost, e.Failure);
            Assert.Equal(new TokenUsage(132, length >= counted ? 89 : 1, 100, 7), response.UsageSoFar);
        }
    }

    [Fact]
    public async Task Stream_ConnectionBreaks_TextArrivesBeforeTheFailure()
    {
        string cut = s_full[..s_full.IndexOf("\"type\":\"tool_use\"", StringComparison.Ordinal)];
        var provider = new AnthropicProvider(
            new ScriptedTransport(200, "text/event-stream", Encoding.UTF8.GetBytes(cut)) { Failure = new UpstreamException(UpstreamFailure.ConnectionLost, "reset") }, new FakeTimeProvider());
        await using ProviderResponse response = await provider.SendAsync(Call(), CancellationToken.None);

        string seen = "";
        while (!seen.Contains("Xin chào"))
        {
            System.IO.Pipelines.ReadResult read = await response.Body.ReadAsync().AsTask().WaitAsync(Calls.Patience);
            seen += Encoding.UTF8.GetString(System.Buffers.BuffersExtensions.ToArray(read.Buffer));
            response.Body.AdvanceTo(read.Buffer.End);
        }
        await Assert.ThrowsAsync<UpstreamException>(() => Calls.ReadAllAsync(response));
    }

    [Fact]
    public async Task Stream_ErrorBeforeTheMessage_BecomesAnErrorResponse()
    {
        string overloaded = Event("""{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}""");

        (int status, JsonElement body) = await Provider(overloaded).JsonAsync(Call());

        Assert.Equal(503, status);
        Calls.AssertError(body, "overloaded");
    }

    [Fact]
    public async Task Stream_ErrorInside_EndsWithErrorEventAndWithoutDone()
    {
        string stream = s_start + Event("""{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"Hi"}}""") + Event("""{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}""");

        List<string> events = Calls.Events(await Provider(stream).StreamAsync(Call()));

        Calls.AssertError(JsonDocument.Parse(events[^1]).RootElement, "overloaded");
        Assert.DoesNotContain("[DONE]", events);
    }

    [Fact]
    public async Task Stream_Schema_ComesBackAsContent()
    {
        string stream = s_start + Event("""{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}""") + Event("""{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Sure"}}""")
            + Event("""{"type":"content_block_stop","index":0}""") + Event("""{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t","name":"json_answer","input":{}}}""")
            + Event("""{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"a\":"}}""") + Event("""{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"1}"}}""")
            + Event("""{"type":"content_block_stop","index":1}""") + Event("""{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":3}}""") + Event("""{"type":"message_stop"}""");
        ProviderCall call = Calls.Call(Calls.Deployment("anthropic", "m", new Uri("https://provider.test/v1")),
            """{"model":"m","stream":true,"messages":[{"role":"user","content":"q"}],"response_format":{"type":"json_schema","json_schema":{"name":"r","schema":{"type":"object"}}}}""");

        List<JsonElement> chunks = Calls.Chunks(await Provider(stream).StreamAsync(call));

        Assert.Equal("""{"a":1}""", Calls.Content(chunks));
        Assert.Equal("stop", chunks[^2].GetProperty("choices")[0].GetProperty("finish_reason").GetString());
    }

    [Theory]
    [InlineData("data: nonsense\n\n")]
    [InlineData("data: {\"type\":\"content_block_start\",\"content_block\":{\"type\":\"text\",\"text\":\"x\"}}\n\n")]
    public async Task Stream_NotAnthropics_IsAnInvalidResponse(string stream)
    {
        var e = await Assert.ThrowsAsync<UpstreamException>(() => Provider(stream).SendAsync(Call(), CancellationToken.None).AsTask());

        Assert.Equal(UpstreamFailure.InvalidResponse, e.Failure);
    }

    [Fact]
    public async Task Stream_EndlessEvent_IsRefused()
    {
        string endless = "data: " + new string('x', SseEventReader.MaxEventBytes + 1);

        var e = await Assert.ThrowsAsync<UpstreamException>(() => Provider(endless).SendAsync(Call(), CancellationToken.None).AsTask());

        Assert.Equal(UpstreamFailure.InvalidResponse, e.Failure);
    }

    private static AnthropicProvider Provider(string stream, params int[] cuts) =>
        new(new ScriptedTransport(200, "text/event-stream; charset=utf-8", Encoding.UTF8.GetBytes(stream)) { Cuts = cuts }, new FakeTimeProvider());

    private static ProviderCall Call() => Calls.Call(Calls.Deployment("anthropic", "m", new Uri("https://provider.test")), Question);

    private static string Event(string json, string newline = "\n") => $"event: {JsonDocument.Parse(json).RootElement.GetProperty("type").GetString()}{newline}data: {json}{newline}{newline}";
}
