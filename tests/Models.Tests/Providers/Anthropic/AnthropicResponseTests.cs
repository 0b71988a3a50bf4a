using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Time.Testing;
using MultiAgent.Models.Providers;
using MultiAgent.Models.Providers.Anthropic;
using MultiAgent.Models.Tests.Upstream;
using MultiAgent.Models.Upstream;

namespace MultiAgent.Models.Tests.Providers.Anthropic;

public sealed class AnthropicResponseTests
{
    private const string Question = """{"model":"m","messages":[{"role":"user","content":"q"}]}""";
    private readonly FakeTimeProvider _time = new(DateTimeOffset.FromUnixTimeSeconds(1_700_000_000));

    [Fact]
    public async Task Answer_TextToolsAndUsage_AreTranslated()
    {
        const string Message = """
            {"id":"msg_9","type":"message","role":"assistant","model":"claude-x","content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"text","text":"Let me "},{"type":"text","text":"look."},
             {"type":"tool_use","id":"toolu_1","name":"w","input":{"city":"Huế"}}],"stop_reason":"tool_use","usage":{"input_tokens":10,"cache_creation_input_tokens":200,"cache_read_input_tokens":3000,"output_tokens":40}}
            """;

        (int status, JsonElement body) = await Provider(200, Message).JsonAsync(Call(Question));

        Assert.Equal(200, status);
        Assert.Equal(("chatcmpl-msg_9", "claude-x", 1_700_000_000), (body.GetProperty("id").GetString(), body.GetProperty("model").GetString(), body.GetProperty("created").GetInt64()));
        JsonElement choice = body.GetProperty("choices")[0];
        Assert.Equal("Let me look.", choice.GetProperty("message").GetProperty("content").GetString());
        Assert.Equal("""{"city":"Huế"}""", choice.GetProperty("message").GetProperty("tool_calls")[0].GetProperty("function").GetProperty("arguments").GetString());
        Assert.Equal("tool_calls", choice.GetProperty("finish_reason").GetString());
        JsonElement usage = body.GetProperty("usage");
        Assert.Equal((3210, 40, 3250), (usage.GetProperty("prompt_tokens").GetInt32(), usage.GetProperty("completion_tokens").GetInt32(), usage.GetProperty("total_tokens").GetInt32()));
        Assert.Equal((3000, 200), (usage.GetProperty("prompt_tokens_details").GetProperty("cached_tokens").GetInt32(), usage.GetProperty("prompt_tokens_details").GetProperty("cache_write_tokens").GetInt32()));
    }

    [Theory]
    [InlineData("end_turn", "stop")]
    [InlineData("stop_sequence", "stop")]
    [InlineData("max_tokens", "length")]
    [InlineData("refusal", "content_filter")]
    [InlineData("pause_turn", "stop")]
    public async Task Answer_StopReason_IsMapped(string reason, string expected)
    {
        (_, JsonElement body) = await Provider(200, $$$"""{"id":"m","model":"c","content":[{"type":"text","text":"x"}],"stop_reason":"{{{reason}}}","usage":{"input_tokens":1,"output_tokens":1}}""").JsonAsync(Call(Question));

        Assert.Equal(expected, body.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
    }

    [Fact]
    public async Task Answer_Schema_ComesBackAsContent()
    {
        ProviderCall call = Call("""{"model":"m","messages":[{"role":"user","content":"q"}],"response_format":{"type":"json_schema","json_schema":{"name":"r","schema":{"type":"object"}}}}""");

        (_, JsonElement body) = await Provider(200, """{"id":"m","model":"c","content":[{"type":"text","text":"Sure:"},{"type":"tool_use","id":"t","name":"json_answer","input":{"a":1}}],"stop_reason":"tool_use","usage":{}}""").JsonAsync(call);

        JsonElement choice = body.GetProperty("choices")[0];
        Assert.Equal("""{"a":1}""", choice.GetProperty("message").GetProperty("content").GetString());
        Assert.False(choice.GetProperty("message").TryGetProperty("tool_calls", out _));
        Assert.Equal("stop", choice.GetProperty("finish_reason").GetString());
    }

    [Theory]
    [InlineData(400, """{"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: bad"}}""", 400, "invalid_request_error", null)]
    [InlineData(400, """{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"}}""", 400, "invalid_request_error", "context_length_exceeded")]
    [InlineData(400, """{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low"}}""", 429, "insufficient_quota", "insufficient_quota")]
    [InlineData(401, """{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}""", 401, "invalid_request_error", "invalid_api_key")]
    [InlineData(404, """{"type":"error","error":{"type":"not_found_error","message":"model: claude-0"}}""", 404, "invalid_request_error", "model_not_found")]
    [InlineData(413, """{"type":"error","error":{"type":"request_too_large","message":"big"}}""", 413, "invalid_request_error", "body_too_large")]
    [InlineData(429, """{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}""", 429, "requests", "rate_limit_exceeded")]
    [InlineData(529, """{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}""", 503, "server_error", "overloaded")]
    [InlineData(500, """{"type":"error","error":{"type":"api_error","message":"x"}}""", 500, "server_error", "provider_error")]
    [InlineData(502, "<html>Bad gateway</html>", 502, "server_error", "provider_error")]
    [InlineData(529, "", 503, "server_error", "overloaded")]
    [InlineData(302, "", 500, "server_error", "provider_error")]
    public async Task Error_Status_IsMapped(int status, string error, int expected, string type, string? code)
    {
        (int actual, JsonElement body) = await Provider(status, error).JsonAsync(Call(Question));

        Assert.Equal(expected, actual);
        Calls.AssertError(body, code);
        Assert.Equal(type, body.GetProperty("error").GetProperty("type").GetString());
    }

    [Theory]
    [InlineData("retry-after", "7", 7)]
    [InlineData("retry-after-ms", "1500", 1.5)]
    [InlineData("retry-after", "Tue, 14 Nov 2023 22:13:50 GMT", 30)]
    [InlineData("retry-after", "-5", 0)]
    public async Task Error_RetryAfter_IsPassedOn(string header, string value, double seconds)
    {
        var transport = new ScriptedTransport(429, "application/json", []);
        transport.Headers[header] = value;

        await using ProviderResponse response = await new AnthropicProvider(transport, _time).SendAsync(Call(Question), CancellationToken.None);

        Assert.Equal(TimeSpan.FromSeconds(seconds), response.RetryAfter);
    }

    [Theory]
    [InlineData("not json")]
    [InlineData("""{"id":"m"}""")]
    [InlineData("[]")]
    public async Task Answer_NotAMessage_IsAnInvalidResponse(string body)
    {
        var e = await Assert.ThrowsAsync<UpstreamException>(() => Provider(200, body).SendAsync(Call(Question), CancellationToken.None).AsTask());

        Assert.Equal(UpstreamFailure.InvalidResponse, e.Failure);
    }

    private AnthropicProvider Provider(int status, string body) => new(new ScriptedTransport(status, "application/json", Encoding.UTF8.GetBytes(body)), _time);

    private static ProviderCall Call(string json) => Calls.Call(Calls.Deployment("anthropic", "m", new Uri("https://provider.test")), json);
}
