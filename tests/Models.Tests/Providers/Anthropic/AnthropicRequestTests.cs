using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using MultiAgent.Models.Catalogue;
using MultiAgent.Models.Providers;
using MultiAgent.Models.Providers.Anthropic;

namespace MultiAgent.Models.Tests.Providers.Anthropic;

public sealed class AnthropicRequestTests
{
    private const string Tool = """{"type":"function","function":{"name":"w","description":"d","parameters":{"type":"object","properties":{"city":{"type":"string"}}},"strict":true}}""";

    /// <summary>A request (<c>@tool</c> stands for <see cref="Tool"/>) and the members that must come out; null where there must be none.</summary>
    public static TheoryData<string, string, string> Translations => new()
    {
        { "system and developer become system", """{"messages":[{"role":"system","content":"A"},{"role":"developer","content":[{"type":"text","text":"B"}]},{"role":"user","content":"hi"}]}""",
          """{"system":[{"type":"text","text":"A"},{"type":"text","text":"B"}],"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]}""" },
        { "only a system message becomes the user's", """{"messages":[{"role":"system","content":"A"}]}""",
          """{"system":null,"messages":[{"role":"user","content":[{"type":"text","text":"A"}]}]}""" },
        { "same roles are merged, empty texts dropped", """{"messages":[{"role":"user","content":"a"},{"role":"user","content":" "},{"role":"assistant","content":""},{"role":"user","content":"b"}]}""",
          """{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]}""" },
        { "an assistant's turn is never first, a prefill loses its trailing space", """{"messages":[{"role":"assistant","content":"x "}]}""",
          """{"messages":[{"role":"user","content":[{"type":"text","text":"Continue."}]},{"role":"assistant","content":[{"type":"text","text":"x"}]}]}""" },
        { "images", """{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAA="}},{"type":"image_url","image_url":{"url":"https://h/i.png","detail":"low"}}]}]}""",
          """{"messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAA="}},{"type":"image","source":{"type":"url","url":"https://h/i.png"}}]}]}""" },
        { "a PDF", """{"messages":[{"role":"user","content":[{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,AAA="}}]}]}""",
          """{"messages":[{"role":"user","content":[{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"AAA="}}]}]}""" },
        { "cache marks pass", """{"messages":[{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}]}]}""",
          """{"messages":[{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}]}]}""" },
        { "a round of parallel tools, with invalid arguments and odd ids", """{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":null,"tool_calls":[{"id":"call:1","type":"function","function":{"name":"w","arguments":"{\"city\":\"Huế\"}"}},{"id":"c2","type":"function","function":{"name":"w","arguments":"{oops"}},{"id":"c3","type":"function","function":{"name":"w","arguments":""}}]},{"role":"tool","tool_call_id":"call:1","content":"sun"},{"role":"tool","tool_call_id":"c2","content":[{"type":"text","text":"rain"}]},{"role":"tool","tool_call_id":"c3","content":""},{"role":"user","content":"and?"}],"tools":[@tool]}""",
          """{"messages":[{"role":"user","content":[{"type":"text","text":"q"}]},{"role":"assistant","content":[{"type":"tool_use","id":"call_1","name":"w","input":{"city":"Huế"}},{"type":"tool_use","id":"c2","name":"w","input":{"invalid_arguments":"{oops"}},{"type":"tool_use","id":"c3","name":"w","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"call_1","content":[{"type":"text","text":"sun"}]},{"type":"tool_result","tool_use_id":"c2","content":[{"type":"text","text":"rain"}]},{"type":"tool_result","tool_use_id":"c3"},{"type":"text","text":"and?"}]}],"tools":[{"name":"w","description":"d","input_schema":{"type":"object","properties":{"city":{"type":"string"}}}}],"tool_choice":null}""" },
        { "tools of the past are declared", """{"messages":[{"role":"user","content":"q"},{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"old","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"1"}]}""",
          """{"tools":[{"name":"old","input_schema":{"type":"object"}}],"tool_choice":{"type":"none"}}""" },
        { "a tool without parameters", """{"messages":[{"role":"user","content":"q"}],"tools":[{"type":"function","function":{"name":"n"}}]}""", """{"tools":[{"name":"n","input_schema":{"type":"object"}}]}""" },
        { "tool_choice auto", """{"messages":[{"role":"user","content":"q"}],"tools":[@tool],"tool_choice":"auto","parallel_tool_calls":false}""", """{"tool_choice":{"type":"auto","disable_parallel_tool_use":true}}""" },
        { "tool_choice none", """{"messages":[{"role":"user","content":"q"}],"tools":[@tool],"tool_choice":"none","parallel_tool_calls":false}""", """{"tool_choice":{"type":"none"}}""" },
        { "tool_choice required", """{"messages":[{"role":"user","content":"q"}],"tools":[@tool],"tool_choice":"required"}""", """{"tool_choice":{"type":"any"}}""" },
        { "tool_choice by name", """{"messages":[{"role":"user","content":"q"}],"tools":[@tool],"tool_choice":{"type":"function","function":{"name":"w"}}}""", """{"tool_choice":{"type":"tool","name":"w"}}""" },
        { "limits and sampling", """{"messages":[{"role":"user","content":"q"}],"max_tokens":9,"max_completion_tokens":7,"temperature":1.7,"top_p":0.5,"stop":["a"," "],"user":"u1"}""",
          """{"max_tokens":7,"temperature":1,"top_p":null,"stop_sequences":["a"],"metadata":{"user_id":"u1"},"thinking":null}""" },
        { "defaults", """{"messages":[{"role":"user","content":"q"}],"top_p":0.5,"stop":"x"}""", """{"max_tokens":4096,"temperature":null,"top_p":0.5,"stop_sequences":["x"],"stream":null,"system":null,"tools":null,"tool_choice":null}""" },
        { "thinking", """{"messages":[{"role":"user","content":"q"}],"max_tokens":20000,"reasoning_effort":"medium","temperature":0.2}""", """{"thinking":{"type":"enabled","budget_tokens":8192},"temperature":null}""" },
        { "no room to think", """{"messages":[{"role":"user","content":"q"}],"max_tokens":1500,"reasoning_effort":"high"}""", """{"thinking":null}""" },
        { "no thinking in a loop of tools", """{"messages":[{"role":"user","content":"q"},{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"w","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"1"}],"tools":[@tool],"reasoning_effort":"high","max_tokens":9000}""", """{"thinking":null}""" },
        { "a schema becomes a forced tool", """{"messages":[{"role":"user","content":"q"}],"reasoning_effort":"high","max_tokens":9000,"response_format":{"type":"json_schema","json_schema":{"name":"r","schema":{"type":"object","properties":{"a":{"type":"integer"}}}}}}""",
          """{"tools":[{"name":"json_answer","description":"Gives the final answer. Call it once, with the complete answer.","input_schema":{"type":"object","properties":{"a":{"type":"integer"}}}}],"tool_choice":{"type":"tool","name":"json_answer","disable_parallel_tool_use":true},"thinking":null}""" },
        { "a schema beside tools", """{"messages":[{"role":"user","content":"q"}],"tools":[@tool],"response_format":{"type":"json_schema","json_schema":{"name":"r","schema":{"type":"object"}}}}""", """{"tool_choice":{"type":"any","disable_parallel_tool_use":true}}""" },
        { "a JSON object is asked for in words", """{"messages":[{"role":"system","content":"S"},{"role":"user","content":"q"}],"response_format":{"type":"json_object"}}""",
          """{"system":[{"type":"text","text":"S"},{"type":"text","text":"Answer with one JSON object and nothing else: no text around it and no code fence."}]}""" },
        { "streams", """{"messages":[{"role":"user","content":"q"}],"stream":true}""", """{"stream":true}""" },
    };

    [Theory]
    [MemberData(nameof(Translations))]
    public void Translate_Request_GivesMembers(string name, string request, string expected)
    {
        JsonElement sent = Translate(request);

        foreach (JsonProperty member in JsonDocument.Parse(expected).RootElement.EnumerateObject())
        {
            bool there = sent.TryGetProperty(member.Name, out JsonElement actual);
            Assert.True(JsonNode.DeepEquals(JsonNode.Parse(member.Value.GetRawText()), there ? JsonNode.Parse(actual.GetRawText()) : null), $"{name}: {member.Name} is {(there ? actual.GetRawText() : "absent")}");
        }
        Assert.Equal("upstream-model", sent.GetProperty("model").GetString());
        Assert.Null(FakeAnthropic.Problem(sent));
    }

    [Theory]
    [InlineData("""{"n":2,"messages":[{"role":"user","content":"q"}]}""", "unsupported_parameter", "n")]
    [InlineData("""{"messages":[]}""", "invalid_value", "messages")]
    [InlineData("""{"messages":[{"role":"user","content":""}]}""", "invalid_value", "messages")]
    [InlineData("""{"messages":[{"role":"wizard","content":"q"}]}""", "invalid_value", "messages[0].role")]
    [InlineData("""{"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{}}]}]}""", "unsupported_parameter", "messages[0].content[0]")]
    [InlineData("""{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"file:///etc/passwd"}}]}]}""", "invalid_value", "messages[0].content[0].image_url")]
    [InlineData("""{"messages":[{"role":"tool","content":"x"}]}""", "invalid_value", "messages[0].tool_call_id")]
    [InlineData("""{"messages":[{"role":"user","content":"q"}],"tools":[{"type":"function","function":{"name":"a"}}],"tool_choice":{"type":"function","function":{"name":"b"}}}""", "invalid_value", "tool_choice")]
    [InlineData("""{"messages":[{"role":"user","content":"q"}],"tools":[{"type":"custom","custom":{"name":"a"}}]}""", "unsupported_parameter", "tools[0].type")]
    [InlineData("""{"messages":[{"role":"user","content":"\ud800"}]}""", "invalid_value", null)]
    public void Translate_RequestThatCannotBe_IsRejected(string request, string code, string? param)
    {
        var e = Assert.Throws<RequestRejectedException>(() => Translate(request));

        Assert.Equal((400, code, param), (e.Error.Status, e.Error.Code, e.Error.Param));
    }

    [Fact]
    public void Translate_LimitAboveTheModels_IsTheModels()
    {
        Deployment deployment = Calls.Deployment("anthropic", "m", maxOutput: 8192);

        JsonElement Limit(string members) => JsonDocument.Parse(
            AnthropicRequest.Translate(Encoding.UTF8.GetBytes("{\"messages\":[{\"role\":\"user\",\"content\":\"q\"}]" + members + "}"), deployment, false).Body).RootElement.GetProperty("max_tokens");

        Assert.Equal(8192, Limit("").GetInt32());
        Assert.Equal(8192, Limit(",\"max_tokens\":100000").GetInt32());
        Assert.Equal(5, Limit(",\"max_tokens\":5").GetInt32());
    }

    [Fact]
    public void Translate_ModelThatDoesNotReason_IsNotAskedToThink()
    {
        byte[] body = Encoding.UTF8.GetBytes("""{"messages":[{"role":"user","content":"q"}],"reasoning_effort":"high","max_tokens":9000}""");

        JsonElement sent = JsonDocument.Parse(AnthropicRequest.Translate(body, Calls.Deployment("anthropic", "m"), false).Body).RootElement;

        Assert.False(sent.TryGetProperty("thinking", out _));
    }

    private static JsonElement Translate(string json)
    {
        Deployment deployment = Calls.Deployment("anthropic", "upstream-model", capabilities: ModelCapabilities.Chat | ModelCapabilities.Reasoning);
        byte[] body = Encoding.UTF8.GetBytes(json.Replace("@tool", Tool));
        return JsonDocument.Parse(AnthropicRequest.Translate(body, deployment, stream: json.Contains("\"stream\":true")).Body).RootElement;
    }
}
