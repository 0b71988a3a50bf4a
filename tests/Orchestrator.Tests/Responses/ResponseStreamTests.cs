using System.Text.Json;
using MultiAgent.Orchestrator.Tests.Support;

namespace MultiAgent.Orchestrator.Tests.Responses;

[Trait("Database", "once")]
public sealed class ResponseStreamTests : IClassFixture<ResponseHost>
{
    private readonly TestHost _host;

    private FakeDispatcher Model => _host.Model;

    public ResponseStreamTests(ResponseHost fixture)
    {
        _host = fixture.Host;
        Model.Requests.Clear();
    }

    [Fact]
    public async Task Stream_OfText_HasTheTypedEventsInOrderNumberedWithoutGaps()
    {
        Model.Script(FakeAnswer.Says("Hello", " the", "re, fri", "end"));

        List<SseEvent> events = await StreamAsync(new { model = "fake/model", input = "Hi", stream = true });

        Assert.Equal(["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added", "response.output_text.delta", "response.output_text.delta", "response.output_text.delta",
            "response.output_text.done", "response.content_part.done", "response.output_item.done", "response.completed"], events.Select(e => e.Name!));
        Assert.Equal(Enumerable.Range(0, events.Count).Select(n => (long)n), events.Select(e => e.Json.GetProperty("sequence_number").GetInt64()));
        Assert.All(events, e => Assert.Equal(e.Name, e.Json.Text("type")));
        Assert.Equal("Hello there, friend", string.Concat(events.Where(e => e.Name == "response.output_text.delta").Select(e => e.Json.Text("delta"))));
        JsonElement response = events[^1].Json.GetProperty("response");
        Assert.Equal("completed", response.Text("status"));
        Assert.Equal("Hello there, friend", response.GetProperty("output")[0].GetProperty("content")[0].Text("text"));
        Assert.Equal(7, response.GetProperty("usage").GetProperty("total_tokens").GetInt32());
    }

    [Fact]
    public async Task Stream_ReadAgain_IsTheSameWhereverItIsTakenUp()
    {
        Model.Script(FakeAnswer.Says("Xin chào", " bạn", " — 長い文章はスペースなしで続きます", "\nEnd"));
        List<SseEvent> first = await StreamAsync(new { model = "fake/model", input = "Hi", stream = true });
        string id = first[0].Json.Text("response", "id");

        for (int after = 0; after < first.Count; after++)
        {
            await using SseReader again = await SseReader.OpenAsync(_host.Alpha, HttpMethod.Get, $"/v1/responses/{id}?stream=true&starting_after={after}");
            List<SseEvent> rest = await again.AllAsync();
            // Who has seen the end is told the end once more, so that nobody waits for it.
            if (after == first.Count - 1) Assert.Equal("response.completed", Assert.Single(rest).Name);
            else Assert.Equal(first.Skip(after + 1).Select(e => e.Data), rest.Select(e => e.Data));
        }
    }

    [Fact]
    public async Task Stream_LeftAndTakenUpWhileTheModelSpeaks_HasNoGapAndNothingTwice()
    {
        var gate = new TaskCompletionSource();
        Model.Script(new FakeAnswer { Pieces = ["One two", " three four"], Gate = (i, cancelled) => i == 1 ? gate.Task.WaitAsync(cancelled) : Task.CompletedTask });
        var seen = new List<SseEvent>();
        await using (SseReader reader = await SseReader.OpenAsync(_host.Alpha, HttpMethod.Post, "/v1/responses", new { model = "fake/model", input = "Hi", stream = true }))
            while (seen.All(e => e.Name != "response.output_text.delta")) seen.Add((await reader.NextAsync())!);
        string id = seen[0].Json.Text("response", "id");

        await using SseReader rest = await SseReader.OpenAsync(_host.Alpha, HttpMethod.Get, $"/v1/responses/{id}?stream=true&starting_after={seen[^1].Json.GetProperty("sequence_number")}");
        gate.SetResult();
        seen.AddRange(await rest.AllAsync());

        Assert.Equal(Enumerable.Range(0, seen.Count).Select(n => (long)n), seen.Select(e => e.Json.GetProperty("sequence_number").GetInt64()));
        Assert.Equal("One two three four", string.Concat(seen.Where(e => e.Name == "response.output_text.delta").Select(e => e.Json.Text("delta"))));
        Assert.Equal("response.completed", seen[^1].Name);
    }

    [Fact]
    public async Task Stream_OfAnAgentThatSpeaksBeforeItsTool_HasAnItemForEachMessage()
    {
        await _host.Alpha.CreateAgentAsync("speaker", new { tools = new[] { new { name = "calculator" } } });
        Model.Script(FakeAnswer.Calling("calculator", """{"expression":"6*7"}""") with { Pieces = ["Let me see."] }, FakeAnswer.Says("42"));

        List<SseEvent> events = await StreamAsync(new { model = "agent/speaker", input = "6*7?", stream = true });

        JsonElement response = events[^1].Json.GetProperty("response");
        Assert.Equal(["Let me see.", "42"], response.GetProperty("output").EnumerateArray().Select(i => i.GetProperty("content")[0].Text("text")));
        Assert.Equal(2, events.Count(e => e.Name == "response.output_text.done"));
        JsonElement read = (await _host.Alpha.GetJsonAsync($"/v1/responses/{response.Text("id")}")).Body;
        Assert.Equal(response.GetProperty("output").GetRawText(), read.GetProperty("output").GetRawText());
    }

    [Fact]
    public async Task Stream_OfACall_HasItsArguments()
    {
        Model.Script(FakeAnswer.Calling("look", """{"at":"it"}"""));

        List<SseEvent> events = await StreamAsync(new { model = "fake/model", input = "Hi", stream = true, tools = new[] { new { type = "function", name = "look" } } });

        Assert.Equal(["response.created", "response.in_progress", "response.output_item.added", "response.function_call_arguments.delta", "response.function_call_arguments.done", "response.output_item.done", "response.completed"], events.Select(e => e.Name!));
        Assert.Equal("", events[2].Json.Text("item", "arguments"));
        Assert.Equal("""{"at":"it"}""", events[4].Json.Text("arguments"));
        Assert.Equal("completed", events[5].Json.Text("item", "status"));
    }

    [Fact]
    public async Task Stream_ThatFails_EndsWithTheFailure()
    {
        Model.Script(new FakeAnswer { Pieces = ["Half a"], BreaksOff = true });

        List<SseEvent> events = await StreamAsync(new { model = "fake/model", input = "Hi", stream = true });

        Assert.Equal("response.failed", events[^1].Name);
        JsonElement response = events[^1].Json.GetProperty("response");
        Assert.Equal(("failed", "server_error"), (response.Text("status"), response.Text("error", "code")));
    }

    [Fact]
    public async Task Stream_InTheBackground_BeginsQueuedAndOutlivesItsReader()
    {
        var gate = new TaskCompletionSource();
        Model.Script(new FakeAnswer { Pieces = ["Done"], Gate = (_, cancelled) => gate.Task.WaitAsync(cancelled) });
        string id;
        await using (SseReader reader = await SseReader.OpenAsync(_host.Alpha, HttpMethod.Post, "/v1/responses", new { model = "fake/model", input = "Hi", stream = true, background = true }))
        {
            id = (await reader.UntilAsync("response.queued")).Json.Text("response", "id");
            await reader.UntilAsync("response.in_progress");
        }
        gate.SetResult();

        await Waiting.UntilAsync(async () => (await _host.Alpha.GetJsonAsync($"/v1/responses/{id}")).Body.Text("status") == "completed", "completed");
    }

    [Fact]
    public async Task Stream_ThatIsNotStored_EndsWithItsReader()
    {
        Model.Script(new FakeAnswer { Pieces = ["One", "Two"], Gate = (i, cancelled) => i == 1 ? Task.Delay(Timeout.Infinite, cancelled) : Task.CompletedTask });
        await using (SseReader reader = await SseReader.OpenAsync(_host.Alpha, HttpMethod.Post, "/v1/responses", new { model = "fake/model", input = "Hi", stream = true, store = false }))
            await reader.UntilAsync("response.in_progress");

        Assert.Equal(("cancelled", "client_disconnected"), ((await _host.Alpha.WaitForRunAsync()) is var run ? run.Text("status") : "", run.Text("reason")));
    }

    private async Task<List<SseEvent>> StreamAsync(object body)
    {
        await using SseReader reader = await SseReader.OpenAsync(_host.Alpha, HttpMethod.Post, "/v1/responses", body);
        return await reader.AllAsync();
    }
}
