using System.Text.Json;
using MultiAgent.Data.Sqlite;
using MultiAgent.Orchestrator.Tests.Support;
using TestStorage = MultiAgent.Testing.TestStorage;

namespace MultiAgent.Orchestrator.Tests.Conversations.Compaction;

/// <summary>Conversations whose beginning is summarised.</summary>
public sealed class CompactionTests : IAsyncLifetime
{
    private static readonly string Long = string.Join(' ', Enumerable.Repeat("word", 60));

    private TestHost _host = null!;
    private int _summaries;

    public async ValueTask InitializeAsync()
    {
        _host = await TestHost.StartAsync();
        _host.Model.Default = AnswerAsync;
    }

    public ValueTask DisposeAsync() => _host.DisposeAsync();

    [Fact]
    public async Task LongConversation_IsSummarised_AndTheNextRunStartsFromIt()
    {
        await AgentAsync();
        string id = await ChatAsync("one");
        await ChatAsync("two", id);
        string run = (await TurnAsync("three", id)).Text("runId");

        // Two messages stay, and the question; the rest is told of.
        SeenRequest summarising = Assert.Single(_host.Model.Requests, IsSummary), asked = _host.Model.Requests.Last();
        Assert.Contains($"user: one {Long}", summarising.LastContent, StringComparison.Ordinal);
        Assert.DoesNotContain("three", summarising.LastContent, StringComparison.Ordinal);
        Assert.Equal(["system", "system", "assistant", "user"], asked.Roles);
        Assert.EndsWith("\n\nSUMMARY 1", asked.Messages[1].Text("content"), StringComparison.Ordinal);
        JsonElement told = (await EventsAsync(run)).Single(e => e.Text("type") == "context.compacted").GetProperty("data");
        Assert.Equal(("SUMMARY 1", 3, "fake/model", 0.001m), (told.Text("summary"), told.GetProperty("messages").GetInt32(), told.Text("model"), told.GetProperty("usage").GetProperty("costUsd").GetDecimal()));
        Assert.True(told.GetProperty("tokensAfter").GetInt64() < told.GetProperty("tokensBefore").GetInt64());
        // What the summary cost is the run's, and its call is metered as the run's.
        JsonElement ended = (await _host.Alpha.GetJsonAsync($"/api/v1/runs/{run}")).Body;
        Assert.Equal((0.002m, 1), (ended.GetProperty("usage").GetProperty("costUsd").GetDecimal(), ended.GetProperty("steps").GetInt32()));
        Assert.Equal((run, "helper"), (summarising.Call.Usage.RunId, summarising.Call.Usage.Agent));
        JsonElement conversation = (await _host.Alpha.GetJsonAsync($"/api/v1/conversations/{id}")).Body;
        Assert.Equal(("SUMMARY 1", run), (conversation.Text("summary", "text"), conversation.Text("summary", "runId")));
        Assert.Equal(6, (await _host.Alpha.GetJsonAsync($"/api/v1/conversations/{id}/messages")).Body.GetProperty("data").GetArrayLength());

        await TurnAsync("four", id);
        await TurnAsync("five", id);

        // Each summary is made of the one before it and what came after that.
        SeenRequest[] all = [.. _host.Model.Requests.Where(IsSummary)];
        Assert.Equal(3, all.Length);
        Assert.Contains("<earlier_summary>\nSUMMARY 1\n</earlier_summary>", all[1].LastContent, StringComparison.Ordinal);
        Assert.DoesNotContain("user: one", all[1].LastContent, StringComparison.Ordinal);
        Assert.Contains("user: three", all[1].LastContent, StringComparison.Ordinal);
        Assert.Contains("<earlier_summary>\nSUMMARY 2\n</earlier_summary>", all[2].LastContent, StringComparison.Ordinal);
        Assert.DoesNotContain("user: three", all[2].LastContent, StringComparison.Ordinal);
        Assert.EndsWith("SUMMARY 3", _host.Model.Requests.Last().Messages[1].Text("content"), StringComparison.Ordinal);
        Assert.Equal("SUMMARY 3", (await _host.Alpha.GetJsonAsync($"/api/v1/conversations/{id}")).Body.Text("summary", "text"));
    }

    [Fact]
    public async Task Truncation_IsTheDefault()
    {
        await _host.Alpha.CreateAgentAsync();
        string id = await ChatAsync("one");
        for (int i = 0; i < 3; i++) await ChatAsync("more", id);

        Assert.DoesNotContain(_host.Model.Requests, IsSummary);
        Assert.Equal(JsonValueKind.Null, (await _host.Alpha.GetJsonAsync($"/api/v1/conversations/{id}")).Body.TryGetProperty("summary", out JsonElement none) ? none.ValueKind : JsonValueKind.Null);
    }

    [Fact]
    public async Task Model_ThatCannotSummarise_LeavesTheOldestOut()
    {
        await AgentAsync(new { strategy = "summarize", maxTokens = 250, keepMessages = 2, model = "fake/cheap", summaryTokens = 50 });
        string id = await ChatAsync("one");
        await ChatAsync("two", id);
        _host.Model.Default = (request, token) => IsSummary(request) ? Task.FromResult(new FakeAnswer { Status = 400, ErrorBody = """{"error":{"message":"no","code":"too_bad"}}""" }) : AnswerAsync(request, token);
        JsonElement answer = await TurnAsync("three", id);

        Assert.Equal("completed", answer.Text("status"));
        JsonElement failed = (await EventsAsync(answer.Text("runId"))).Single(e => e.Text("type") == "context.compaction_failed").GetProperty("data");
        Assert.Equal(("too_bad", "truncate"), (failed.Text("code"), failed.Text("fallback")));
        SeenRequest tried = Assert.Single(_host.Model.Requests, IsSummary);
        Assert.Equal(("fake/cheap", 50), (tried.Body.Text("model"), tried.Body.GetProperty("max_tokens").GetInt32()));
        Assert.DoesNotContain("SUMMARY", _host.Model.Requests.Last().Body.ToString(), StringComparison.Ordinal);
        // The next run tries again.
        _host.Model.Default = AnswerAsync;
        await TurnAsync("four", id);
        Assert.Contains("SUMMARY 1", _host.Model.Requests.Last().Body.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task LongRun_IsSummarisedBetweenItsSteps_AndNoCallLosesItsResult()
    {
        await AgentAsync(new { strategy = "summarize", maxTokens = 300, keepMessages = 2 }, tools: new[] { new { name = "calculator" } });
        int step = 0;
        _host.Model.Default = (request, token) => IsSummary(request) ? AnswerAsync(request, token)
            : Task.FromResult(++step <= 6 ? FakeAnswer.Calling("calculator", JsonSerializer.Serialize(new { expression = string.Join('+', Enumerable.Repeat("111", 20 + step)) }), $"call_{step}") : FakeAnswer.Says("done"));
        JsonElement answer = await TurnAsync("go");

        Assert.Equal("completed", answer.Text("status"));
        JsonElement[] compacted = [.. (await EventsAsync(answer.Text("runId"))).Where(e => e.Text("type") == "context.compacted")];
        Assert.NotEmpty(compacted);
        Assert.All(compacted, e => Assert.Equal(0, e.GetProperty("data").GetProperty("throughPosition").GetInt64()));
        foreach (SeenRequest request in _host.Model.Requests.Where(r => !IsSummary(r)))
        {
            // The question is always there, and each result follows its call.
            Assert.Contains(request.Messages, m => m.Text("role") == "user" && m.Text("content").StartsWith("go", StringComparison.Ordinal));
            for (int i = 0; i < request.Messages.Length; i++)
                if (request.Roles[i] == "tool") Assert.Equal(request.Messages[i - 1].GetProperty("tool_calls")[0].Text("id"), request.Messages[i].Text("tool_call_id"));
        }
        Assert.Contains("assistant called calculator: ", _host.Model.Requests.First(IsSummary).LastContent, StringComparison.Ordinal);
        // Of what this run said alone, nothing is kept with the conversation: its messages are.
        Assert.DoesNotContain("SUMMARY", (await _host.Alpha.GetJsonAsync($"/api/v1/conversations/{answer.Text("conversationId")}")).Body.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_KilledAfterTheSummary_DoesNotAskForItAgain()
    {
        Assert.SkipWhen(TestStorage.IsPostgres, "The log is taken back in a file; what is read from it is the same on PostgreSQL.");
        await AgentAsync();
        string id = await ChatAsync("one");
        await ChatAsync("two", id);
        string run = (await TurnAsync("three", id)).Text("runId");
        string whole = _host.Model.Requests.Last().Body.GetProperty("messages").GetRawText();
        string folder = Directory.CreateTempSubdirectory("maap-compact-").FullName;
        await _host.StopAsync();
        foreach (string file in Directory.GetFiles(_host.Folder)) File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        using (var database = new SqliteDatabase("orchestrator", new() { Directory = folder }))
        using (SqliteSession session = database.OpenSession())
        {
            session.Execute($"DELETE FROM run_events WHERE run_id = '{run}' AND seq > (SELECT seq FROM run_events WHERE run_id = '{run}' AND type = 'context.compacted')");
            session.Execute($"DELETE FROM messages WHERE run_id = '{run}' AND role = 'assistant'; UPDATE runs SET status = 'running', ended_at = NULL, reason = NULL WHERE id = '{run}'");
        }
        await using (TestHost again = await TestHost.StartAsync(folder))
        {
            JsonElement ended = await again.Alpha.WaitForRunAsync(run);

            Assert.Equal("completed", ended.Text("status"));
            // The same request as before the crash, and what the summary cost is counted once.
            Assert.Equal(whole, Assert.Single(again.Model.Requests).Body.GetProperty("messages").GetRawText());
            Assert.Equal(0.002m, ended.GetProperty("usage").GetProperty("costUsd").GetDecimal());
        }
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task Person_AsksForIt_AndIsTold()
    {
        await _host.Alpha.CreateAgentAsync();
        string id = await ChatAsync("one"), path = $"/api/v1/conversations/{id}/compact";
        await ChatAsync("two", id);

        Assert.Equal((409, "nothing_to_compact"), await CompactAsync(path, new { keepMessages = 4 }));
        Assert.Equal((400, "validation_failed"), await CompactAsync(path, new { keepMessages = 0 }));
        Assert.Equal((400, "validation_failed"), await CompactAsync(path, new { agent = "nobody" }));
        Assert.Equal(404, (await _host.Beta.PostJsonAsync(path, new { })).Status);
        using (HttpClient reader = _host.Client("alpha-reader")) Assert.Equal(403, (await reader.PostJsonAsync(path, new { })).Status);
        _host.Model.Script(new FakeAnswer { Status = 400, ErrorBody = """{"error":{"message":"no","code":"too_bad"}}""" });
        Assert.Equal((400, "too_bad"), await CompactAsync(path, new { keepMessages = 1 }));
        (int status, JsonElement done, _) = await _host.Alpha.PostJsonAsync(path, new { keepMessages = 1 }, ("Idempotency-Key", "once"));
        (_, JsonElement same, _) = await _host.Alpha.PostJsonAsync(path, new { keepMessages = 1 }, ("Idempotency-Key", "once"));

        Assert.Equal((200, "SUMMARY 1", 3), (status, done.Text("summary", "text"), done.GetProperty("messages").GetInt32()));
        Assert.Equal(done.GetRawText(), same.GetRawText());
        Assert.True(done.GetProperty("tokensAfter").GetInt64() < done.GetProperty("tokensBefore").GetInt64());
        await TurnAsync("three", id);
        Assert.Equal(["system", "system", "assistant", "user"], _host.Model.Requests.Last().Roles);
    }

    [Fact]
    public async Task ActiveRun_IsNotDisturbed()
    {
        await _host.Alpha.CreateAgentAsync(more: new { tools = new[] { new { name = "calculator", approval = new { mode = "always" } } } });
        string id = await ChatAsync("one");
        _host.Model.Script(FakeAnswer.Calling("calculator", """{"expression":"1"}"""));
        await TurnAsync("two", id, expected: 202);

        Assert.Equal((409, "run_active"), await CompactAsync($"/api/v1/conversations/{id}/compact", new { keepMessages = 1 }));
    }

    [Fact]
    public async Task Takeover_WhatThePersonWrote_IsToldOf()
    {
        await _host.Alpha.CreateAgentAsync();
        string id = await ChatAsync("one");
        await _host.Alpha.PostJsonAsync($"/api/v1/conversations/{id}/takeover", new { });
        Assert.Equal(201, (await _host.Alpha.PostJsonAsync($"/api/v1/conversations/{id}/messages", new { content = "I am a person." })).Status);
        await _host.Alpha.PostJsonAsync($"/api/v1/conversations/{id}/handback", new { });
        await ChatAsync("two", id);

        Assert.Equal(200, (await CompactAsync($"/api/v1/conversations/{id}/compact", new { keepMessages = 1 })).Status);
        Assert.Contains("assistant: I am a person.", _host.Model.Requests.Last().LastContent, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"strategy":"forget"}""", "context.strategy")]
    [InlineData("""{"threshold":1}""", "context.threshold")]
    [InlineData("""{"maxTokens":1}""", "context.maxTokens")]
    [InlineData("""{"keepMessages":0}""", "context.keepMessages")]
    [InlineData("""{"summaryTokens":1}""", "context.summaryTokens")]
    [InlineData("""{"model":"a/b","tier":"fast"}""", "context.model")]
    [InlineData("""{"tier":"best"}""", "context.tier")]
    public async Task Settings_ThatAreWrong_AreRefused(string context, string member)
    {
        (int status, JsonElement body, _) = await _host.Alpha.PostJsonAsync("/api/v1/agents", new { slug = "x", name = "x", context = JsonDocument.Parse(context).RootElement });

        Assert.Equal(400, status);
        Assert.True(body.GetProperty("errors").TryGetProperty(member, out _), body.ToString());
    }

    private Task<FakeAnswer> AnswerAsync(SeenRequest request, CancellationToken cancellationToken) =>
        Task.FromResult(IsSummary(request) ? FakeAnswer.Says($"SUMMARY {Interlocked.Increment(ref _summaries)}") : FakeAnswer.Says($"answer {Long}"));

    private static bool IsSummary(SeenRequest request) => request.Messages[0].Text("content").StartsWith("You keep the memory", StringComparison.Ordinal);

    private Task AgentAsync(object? context = null, object? tools = null) =>
        _host.Alpha.CreateAgentAsync(more: new { context = context ?? new { strategy = "summarize", maxTokens = 250, keepMessages = 2 }, tools = tools ?? Array.Empty<object>() });

    private async Task<string> ChatAsync(string message, string? conversation = null) => (await TurnAsync(message, conversation)).Text("conversationId");

    private async Task<JsonElement> TurnAsync(string message, string? conversation = null, int expected = 200)
    {
        (int status, JsonElement body, _) = await _host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = $"{message} {Long}", conversationId = conversation });
        Assert.True(status == expected, $"{status} {body}");
        return body;
    }

    private async Task<(int Status, string Code)> CompactAsync(string path, object body)
    {
        (int status, JsonElement answer, _) = await _host.Alpha.PostJsonAsync(path, body);
        return (status, answer.TryGetProperty("code", out JsonElement code) ? code.GetString()! : "");
    }

    private async Task<JsonElement[]> EventsAsync(string id) => [.. (await _host.Alpha.GetJsonAsync($"/api/v1/runs/{id}/events?limit=200", ("Accept", "application/json"))).Body.GetProperty("data").EnumerateArray()];
}
