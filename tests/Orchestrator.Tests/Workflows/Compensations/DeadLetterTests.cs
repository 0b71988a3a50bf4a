using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Orchestrator.Tests.Support;
using MultiAgent.Orchestrator.Tools;
using MultiAgent.Orchestrator.Workflows;

namespace MultiAgent.Orchestrator.Tests.Workflows.Compensations;

/// <summary>Compensations that failed, and what people do about them.</summary>
public sealed class DeadLetterTests : IAsyncLifetime
{
    private const string List = "/api/v1/compensations/dead-letters";

    private const string Shop = """
          - id: items
            type: map
            over: [a, b]
            concurrency: 1
            steps:
              - {id: reserve, type: transform, output: "{{ item }}-reserved", compensate: {id: release, type: tool, tool: ledger, arguments: {what: "release {{ steps.reserve.output }} of {{ run.id }}"}, retry: {attempts: 2, delaySeconds: 0}}}
          - {id: stop, type: end, status: failed, message: no stock}
        """;

    private readonly TestWorkflows _workflows = new();
    private readonly Ledger _ledger = new();
    private TestHost _host = null!;

    public async ValueTask InitializeAsync()
    {
        _host = await TestHost.StartAsync(configure: services => services.AddSingleton<IWorkflowSource>(_workflows).AddSingleton<ITool>(_ledger));
        await _host.Alpha.CreateAgentAsync();
        _workflows.Add("shop", Shop);
    }

    public ValueTask DisposeAsync() => _host.DisposeAsync();

    [Fact]
    public async Task Failure_IsListedWithWhatWasToBeDone()
    {
        _ledger.Broken = what => what.StartsWith("release b", StringComparison.Ordinal);
        string run = await FailAsync();

        JsonElement letter = Assert.Single(await LettersAsync());
        Assert.Equal((run, "shop", "/items/1/reserve", "open", 2, "tool_failed"), (letter.Text("runId"), letter.Text("workflow"), letter.Text("path"), letter.Text("status"), letter.GetProperty("attempts").GetInt32(), letter.Text("error", "code")));
        JsonElement whole = (await _host.Alpha.GetJsonAsync($"{List}/{letter.Text("id")}")).Body;
        Assert.Equal(("/items/1/reserve/release", "tool"), (whole.Text("compensation", "path"), whole.Text("compensation", "kind")));
        Assert.Equal($$$"""{"tool":"ledger","arguments":{"what":"release b-reserved of {{{run}}}"},"output":"b-reserved"}""", whole.GetProperty("compensation").GetProperty("subject").GetRawText());
        Assert.Equal(letter.Text("id"), (await EventsAsync(run)).Single(e => e.Text("type") == "compensation.failed").Text("data", "deadLetterId"));
        Assert.Single(await LettersAsync($"?run={run}&workflow=shop"));
        Assert.Empty(await LettersAsync("?workflow=other"));
        Assert.Empty(await LettersAsync("?status=resolved"));
        Assert.Equal(400, (await _host.Alpha.GetJsonAsync($"{List}?status=lost")).Status);
        Assert.Empty((await _host.Beta.GetJsonAsync($"{List}?status=all")).Body.GetProperty("data").EnumerateArray());
    }

    [Fact]
    public async Task Retry_WithTheSameKey_UndoesThatStepAlone()
    {
        _ledger.Broken = _ => true;
        string run = await FailAsync();
        JsonElement[] letters = await LettersAsync();
        string[] keys = [.. _ledger.Tried.Distinct()];
        _ledger.Broken = _ => false;

        JsonElement letter = letters.Single(l => l.Text("path") == "/items/1/reserve");
        (int status, JsonElement retrying, _) = await _host.Alpha.PostJsonAsync($"{List}/{letter.Text("id")}/retry", new { }, ("Idempotency-Key", "again"));
        (int same, _, _) = await _host.Alpha.PostJsonAsync($"{List}/{letter.Text("id")}/retry", new { }, ("Idempotency-Key", "again"));
        JsonElement retry = await _host.Alpha.WaitForRunAsync(retrying.Text("retryRunId"));

        Assert.Equal((202, 202, "retrying", 1), (status, same, retrying.Text("status"), retrying.GetProperty("retries").GetInt32()));
        Assert.Equal(("completed", "compensation", run), (retry.Text("status"), retry.Text("surface"), retry.Text("parentRunId")));
        // The same thing under the same key as the run that failed, and nothing else.
        Assert.Equal([($"{run}/items/1/reserve/release", $"release b-reserved of {run}")], _ledger.Done);
        Assert.Contains($"{run}/items/1/reserve/release", keys);
        Assert.Equal(("resolved", 3), (await LetterAsync(letter), (await _host.Alpha.GetJsonAsync($"{List}/{letter.Text("id")}")).Body.GetProperty("attempts").GetInt32()));
        Assert.Equal("open", await LetterAsync(letters.Single(l => l.Text("path") == "/items/0/reserve")));
        JsonElement told = (await EventsAsync(run))[^1];
        Assert.Equal(("compensation.retried", retry.Text("id"), "key_alpha"), (told.Text("type"), told.Text("data", "runId"), told.Text("data", "by")));
        Assert.Equal((409, "dead_letter_not_open"), await PostAsync(letter, "retry", new { }));
        Assert.Equal(409, (await _host.Alpha.PostJsonAsync($"/api/v1/runs/{retry.Text("id")}/fork", new { })).Status);
    }

    [Fact]
    public async Task Retry_ThatFailsAgain_OpensTheLetterAgain()
    {
        _ledger.Broken = what => what.StartsWith("release a", StringComparison.Ordinal);
        string run = await FailAsync();
        JsonElement letter = Assert.Single(await LettersAsync());

        JsonElement retry = await _host.Alpha.WaitForRunAsync((await _host.Alpha.PostJsonAsync($"{List}/{letter.Text("id")}/retry", new { })).Body.Text("retryRunId"));

        Assert.Equal(("failed", "compensation_failed", "tool_failed"), (retry.Text("status"), retry.Text("reason"), retry.Text("error", "code")));
        JsonElement again = Assert.Single(await LettersAsync("?status=all"));
        Assert.Equal((letter.Text("id"), "open", 4, 1), (again.Text("id"), again.Text("status"), again.GetProperty("attempts").GetInt32(), again.GetProperty("retries").GetInt32()));
        Assert.Equal(letter.Text("id"), (await EventsAsync(retry.Text("id"))).Single(e => e.Text("type") == "compensation.failed").Text("data", "deadLetterId"));
        Assert.Equal(2, (await _host.OutboxSubjectsAsync()).Count(s => s == "alerts.compensation_failed"));
        Assert.Single(_ledger.Done);
        _ledger.Broken = _ => false;
        await _host.Alpha.WaitForRunAsync((await _host.Alpha.PostJsonAsync($"{List}/{letter.Text("id")}/retry", new { })).Body.Text("retryRunId"));
        Assert.Equal("resolved", await LetterAsync(letter));
        Assert.Contains(($"{run}/items/0/reserve/release", $"release a-reserved of {run}"), _ledger.Done);
    }

    [Fact]
    public async Task Retries_OfManyAtOnce_AreOne()
    {
        _ledger.Broken = what => what.StartsWith("release a", StringComparison.Ordinal);
        await FailAsync();
        JsonElement letter = Assert.Single(await LettersAsync());
        _ledger.Broken = _ => false;

        int[] statuses = [.. (await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => _host.Alpha.PostJsonAsync($"{List}/{letter.Text("id")}/retry", new { })))).Select(r => r.Status)];

        Assert.Equal([202, 409, 409, 409, 409], statuses.Order());
        await Waiting.UntilAsync(async () => await LetterAsync(letter) == "resolved", "it is undone");
        Assert.Equal(2, _ledger.Done.Count);
    }

    [Fact]
    public async Task Retry_ThatAsksAPerson_RestsAndIsTakenUpFromItsLog()
    {
        _workflows.Add("asks", """
              - {id: done, type: transform, output: 1, compensate: {id: undo, type: human, title: Undo?, expiresSeconds: 1}}
              - {id: other, type: transform, output: 1, compensate: {id: undo_other, type: transform, output: 1}}
              - {id: stop, type: end, status: failed}
            """);
        string run = (await _host.Alpha.PostJsonAsync("/api/v1/runs", new { workflow = "asks", inputs = new { } })).Body.Text("id");
        await _host.Alpha.WaitForRunAsync(run);
        JsonElement letter = Assert.Single(await LettersAsync());
        Assert.Equal(("wait_expired", "human", "Undo?"), (letter.Text("error", "code"), letter.Text("compensation", "kind"), (await _host.Alpha.GetJsonAsync($"{List}/{letter.Text("id")}")).Body.GetProperty("compensation").Text("subject", "title")));

        _workflows.Add("asks", """
              - {id: done, type: transform, output: 1, compensate: {id: undo, type: human, title: Undo?, expiresSeconds: 3600}}
              - {id: other, type: transform, output: 1, compensate: {id: undo_other, type: transform, output: 1}}
              - {id: stop, type: end, status: failed}
            """);
        string retry = (await _host.Alpha.PostJsonAsync($"{List}/{letter.Text("id")}/retry", new { })).Body.Text("retryRunId");
        await _host.Alpha.WaitForStatusAsync(retry, "waiting");
        JsonElement approval = Assert.Single((await _host.Alpha.GetJsonAsync($"/api/v1/approvals?run={run}")).Body.GetProperty("data").EnumerateArray());
        Assert.Equal("retrying", await LetterAsync(letter));
        Assert.Equal(200, (await _host.Alpha.PostJsonAsync($"/api/v1/approvals/{approval.Text("id")}", new { decision = "approve" })).Status);
        Assert.Equal("completed", (await _host.Alpha.WaitForRunAsync(retry)).Text("status"));
        Assert.Equal("resolved", await LetterAsync(letter));
    }

    [Fact]
    public async Task Compensation_ThatFailedBeforeTheRunRested_IsToldOnce()
    {
        _workflows.Add("rests", """
              - {id: done, type: transform, output: 1, compensate: {id: undo, type: human, title: Undo?, expiresSeconds: 3600}}
              - {id: other, type: transform, output: 1, compensate: {id: undo_other, type: tool, tool: ledger, arguments: {what: x}, retry: {attempts: 2, delaySeconds: 0}}}
              - {id: stop, type: end, status: failed}
            """);
        _ledger.Broken = _ => true;
        string run = (await _host.Alpha.PostJsonAsync("/api/v1/runs", new { workflow = "rests", inputs = new { } })).Body.Text("id");
        await _host.Alpha.WaitForStatusAsync(run, "waiting");
        JsonElement approval = Assert.Single((await _host.Alpha.GetJsonAsync("/api/v1/approvals")).Body.GetProperty("data").EnumerateArray());
        await _host.Alpha.PostJsonAsync($"/api/v1/approvals/{approval.Text("id")}", new { decision = "approve" });

        Assert.Equal("compensation_failed", (await _host.Alpha.WaitForRunAsync(run)).Text("reason"));
        Assert.Single(await EventsAsync(run), e => e.Text("type") == "compensation.failed");
        Assert.Single(await LettersAsync());
    }

    [Theory]
    [InlineData("resolve", "resolved")]
    [InlineData("discard", "discarded")]
    public async Task Person_ClosesALetter_WithANote(string action, string status)
    {
        _ledger.Broken = what => what.StartsWith("release a", StringComparison.Ordinal);
        string run = await FailAsync();
        JsonElement letter = Assert.Single(await LettersAsync());

        Assert.Equal((400, "validation_failed"), await PostAsync(letter, action, new { }));
        Assert.Equal((400, "validation_failed"), await PostAsync(letter, action, new { note = new string('x', 2001) }));
        Assert.Equal((200, ""), await PostAsync(letter, action, new { note = "by hand" }));
        Assert.Equal((409, "dead_letter_not_open"), await PostAsync(letter, action, new { note = "twice" }));
        JsonElement closed = Assert.Single(await LettersAsync($"?status={status}"));
        Assert.Equal((status, "by hand", "key_alpha"), (closed.Text("status"), closed.Text("note"), closed.Text("by")));
        JsonElement told = (await EventsAsync(run))[^1];
        Assert.Equal(($"compensation.{status}", "by hand", "/items/0/reserve"), (told.Text("type"), told.Text("data", "note"), told.Text("data", "step")));
    }

    [Fact]
    public async Task Letter_OfAnotherTenantOrWithoutTheRole_IsNotTouched()
    {
        _ledger.Broken = what => what.StartsWith("release a", StringComparison.Ordinal);
        await FailAsync();
        JsonElement letter = Assert.Single(await LettersAsync());
        string path = $"{List}/{letter.Text("id")}";
        using HttpClient reader = _host.Client("alpha-reader");

        Assert.Equal((404, 404, 404, 404), ((await _host.Beta.GetJsonAsync(path)).Status, (await _host.Beta.PostJsonAsync($"{path}/retry", new { })).Status,
            (await _host.Beta.PostJsonAsync($"{path}/resolve", new { note = "x" })).Status, (await _host.Beta.PostJsonAsync($"{path}/discard", new { note = "x" })).Status));
        Assert.Equal((200, 403), ((await reader.GetJsonAsync(path)).Status, (await reader.PostJsonAsync($"{path}/retry", new { })).Status));
        Assert.Equal(404, (await _host.Alpha.GetJsonAsync($"{List}/nonsense")).Status);
        Assert.Equal("open", await LetterAsync(letter));
    }

    private async Task<string> FailAsync()
    {
        JsonElement run = (await _host.Alpha.PostJsonAsync("/api/v1/runs?wait=30", new { workflow = "shop", inputs = new { } })).Body;
        Assert.Equal(("failed", "compensation_failed"), (run.Text("status"), run.Text("reason")));
        return run.Text("id");
    }

    private async Task<JsonElement[]> LettersAsync(string query = "") => [.. (await _host.Alpha.GetJsonAsync(List + query)).Body.GetProperty("data").EnumerateArray()];

    private async Task<string> LetterAsync(JsonElement letter) => (await _host.Alpha.GetJsonAsync($"{List}/{letter.Text("id")}")).Body.Text("status");

    private async Task<JsonElement[]> EventsAsync(string id) => [.. (await _host.Alpha.GetJsonAsync($"/api/v1/runs/{id}/events?limit=200", ("Accept", "application/json"))).Body.GetProperty("data").EnumerateArray()];

    private async Task<(int, string)> PostAsync(JsonElement letter, string action, object body)
    {
        (int status, JsonElement answer, _) = await _host.Alpha.PostJsonAsync($"{List}/{letter.Text("id")}/{action}", body);
        return (status, answer.TryGetProperty("code", out JsonElement code) ? code.GetString()! : "");
    }

    /// <summary>A tool that is broken for as long as the test says.</summary>
    private sealed class Ledger : ITool
    {
        private const string Schema = """{"type":"object","properties":{"what":{"type":"string"}},"required":["what"]}""";

        public string Name => "ledger";
        public string Description => "Writes down.";
        public string ParametersSchema => Schema;
        public byte[] Definition { get; } = ToolRegistry.Define("ledger", "Writes down.", Schema);

        public Func<string, bool> Broken { get; set; } = _ => false;

        /// <summary>Keys of all calls.</summary>
        public ConcurrentQueue<string> Tried { get; } = new();

        /// <summary>Calls that had an effect, with their keys.</summary>
        public ConcurrentQueue<(string Key, string What)> Done { get; } = new();

        public ToolEffect EffectOf(JsonElement arguments) => ToolEffect.Idempotent;

        public Task<ToolResult> ExecuteAsync(ToolContext context, JsonElement arguments, CancellationToken cancellationToken)
        {
            string what = arguments.GetProperty("what").GetString()!;
            Tried.Enqueue(context.IdempotencyKey);
            if (Broken(what)) throw new ToolException("The ledger is closed.");
            Done.Enqueue((context.IdempotencyKey, what));
            return Task.FromResult<ToolResult>(what);
        }
    }
}
