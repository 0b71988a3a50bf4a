using System.Text.Json;
using MultiAgent.Orchestrator.Tests.Support;

namespace MultiAgent.Orchestrator.Tests.Responses;

public sealed class ResponseTests : IClassFixture<ResponseHost>
{
    private static readonly object[] Weather = [new { type = "function", name = "get_weather", description = "The weather", parameters = new { type = "object", properties = new { city = new { type = "string" } } }, strict = true }];

    private readonly TestHost _host;

    private FakeDispatcher Model => _host.Model;

    public ResponseTests(ResponseHost fixture)
    {
        _host = fixture.Host;
        Model.Requests.Clear();
    }

    [Fact]
    public async Task Create_OfAModel_IsARunAndHasTheShapeOfAResponse()
    {
        (int status, JsonElement body, HttpResponseMessage http) = await CreateAsync(new { model = "fake/model", input = "Hi", instructions = "Be short.", temperature = 0.5, max_output_tokens = 64, metadata = new { a = "b" }, user = "u1" });

        Assert.Equal(200, status);
        Assert.StartsWith("resp_", body.Text("id"), StringComparison.Ordinal);
        Assert.Equal("response", body.Text("object"));
        Assert.Equal("completed", body.Text("status"));
        Assert.Equal("fake/model", body.Text("model"));
        Assert.Equal("Hello there", Output(body));
        Assert.Equal("Be short.", body.Text("instructions"));
        Assert.Equal(0.5, body.GetProperty("temperature").GetDouble());
        Assert.Equal("b", body.Text("metadata", "a"));
        Assert.Equal(JsonValueKind.Null, body.GetProperty("error").ValueKind);
        JsonElement usage = body.GetProperty("usage");
        Assert.Equal((5, 2, 7), (usage.GetProperty("input_tokens").GetInt32(), usage.GetProperty("output_tokens").GetInt32(), usage.GetProperty("total_tokens").GetInt32()));
        SeenRequest seen = Assert.Single(Model.Requests);
        Assert.Equal(["system", "user"], seen.Roles);
        Assert.Equal(64, seen.Body.GetProperty("max_completion_tokens").GetInt32());
        Assert.Equal(0.5, seen.Body.GetProperty("temperature").GetDouble());
        JsonElement run = (await _host.Alpha.GetJsonAsync($"/api/v1/runs/{http.Headers.GetValues("x-maap-run-id").Single()}")).Body;
        Assert.Equal("response", run.Text("surface"));
        Assert.Equal("b", run.Text("metadata", "a"));
    }

    [Fact]
    public async Task Create_OfItems_ReachesTheModelAsMessages()
    {
        await _host.Alpha.CreateAgentAsync("items");

        (int status, JsonElement body, _) = await CreateAsync(new
        {
            model = "agent/items",
            input = new object[]
            {
                new { role = "developer", content = "Be kind." },
                new { type = "message", role = "user", content = new object[] { new { type = "input_text", text = "What is this?" }, new { type = "input_image", image_url = "data:image/png;base64,AAAA", detail = "low" } } },
                new { type = "message", role = "assistant", content = new object[] { new { type = "output_text", text = "Let me see." } } },
                new { type = "function_call", call_id = "c1", name = "look", arguments = "{}" },
                new { type = "reasoning", id = "rs_1", summary = Array.Empty<object>() },
                new { type = "function_call_output", call_id = "c1", output = "a cat" },
            },
        });

        Assert.Equal((200, "completed"), (status, body.Text("status")));
        SeenRequest seen = Assert.Single(Model.Requests);
        Assert.Equal(["system", "developer", "user", "assistant", "tool"], seen.Roles);
        Assert.Equal("data:image/png;base64,AAAA", seen.Messages[2].GetProperty("content")[1].Text("image_url", "url"));
        Assert.Equal("Let me see.", seen.Messages[3].Text("content"));
        Assert.Equal("c1", seen.Messages[3].GetProperty("tool_calls")[0].Text("id"));
        Assert.Equal("a cat", seen.LastContent);
    }

    [Fact]
    public async Task Tools_WithPreviousResponse_MakeTheRoundTripWithoutTheInputBeingSentAgain()
    {
        Model.Script(FakeAnswer.Calling("get_weather", """{"city":"Hue"}"""), FakeAnswer.Says("Sunny."));

        JsonElement first = (await CreateAsync(new { model = "fake/model", input = "Weather in Hue?", instructions = "Once.", tools = Weather, tool_choice = new { type = "function", name = "get_weather" } })).Body;
        JsonElement call = Assert.Single(first.GetProperty("output").EnumerateArray());
        Assert.Equal("function_call", call.Text("type"));
        Assert.Equal(("call_1", "get_weather", """{"city":"Hue"}"""), (call.Text("call_id"), call.Text("name"), call.Text("arguments")));
        JsonElement second = (await CreateAsync(new { model = "fake/model", previous_response_id = first.Text("id"), tools = Weather, input = new[] { new { type = "function_call_output", call_id = "call_1", output = "31 degrees" } } })).Body;

        Assert.Equal("Sunny.", Output(second));
        Assert.Equal(first.Text("id"), second.Text("previous_response_id"));
        SeenRequest[] seen = [.. Model.Requests];
        Assert.Equal("get_weather", seen[0].Body.GetProperty("tools")[0].Text("function", "name"));
        Assert.Equal("get_weather", seen[0].Body.Text("tool_choice", "function", "name"));
        // Instructions are of one response.
        Assert.Equal(["user", "assistant", "tool"], seen[1].Roles);
        Assert.Equal("31 degrees", seen[1].LastContent);
    }

    [Fact]
    public async Task PreviousResponse_OfAnAgentWithTools_BringsItsCallsAlong()
    {
        await _host.Alpha.CreateAgentAsync("counter", new { tools = new[] { new { name = "calculator" } } });
        Model.Script(FakeAnswer.Calling("calculator", """{"expression":"6*7"}"""), FakeAnswer.Says("42"), FakeAnswer.Says("Yes."));

        JsonElement first = (await CreateAsync(new { model = "agent/counter", input = "6*7?" })).Body;
        Assert.Equal("42", Output(first));
        JsonElement second = (await CreateAsync(new { model = "agent/counter", input = "Sure?", previous_response_id = first.Text("id") })).Body;

        Assert.Equal("Yes.", Output(second));
        Assert.Equal(["system", "user", "assistant", "tool", "assistant", "user"], Model.Requests.Last().Roles);
    }

    [Fact]
    public async Task StructuredOutput_IsAskedOfTheModel()
    {
        await CreateAsync(new { model = "fake/model", input = "Maria is 34.", text = new { format = new { type = "json_schema", name = "person", strict = true, schema = new { type = "object" } } } });

        JsonElement format = Model.Requests.Single().Body.GetProperty("response_format");
        Assert.Equal("json_schema", format.Text("type"));
        Assert.Equal("person", format.Text("json_schema", "name"));
        Assert.True(format.GetProperty("json_schema").GetProperty("strict").GetBoolean());
    }

    [Fact]
    public async Task Conversation_KeepsInputAndAnswer()
    {
        await _host.Alpha.CreateAgentAsync();
        string conversation = (await _host.Alpha.PostJsonAsync("/api/v1/conversations", new { agent = "helper" })).Body.Text("id");

        Assert.Equal(200, (await CreateAsync(new { model = "agent/helper", input = "One", conversation })).Status);
        (int status, JsonElement body, _) = await CreateAsync(new { model = "agent/helper", input = "Two", conversation = new { id = conversation } });

        Assert.Equal(200, status);
        Assert.Equal(conversation, body.Text("conversation", "id"));
        Assert.Equal(["system", "user", "assistant", "user"], Model.Requests.Last().Roles);
        JsonElement messages = (await _host.Alpha.GetJsonAsync($"/api/v1/conversations/{conversation}/messages")).Body.GetProperty("data");
        Assert.Equal(4, messages.GetArrayLength());
    }

    [Fact]
    public async Task Background_IsQueuedThenReadAndCancelled()
    {
        var gate = new TaskCompletionSource();
        Model.Script(new FakeAnswer { Pieces = ["never"], Gate = (_, cancelled) => gate.Task.WaitAsync(cancelled) });

        JsonElement queued = (await CreateAsync(new { model = "fake/model", input = "Hi", background = true })).Body;
        Assert.Equal("queued", queued.Text("status"));
        Assert.Equal("in_progress", (await _host.Alpha.GetJsonAsync($"/v1/responses/{queued.Text("id")}")).Body.Text("status"));
        Assert.Equal(409, (await CreateAsync(new { model = "fake/model", input = "And?", previous_response_id = queued.Text("id") })).Status);
        JsonElement cancelled = (await _host.Alpha.PostJsonAsync($"/v1/responses/{queued.Text("id")}/cancel", "")).Body;
        Assert.Equal("cancelled", cancelled.Text("status"));

        // Twice gives the same.
        Assert.Equal("cancelled", (await _host.Alpha.PostJsonAsync($"/v1/responses/{queued.Text("id")}/cancel", "")).Body.Text("status"));
        JsonElement done = (await CreateAsync(new { model = "fake/model", input = "Hi", background = true })).Body;
        await Waiting.UntilAsync(async () => (await _host.Alpha.GetJsonAsync($"/v1/responses/{done.Text("id")}")).Body.Text("status") == "completed", "the response is completed");
    }

    [Fact]
    public async Task Get_OfAnotherTenantsDeletedOrUnstored_Is404()
    {
        string id = (await CreateAsync(new { model = "fake/model", input = "Hi" })).Body.Text("id");
        JsonElement unstored = (await CreateAsync(new { model = "fake/model", input = "Hi", store = false })).Body;
        Assert.Equal("completed", unstored.Text("status"));

        Assert.Equal(200, (await _host.Alpha.GetJsonAsync($"/v1/responses/{id}")).Status);
        foreach (string path in (string[])[$"/v1/responses/{id}", $"/v1/responses/{id}/input_items", $"/v1/responses/{id}?stream=true"]) Assert.Equal(404, (await _host.Beta.GetJsonAsync(path)).Status);
        Assert.Equal(404, (await _host.Beta.PostJsonAsync($"/v1/responses/{id}/cancel", "")).Status);
        Assert.Equal(404, (await _host.Beta.SendAsync(HttpMethod.Delete, $"/v1/responses/{id}")).Status);
        (int status, JsonElement refused, _) = await _host.Beta.PostJsonAsync("/v1/responses", new { model = "fake/model", input = "Hi", previous_response_id = id });
        Assert.Equal((400, "previous_response_not_found"), (status, refused.Text("error", "code")));
        Assert.Equal(404, (await _host.Alpha.GetJsonAsync($"/v1/responses/{unstored.Text("id")}")).Status);
        Assert.True((await _host.Alpha.SendAsync(HttpMethod.Delete, $"/v1/responses/{id}")).Body.GetProperty("deleted").GetBoolean());
        (status, JsonElement gone, _) = await _host.Alpha.GetJsonAsync($"/v1/responses/{id}");
        Assert.Equal((404, "invalid_request_error"), (status, gone.Text("error", "type")));
    }

    [Fact]
    public async Task InputItems_ArePagedInBothOrders()
    {
        string id = (await CreateAsync(new { model = "fake/model", input = new object[] { new { role = "user", content = "One" }, new { role = "assistant", content = "Two" }, new { role = "user", content = "Three" } } })).Body.Text("id");

        JsonElement newest = (await _host.Alpha.GetJsonAsync($"/v1/responses/{id}/input_items?limit=2")).Body;
        JsonElement rest = (await _host.Alpha.GetJsonAsync($"/v1/responses/{id}/input_items?after={newest.Text("last_id")}")).Body;
        JsonElement oldest = (await _host.Alpha.GetJsonAsync($"/v1/responses/{id}/input_items?order=asc")).Body;

        Assert.Equal(["Three", "Two"], Texts(newest));
        Assert.True(newest.GetProperty("has_more").GetBoolean());
        Assert.Equal(["One"], Texts(rest));
        Assert.Equal(["One", "Two", "Three"], Texts(oldest));

        static string[] Texts(JsonElement list) => [.. list.GetProperty("data").EnumerateArray().Select(i => i.GetProperty("content")[0].Text("text"))];
    }

    [Fact]
    public async Task IdempotencyKey_NamesOneResponse()
    {
        var body = new { model = "fake/model", input = "Hi" };
        (string, string) key = ("Idempotency-Key", "k1");

        JsonElement[] answers = [.. (await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => _host.Alpha.PostJsonAsync("/v1/responses", body, key)))).Select(a => a.Body)];
        (int status, _, _) = await _host.Alpha.PostJsonAsync("/v1/responses", new { model = "fake/model", input = "Other" }, key);

        Assert.Single(answers.Select(a => a.Text("id")).Distinct());
        Assert.Single(Model.Requests);
        Assert.Equal(409, status);
    }

    [Theory]
    [InlineData("""{"input":"x"}""", "model")]
    [InlineData("""{"model":"fake/model"}""", "input")]
    [InlineData("""{"model":"fake/model","input":""}""", "input")]
    [InlineData("""{"model":"fake/model","input":[]}""", "input")]
    [InlineData("""{"model":"fake/model","input":7}""", "input")]
    [InlineData("""{"model":"fake/model","input":[{"type":"item_reference","id":"x"}]}""", "input[0].type")]
    [InlineData("""{"model":"fake/model","input":[{"type":"function_call_output","call_id":"x","output":"y"}]}""", "input[0].call_id")]
    [InlineData("""{"model":"fake/model","input":[{"role":"user","content":[{"type":"input_image","file_id":"f"}]}]}""", "input[0].content[0].image_url")]
    [InlineData("""{"model":"fake/model","input":"x","tools":[{"type":"web_search"}]}""", "tools[0].type")]
    [InlineData("""{"model":"fake/model","input":"x","tool_choice":{"type":"file_search"}}""", "tool_choice")]
    [InlineData("""{"model":"fake/model","input":"x","temperature":3}""", "temperature")]
    [InlineData("""{"model":"fake/model","input":"x","max_output_tokens":0}""", "max_output_tokens")]
    [InlineData("""{"model":"fake/model","input":"x","background":true,"store":false}""", "store")]
    [InlineData("""{"model":"fake/model","input":"x","truncation":"disabled"}""", "truncation")]
    [InlineData("""{"model":"fake/model","input":"x","prompt":{"id":"p"}}""", "prompt")]
    [InlineData("""{"model":"fake/model","input":"x","include":["file_search_call.results"]}""", "include")]
    [InlineData("""{"model":"fake/model","input":"x","metadata":{"a":1}}""", "metadata.a")]
    [InlineData("""{"model":"fake/model","input":"x","text":{"format":{"type":"json_schema","name":"x"}}}""", "text.format.schema")]
    [InlineData("""{"model":"fake/model","input":"x","stream":"yes"}""", "stream")]
    [InlineData("""{"model":"fake/model","input":"x","previous_response_id":"resp_nope"}""", "previous_response_id")]
    public async Task Create_WithAMistake_NamesTheMember(string body, string param)
    {
        (int status, JsonElement refused, _) = await _host.Alpha.PostJsonAsync("/v1/responses", body);

        Assert.Equal((400, param), (status, refused.Text("error", "param")));
        Assert.Equal("invalid_request_error", refused.Text("error", "type"));
        Assert.Empty(Model.Requests);
    }

    [Theory]
    [InlineData("nope")]
    [InlineData("agent/nope")]
    [InlineData("workflow/nope")]
    public async Task Create_OfAnUnknownModel_Is404(string model)
    {
        (int status, JsonElement refused, _) = await CreateAsync(new { model, input = "Hi" });

        Assert.Equal((404, "model_not_found", "model"), (status, refused.Text("error", "code"), refused.Text("error", "param")));
    }

    [Fact]
    public async Task Create_WhenTheProviderRefuses_HasItsStatusAndIsKeptAsFailed()
    {
        Model.Script(new FakeAnswer { Status = 429, ErrorBody = """{"error":{"message":"Slow down","code":"rate_limit_exceeded"}}""" });

        (int status, JsonElement refused, HttpResponseMessage http) = await CreateAsync(new { model = "fake/model", input = "Hi" });

        Assert.Equal((429, "rate_limit_exceeded"), (status, refused.Text("error", "code")));
        string run = (await _host.Alpha.WaitForRunAsync()).Text("id");
        JsonElement kept = (await _host.Alpha.GetJsonAsync($"/v1/responses/resp_{run[4..]}")).Body;
        Assert.Equal(("failed", "rate_limit_exceeded"), (kept.Text("status"), kept.Text("error", "code")));
    }

    [Fact]
    public async Task Create_CutByTheLimitOfTokens_IsIncomplete()
    {
        Model.Script(new FakeAnswer { Pieces = ["Half"], FinishReason = "length" });

        JsonElement body = (await CreateAsync(new { model = "fake/model", input = "Hi", max_output_tokens = 1 })).Body;

        Assert.Equal(("incomplete", "max_output_tokens"), (body.Text("status"), body.Text("incomplete_details", "reason")));
        Assert.Equal("Half", Output(body));
    }

    private Task<(int Status, JsonElement Body, HttpResponseMessage Response)> CreateAsync(object body) => _host.Alpha.PostJsonAsync("/v1/responses", body);

    private static string Output(JsonElement response) =>
        string.Concat(response.GetProperty("output").EnumerateArray().Where(i => i.Text("type") == "message").SelectMany(i => i.GetProperty("content").EnumerateArray()).Select(p => p.Text("text")));
}
