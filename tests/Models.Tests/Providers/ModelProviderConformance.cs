using System.Text.Json;
using MultiAgent.Models.Catalogue;
using MultiAgent.Models.Providers;

namespace MultiAgent.Models.Tests.Providers;

/// <summary>
/// What every provider of chat models must do. The model behind it must answer a plain question with some text, call
/// <c>get_weather</c> when asked about the weather, and answer with text after the tool's result.
/// </summary>
public abstract class ModelProviderConformance
{
    private const string Tools = """
        "tools":[{"type":"function","function":{"name":"get_weather","description":"Get the current weather in a city",
         "parameters":{"type":"object","properties":{"city":{"type":"string","description":"Name of the city"}},"required":["city"]}}}]
        """;

    protected abstract IModelProvider Provider { get; }

    protected abstract Deployment Deployment { get; }

    [Fact]
    public async Task Chat_PlainQuestion_AnswersInOpenAiShape()
    {
        (int status, JsonElement body) = await Provider.JsonAsync(Plain(""));

        Assert.Equal(200, status);
        Assert.Equal("chat.completion", body.GetProperty("object").GetString());
        Assert.StartsWith("chatcmpl-", body.GetProperty("id").GetString());
        Assert.True(body.GetProperty("created").GetInt64() > 0);
        Assert.NotEmpty(body.GetProperty("model").GetString()!);
        JsonElement choice = Assert.Single(body.GetProperty("choices").EnumerateArray());
        Assert.Equal(0, choice.GetProperty("index").GetInt32());
        Assert.Equal("stop", choice.GetProperty("finish_reason").GetString());
        Assert.Equal(JsonValueKind.Null, choice.GetProperty("logprobs").ValueKind);
        Assert.Equal("assistant", choice.GetProperty("message").GetProperty("role").GetString());
        Assert.NotEmpty(choice.GetProperty("message").GetProperty("content").GetString()!);
        Assert.Equal(JsonValueKind.Null, choice.GetProperty("message").GetProperty("refusal").ValueKind);
        AssertUsage(body.GetProperty("usage"));
    }

    [Fact]
    public async Task Chat_StreamWithUsage_ChunksComeInOrder()
    {
        string stream = await Provider.StreamAsync(Plain(""","stream":true,"stream_options":{"include_usage":true}"""));

        List<JsonElement> chunks = Calls.Chunks(stream);
        Assert.Single(chunks.Select(c => (c.GetProperty("id").GetString(), c.GetProperty("created").GetInt64(), c.GetProperty("model").GetString())).Distinct());
        Assert.All(chunks, c => Assert.Equal("chat.completion.chunk", c.GetProperty("object").GetString()));
        JsonElement first = chunks[0].GetProperty("choices")[0].GetProperty("delta");
        Assert.Equal("assistant", first.GetProperty("role").GetString());
        Assert.Equal("", first.GetProperty("content").GetString());
        Assert.NotEmpty(Calls.Content(chunks));
        Assert.All(chunks[..^1], c => Assert.Equal(JsonValueKind.Null, c.GetProperty("usage").ValueKind));
        Assert.All(chunks[..^2], c => Assert.Equal(JsonValueKind.Null, c.GetProperty("choices")[0].GetProperty("finish_reason").ValueKind));
        JsonElement finish = chunks[^2].GetProperty("choices")[0];
        Assert.Equal("stop", finish.GetProperty("finish_reason").GetString());
        Assert.Empty(finish.GetProperty("delta").EnumerateObject());
        Assert.Equal(0, chunks[^1].GetProperty("choices").GetArrayLength());
        AssertUsage(chunks[^1].GetProperty("usage"));
    }

    [Fact]
    public virtual async Task Chat_StreamWithoutUsageAskedFor_EndsWithUsageAllTheSame()
    {
        List<JsonElement> chunks = Calls.Chunks(await Provider.StreamAsync(Plain(""","stream":true""")));

        Assert.All(chunks[..^1], c => Assert.False(c.TryGetProperty("usage", out _)));
        Assert.Equal(0, chunks[^1].GetProperty("choices").GetArrayLength());
        AssertUsage(chunks[^1].GetProperty("usage"));
    }

    [Fact]
    public async Task Chat_QuestionForTool_CallsToolAndThenAnswers()
    {
        (_, JsonElement body) = await Provider.JsonAsync(Call($$"""{"model":"m","messages":[{"role":"user","content":"What is the weather in Tokyo?"}],{{Tools}}}"""));

        JsonElement choice = body.GetProperty("choices")[0];
        Assert.Equal("tool_calls", choice.GetProperty("finish_reason").GetString());
        Assert.Equal(JsonValueKind.Null, choice.GetProperty("message").GetProperty("content").ValueKind);
        JsonElement call = Assert.Single(choice.GetProperty("message").GetProperty("tool_calls").EnumerateArray());
        Assert.Equal("function", call.GetProperty("type").GetString());
        Assert.Equal("get_weather", call.GetProperty("function").GetProperty("name").GetString());
        Assert.Equal("Tokyo", JsonDocument.Parse(call.GetProperty("function").GetProperty("arguments").GetString()!).RootElement.GetProperty("city").GetString());

        string id = call.GetProperty("id").GetString()!;
        (int status, JsonElement second) = await Provider.JsonAsync(Call($$"""
            {"model":"m","messages":[{"role":"user","content":"What is the weather in Tokyo?"},
             {"role":"assistant","content":null,"tool_calls":[{{call.GetRawText()}}]},{"role":"tool","tool_call_id":"{{id}}","content":"sunny, 21 degrees"}],{{Tools}}}
            """));

        Assert.Equal(200, status);
        Assert.Equal("stop", second.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
        Assert.Contains("21", second.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
    }

    [Fact]
    public async Task Chat_StreamedToolCall_NamesItOnceAndSendsArgumentsInPieces()
    {
        List<JsonElement> chunks = Calls.Chunks(await Provider.StreamAsync(Call($$"""{"model":"m","stream":true,"messages":[{"role":"user","content":"What is the weather in Tokyo?"}],{{Tools}}}""")));

        JsonElement first = chunks[0].GetProperty("choices")[0].GetProperty("delta");
        Assert.Equal("assistant", first.GetProperty("role").GetString());
        Assert.Equal(JsonValueKind.Null, first.GetProperty("content").ValueKind);
        JsonElement head = first.GetProperty("tool_calls")[0];
        Assert.Equal((0, "function", "get_weather", ""), (head.GetProperty("index").GetInt32(), head.GetProperty("type").GetString(),
            head.GetProperty("function").GetProperty("name").GetString(), head.GetProperty("function").GetProperty("arguments").GetString()));
        Assert.NotEmpty(head.GetProperty("id").GetString()!);
        List<JsonElement> pieces = [.. chunks.Skip(1).Select(c => c.GetProperty("choices")).Where(c => c.GetArrayLength() > 0)
            .Select(c => c[0].GetProperty("delta").Member("tool_calls"u8)).Where(t => t.ValueKind == JsonValueKind.Array).Select(t => t[0])];
        Assert.All(pieces, p => Assert.False(p.TryGetProperty("id", out _) || p.GetProperty("function").TryGetProperty("name", out _)));
        string arguments = string.Concat(pieces.Select(p => p.GetProperty("function").GetProperty("arguments").GetString()));
        Assert.Equal("Tokyo", JsonDocument.Parse(arguments).RootElement.GetProperty("city").GetString());
        Assert.Equal("tool_calls", chunks[^2].GetProperty("choices")[0].GetProperty("finish_reason").GetString());
    }

    [Fact]
    public async Task Chat_UnknownMembers_AreIgnored()
    {
        (int status, _) = await Provider.JsonAsync(Plain(""","seed":7,"store":false,"metadata":{"a":"b"},"some_future_member":[1,{"x":null}]"""));

        Assert.Equal(200, status);
    }

    [Fact]
    public async Task Chat_NoMessages_AnswersWithErrorShape()
    {
        (int status, JsonElement body) = await Provider.JsonAsync(Call("""{"model":"m","messages":[]}"""));

        Assert.Equal(400, status);
        Calls.AssertError(body, "invalid_value");
    }

    [Fact]
    public async Task Chat_CancelledBefore_Throws()
    {
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Provider.SendAsync(Plain(""), new CancellationToken(true)).AsTask().WaitAsync(Calls.Patience));
    }

    [Fact]
    public async Task Chat_StreamDisposedUnread_Ends()
    {
        ProviderResponse response = await Provider.SendAsync(Plain(""","stream":true"""), CancellationToken.None).AsTask().WaitAsync(Calls.Patience);

        await response.DisposeAsync().AsTask().WaitAsync(Calls.Patience);
    }

    protected ProviderCall Plain(string more) => Call($$"""{"model":"m","messages":[{"role":"user","content":"Say something about yourself."}]{{more}}}""");

    protected ProviderCall Call(string json) => Calls.Call(Deployment, json);

    private static void AssertUsage(JsonElement usage)
    {
        long input = usage.GetProperty("prompt_tokens").GetInt64(), output = usage.GetProperty("completion_tokens").GetInt64();
        Assert.True(input > 0 && output > 0);
        Assert.Equal(input + output, usage.GetProperty("total_tokens").GetInt64());
        Assert.True(usage.GetProperty("prompt_tokens_details").GetProperty("cached_tokens").GetInt64() >= 0);
        Assert.True(usage.GetProperty("completion_tokens_details").GetProperty("reasoning_tokens").GetInt64() >= 0);
    }
}
