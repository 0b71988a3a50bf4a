using System.Text.Json;
using Microsoft.Extensions.Time.Testing;
using MultiAgent.Models.Providers;
using MultiAgent.Models.Providers.Local;

namespace MultiAgent.Models.Tests.Providers.Local;

public sealed class LocalToolTests
{
    private const string Tools = """
        [{"type":"function","function":{"name":"calculate","description":"Evaluate an arithmetic expression","parameters":{"type":"object","properties":{"expression":{"type":"string"}},"required":["expression"]}}},
         {"type":"function","function":{"name":"current_time","description":"The current time in a time zone","parameters":{"type":"object","properties":{"timezone":{"type":"string"}},"required":["timezone"]}}},
         {"type":"function","function":{"name":"fetch_url","description":"Download a web page","parameters":{"type":"object","properties":{"url":{"type":"string","format":"uri"},"max_bytes":{"type":"integer"}},"required":["url"]}}},
         {"type":"function","function":{"name":"convert_temperature","description":"Convert a temperature","parameters":{"type":"object","properties":{"value":{"type":"number"},"unit":{"type":"string","enum":["celsius","fahrenheit"]}},"required":["value","unit"]}}},
         {"type":"function","function":{"name":"lookup_order","description":"Find an order by its id","parameters":{"type":"object","properties":{"order_id":{"type":"string"}},"required":["order_id"]}}},
         {"type":"function","function":{"name":"search_documents","description":"Search the company's documents","parameters":{"type":"object","properties":{"query":{"type":"string"}},"required":["query"]}}},
         {"type":"function","function":{"name":"ping"}}]
        """;

    private readonly LocalProvider _provider = new(new FakeTimeProvider());

    [Theory]
    [InlineData("What is 12 * (3 + 4)?", "calculate", """{"expression":"12 * (3 + 4)"}""")]
    [InlineData("Calculate 15% of 80 for me", "calculate", """{"expression":"15 / 100 * 80"}""")]
    [InlineData("Tính 7 × 6 giúp tôi", "calculate", """{"expression":"7 * 6"}""")]
    [InlineData("What is two, I mean 2 plus 2?", "calculate", """{"expression":"2 + 2"}""")]
    [InlineData("What time is it in Tokyo?", "current_time", """{"timezone":"Asia/Tokyo"}""")]
    [InlineData("Bây giờ là mấy giờ ở Huế?", "current_time", """{"timezone":"Asia/Ho_Chi_Minh"}""")]
    [InlineData("Tell me the time in Europe/Paris", "current_time", """{"timezone":"Europe/Paris"}""")]
    [InlineData("Please read https://example.com/a?b=1.", "fetch_url", """{"url":"https://example.com/a?b=1"}""")]
    [InlineData("Convert a temperature of 21.5 celsius", "convert_temperature", """{"value":21.5,"unit":"celsius"}""")]
    [InlineData("Where is my order ORD-1234?", "lookup_order", """{"order_id":"ORD-1234"}""")]
    [InlineData("Search for refund policy", "search_documents", """{"query":"refund policy"}""")]
    [InlineData("Search the documents for \"annual leave\" please", "search_documents", """{"query":"annual leave"}""")]
    [InlineData("ping", "ping", "{}")]
    public async Task Question_ThatATool_Answers_CallsItWithItsArguments(string question, string tool, string arguments)
    {
        JsonElement call = Assert.Single(ToolCalls(await AskAsync(question)));

        Assert.Equal((tool, arguments), (call.GetProperty("function").GetProperty("name").GetString(), call.GetProperty("function").GetProperty("arguments").GetString()));
    }

    [Theory]
    [InlineData("Thank you, goodbye!", "")]
    [InlineData("My birthday is 2024-05-06.", "")]
    [InlineData("What is 1 + 1?", ",\"tool_choice\":\"none\"")]
    public async Task Question_ThatNoToolAnswers_CallsNone(string question, string more)
    {
        JsonElement choice = await AskAsync(question, more);

        Assert.Empty(ToolCalls(choice));
        Assert.Equal("stop", choice.GetProperty("finish_reason").GetString());
    }

    [Theory]
    [InlineData(",\"tool_choice\":\"required\"", null)]
    [InlineData(""","tool_choice":{"type":"function","function":{"name":"lookup_order"}}""", "lookup_order")]
    public async Task ToolChoice_Demands_CallsEvenWithoutReason(string more, string? name)
    {
        JsonElement call = Assert.Single(ToolCalls(await AskAsync("Thank you, goodbye!", more)));

        if (name is not null) Assert.Equal(name, call.GetProperty("function").GetProperty("name").GetString());
        Assert.Equal(JsonValueKind.Object, JsonDocument.Parse(call.GetProperty("function").GetProperty("arguments").GetString()!).RootElement.ValueKind);
    }

    [Fact]
    public async Task TwoTools_InOneQuestion_AreCalledTogetherOrOneAfterTheOther()
    {
        const string Question = "Calculate 3 * 4 and tell me the time in London";

        Assert.Equal(2, ToolCalls(await AskAsync(Question)).Count);
        Assert.Single(ToolCalls(await AskAsync(Question, ""","parallel_tool_calls":false""")));
    }

    [Theory]
    [InlineData("true")]
    [InlineData("false")]
    public async Task Loop_RunsToAFinalAnswerWithEveryResult(string parallel)
    {
        var messages = new List<string> { """{"role":"user","content":"Calculate 3 * 4 and tell me the time in London"}""" };
        var ids = new HashSet<string>();
        for (int turn = 0; turn < 5; turn++)
        {
            (int status, JsonElement body) = await _provider.JsonAsync(Call($$"""{"model":"m","messages":[{{string.Join(',', messages)}}],"tools":{{Tools}},"parallel_tool_calls":{{parallel}}}"""));
            Assert.Equal(200, status);
            JsonElement message = body.GetProperty("choices")[0].GetProperty("message");
            List<JsonElement> calls = ToolCalls(body.GetProperty("choices")[0]);
            if (calls.Count == 0)
            {
                Assert.Equal(2, ids.Count);
                Assert.Contains("The result of calculate is 12.", message.GetProperty("content").GetString());
                Assert.Contains("The result of current_time is 09:30.", message.GetProperty("content").GetString());
                return;
            }
            messages.Add(message.GetRawText());
            foreach (JsonElement call in calls)
            {
                Assert.True(ids.Add(call.GetProperty("id").GetString()!));
                string result = call.GetProperty("function").GetProperty("name").GetString() == "calculate" ? "{\\\"result\\\":12}" : "09:30";
                messages.Add($$"""{"role":"tool","tool_call_id":"{{call.GetProperty("id").GetString()}}","content":"{{result}}"}""");
            }
        }
        Assert.Fail("The loop did not end.");
    }

    [Theory]
    [InlineData("{\"error\":\"no such order\"}", "lookup_order failed: no such order.")]
    [InlineData("{\"status\":\"sent\",\"eta\":2}", "The result of lookup_order is status: sent, eta: 2.")]
    [InlineData("", "The result of lookup_order is empty.")]
    [InlineData("{broken", "The result of lookup_order is {broken.")]
    public async Task ToolResult_OfAnyShape_BecomesASentence(string result, string expected)
    {
        string messages = $$"""
            [{"role":"user","content":"Where is order A-1?"},{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"lookup_order","arguments":"{}" } }]},
             {"role":"tool","tool_call_id":"c","content":{{JsonSerializer.Serialize(result)}}}]
            """;

        (_, JsonElement body) = await _provider.JsonAsync(Call($$"""{"model":"m","messages":{{messages}},"tools":{{Tools}}}"""));

        Assert.Equal(expected, body.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
    }

    private async Task<JsonElement> AskAsync(string question, string more = "")
    {
        (int status, JsonElement body) = await _provider.JsonAsync(Call($$"""{"model":"m","messages":[{"role":"user","content":{{JsonSerializer.Serialize(question)}}}],"tools":{{Tools}}{{more}}}"""));
        Assert.Equal(200, status);
        return body.GetProperty("choices")[0];
    }

    private static List<JsonElement> ToolCalls(JsonElement choice) => [.. choice.GetProperty("message").Member("tool_calls"u8).Items()];

    private static ProviderCall Call(string json) => Calls.Call(Calls.Deployment("local", "assistant"), json);
}
