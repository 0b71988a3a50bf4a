using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using MultiAgent.Models.Providers;

namespace MultiAgent.Models.Tests.Providers.Anthropic;

/// <summary>
/// A small server with the manners of Anthropic's: refuses what the real one refuses, calls a declared tool when the last
/// user turn speaks of the weather, and else answers with a text. Model <c>hangs</c> stops after its first words.
/// </summary>
public sealed class FakeAnthropic : IAsyncLifetime
{
    private WebApplication? _app;

    public Uri Url { get; private set; } = null!;

    /// <summary>Completes when a client has left a hanging stream.</summary>
    public TaskCompletionSource ClientLeft { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public async ValueTask InitializeAsync()
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        _app = builder.Build();
        _app.MapPost("/v1/messages", AnswerAsync);
        await _app.StartAsync();
        Url = new Uri(_app.Urls.First());
    }

    public async ValueTask DisposeAsync()
    {
        if (_app is not null) await _app.DisposeAsync();
    }

    private async Task AnswerAsync(HttpContext http)
    {
        using JsonDocument document = await JsonDocument.ParseAsync(http.Request.Body);
        JsonElement request = document.RootElement;
        if (http.Request.Headers["x-api-key"] != "secret-key" || http.Request.Headers["anthropic-version"] != "2023-06-01")
        {
            await ErrorAsync(http, 401, "authentication_error", "invalid x-api-key");
            return;
        }
        if (Problem(request) is { } problem)
        {
            await ErrorAsync(http, 400, "invalid_request_error", problem);
            return;
        }
        JsonElement last = request.GetProperty("messages").EnumerateArray().Last();
        JsonElement block = last.GetProperty("content").EnumerateArray().Last();
        bool call = request.Member("tools"u8).IsDefined() && block.Text("text"u8)?.Contains("weather") == true;
        string answer = block.Text("type"u8) == "tool_result" ? $"It is {block.GetProperty("content")[0].Text("text"u8)}." : "I am a fake — “nothing” more.";
        if (request.Flag("stream"u8) == true) await StreamAsync(http, request, call, answer);
        else await MessageAsync(http, call, answer);
    }

    private static Task MessageAsync(HttpContext http, bool call, string answer) => http.Response.WriteAsJsonAsync(new
    {
        id = "msg_1",
        type = "message",
        role = "assistant",
        model = "fake-model",
        content = call
            ? new object[] { new { type = "tool_use", id = "toolu_1", name = "get_weather", input = new { city = "Tokyo" } } }
            : [new { type = "text", text = answer }],
        stop_reason = call ? "tool_use" : "end_turn",
        usage = new { input_tokens = 10, output_tokens = 5 },
    });

    private async Task StreamAsync(HttpContext http, JsonElement request, bool call, string answer)
    {
        http.Response.ContentType = "text/event-stream; charset=utf-8";
        await EventAsync(http, """{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"fake-model","content":[],"stop_reason":null,"usage":{"input_tokens":10,"output_tokens":1}}}""");
        await EventAsync(http, """{"type":"ping"}""");
        if (call)
        {
            await EventAsync(http, """{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"toolu_1","name":"get_weather","input":{}}}""");
            await EventAsync(http, """{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":""}}""");
            await EventAsync(http, """{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"city\": "}}""");
            await EventAsync(http, """{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"\"Tokyo\"}"}}""");
        }
        else
        {
            await EventAsync(http, """{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}""");
            foreach (string word in answer.Split(' '))
                await EventAsync(http, JsonSerializer.Serialize(new { type = "content_block_delta", index = 0, delta = new { type = "text_delta", text = word + " " } }));
        }
        if (request.Text("model"u8) == "hangs")
        {
            using CancellationTokenRegistration left = http.RequestAborted.Register(() => ClientLeft.TrySetResult());
            await ClientLeft.Task;
            return;
        }
        await EventAsync(http, """{"type":"content_block_stop","index":0}""");
        await EventAsync(http, $$$"""{"type":"message_delta","delta":{"stop_reason":"{{{(call ? "tool_use" : "end_turn")}}}","stop_sequence":null},"usage":{"output_tokens":5}}""");
        await EventAsync(http, """{"type":"message_stop"}""");
    }

    private static async Task EventAsync(HttpContext http, string json)
    {
        await http.Response.WriteAsync($"event: {JsonDocument.Parse(json).RootElement.Text("type"u8)}\ndata: {json}\n\n");
        await http.Response.Body.FlushAsync();
    }

    private static Task ErrorAsync(HttpContext http, int status, string type, string message)
    {
        http.Response.StatusCode = status;
        return http.Response.WriteAsJsonAsync(new { type = "error", error = new { type, message } });
    }

    /// <summary>What the real server would refuse.</summary>
    public static string? Problem(JsonElement request)
    {
        if (request.Whole("max_tokens"u8) is not > 0) return "max_tokens: Field required";
        string expected = "user";
        HashSet<string> open = [];
        foreach (JsonElement message in request.GetProperty("messages").EnumerateArray())
        {
            if (message.Text("role"u8) != expected) return "messages: roles must alternate";
            JsonElement[] blocks = [.. message.GetProperty("content").EnumerateArray()];
            if (blocks.Length == 0) return "messages: content must not be empty";
            if (blocks.Any(b => b.Text("type"u8) == "text" && string.IsNullOrWhiteSpace(b.Text("text"u8)))) return "messages: text content blocks must contain non-whitespace text";
            string[] results = [.. blocks.Where(b => b.Text("type"u8) == "tool_result").Select(b => b.Text("tool_use_id"u8)!)];
            if (!open.SetEquals(results)) return "messages: every tool_use needs its tool_result in the next turn";
            if (results.Length > 0 && blocks.Take(results.Length).Any(b => b.Text("type"u8) != "tool_result")) return "messages: tool_result blocks come first";
            open = [.. blocks.Where(b => b.Text("type"u8) == "tool_use").Select(b => b.Text("id"u8)!)];
            if (open.Any(id => id.Any(c => !char.IsAsciiLetterOrDigit(c) && c is not ('_' or '-')))) return "messages: tool_use.id has a wrong character";
            if ((open.Count > 0 || results.Length > 0) && !request.Member("tools"u8).IsDefined()) return "tools: Field required";
            expected = expected == "user" ? "assistant" : "user";
        }
        if (request.Member("tools"u8).Items().Any(t => t.Member("input_schema"u8).Text("type"u8) != "object")) return "tools: input_schema.type must be object";
        if (request.Number("temperature"u8) is < 0 or > 1) return "temperature: range";
        if (request.Number("temperature"u8) is not null && request.Number("top_p"u8) is not null) return "temperature and top_p cannot both be specified";
        JsonElement thinking = request.Member("thinking"u8);
        if (thinking.IsDefined() && (thinking.Whole("budget_tokens"u8) < 1024 || thinking.Whole("budget_tokens"u8) >= request.Whole("max_tokens"u8))) return "thinking.budget_tokens: range";
        if (thinking.IsDefined() && (request.Number("temperature"u8) is not null || request.Member("tool_choice"u8).Text("type"u8) is "any" or "tool")) return "thinking: not with temperature or forced tools";
        return null;
    }
}
