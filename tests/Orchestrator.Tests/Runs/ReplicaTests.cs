using System.Text.Json;
using MultiAgent.Orchestrator.Tests.Support;
using TestDatabase = MultiAgent.Testing.TestDatabase;
using TestPostgres = MultiAgent.Testing.TestPostgres;

namespace MultiAgent.Orchestrator.Tests.Runs;

/// <summary>Two orchestrators on one PostgreSQL: a run is worked on by one, is followed and cancelled through any, and outlives its process.</summary>
[Trait("Database", "once")]
public sealed class ReplicaTests : IAsyncLifetime
{
    private readonly TaskCompletionSource _release = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Plug _plug = new();
    private TestDatabase? _database;
    private TestHost _first = null!;
    private TestHost _second = null!;

    public async ValueTask InitializeAsync()
    {
        Assert.SkipWhen(TestPostgres.Missing is not null, TestPostgres.Missing ?? "");
        _database = await (await TestPostgres.SharedAsync()).NewDatabaseAsync();
    }

    public async ValueTask DisposeAsync()
    {
        _release.TrySetResult();
        _plug.PutIn();
        if (_first is not null) await _first.DisposeAsync();
        if (_second is not null) await _second.DisposeAsync();
        if (_database is not null) await _database.DisposeAsync();
    }

    [Fact]
    public async Task Process_DiesDuringARun_TheOtherEndsItAndTheDeadOneWritesNothing()
    {
        await StartAsync(leaseSeconds: 3);
        (string run, Task<SseReader> stream) = await BeginAsync();
        _plug.Pull();

        JsonElement ended = await _second.Alpha.WaitForRunAsync(run);
        string[] events = await EventsAsync(run);
        _plug.PutIn();
        _release.SetResult();
        // It comes back to life with an answer of its own, and is told that the run is not its any more.
        await using SseReader reader = await stream;
        List<SseEvent> seen = await reader.AllAsync();

        Assert.Equal("completed", ended.Text("status"));
        Assert.Equal(["run.accepted", "run.started", "step.started", "model.called", "run.resumed", "model.completed", "message.completed", "run.completed"], events);
        Assert.Equal(events, await EventsAsync(run));
        Assert.Equal("from the second", (await MessagesAsync(ended.Text("conversationId")))[^1]);
        Assert.Single(seen, e => e.Name == "run.completed");
        Assert.Equal("from the second", seen.Single(e => e.Name == "message.completed").Json.Text("text"));
        Assert.Single(_second.Model.Requests);
    }

    [Fact]
    public async Task Process_StopsInOrder_TheOtherGoesOnAtOnce()
    {
        await StartAsync(leaseSeconds: 600);
        (string run, Task<SseReader> stream) = await BeginAsync();

        Task stopping = _first.StopAsync();

        Assert.Equal("completed", (await _second.Alpha.WaitForRunAsync(run)).Text("status"));
        await stopping;
        (await stream).Response.Dispose();
    }

    [Fact]
    public async Task LongStep_OutlivesTheLease_WhichIsRenewedMeanwhile()
    {
        await StartAsync(leaseSeconds: 3);
        (string run, Task<SseReader> stream) = await BeginAsync();
        // Two leases and more, of which nothing but the keeper's clock tells.
        DateTime[] ends = [await LeaseEndAsync(run), default];
        await Waiting.UntilAsync(async () => (ends[1] = await LeaseEndAsync(run)) > ends[0].AddSeconds(6), "the lease is renewed for two leases");
        Assert.Empty(_second.Model.Requests);
        _release.SetResult();

        Assert.Equal("completed", (await _second.Alpha.WaitForRunAsync(run)).Text("status"));
        Assert.DoesNotContain("run.resumed", await EventsAsync(run));
        (await stream).Response.Dispose();
    }

    [Fact]
    public async Task Run_CancelledThroughAnotherReplica_IsCancelledWhereItIs()
    {
        await StartAsync();
        (string run, Task<SseReader> stream) = await BeginAsync();

        (int status, _, _) = await _second.Alpha.PostJsonAsync($"/api/v1/runs/{run}/cancel", new { });
        JsonElement ended = await _second.Alpha.WaitForRunAsync(run);

        Assert.Equal(202, status);
        Assert.Equal(("cancelled", "requested"), (ended.Text("status"), ended.Text("reason")));
        Assert.True(await _first.Model.ClosedEarly.WaitAsync(TestHost.Deadline));
        Assert.Equal(409, (await _second.Alpha.PostJsonAsync($"/api/v1/runs/{run}/cancel", new { })).Status);
        (await stream).Response.Dispose();
    }

    [Fact]
    public async Task Run_FollowedThroughAnotherReplica_StreamsToItsEnd()
    {
        await StartAsync();
        (string run, Task<SseReader> stream) = await BeginAsync();
        await using SseReader there = await SseReader.OpenAsync(_second.Alpha, HttpMethod.Get, $"/api/v1/runs/{run}/events", null, ("Accept", "text/event-stream"));
        await there.UntilAsync("model.called");
        _release.SetResult();

        List<SseEvent> rest = await there.AllAsync();

        Assert.Equal(["model.completed", "message.completed", "run.completed"], rest.Where(e => e.Name != ":").Select(e => e.Name));
        await using SseReader again = await SseReader.OpenAsync(_second.Alpha, HttpMethod.Get, $"/api/v1/runs/{run}/events", null, ("Last-Event-ID", rest[^1].Id!));
        Assert.Empty(await again.AllAsync());
        (await stream).Response.Dispose();
    }

    [Fact]
    public async Task Message_QueuedThroughAnotherReplica_RunsThereWhenItsTurnComes()
    {
        await StartAsync();
        (_, JsonElement conversation, _) = await _first.Alpha.PostJsonAsync("/api/v1/conversations", new { agent = "helper" });
        string id = conversation.Text("id");
        Task<(int, JsonElement Body, HttpResponseMessage)> one = _first.Alpha.PostJsonAsync("/api/v1/chat", new { message = "One", conversationId = id });
        await _first.Model.WaitForRequestsAsync(1);
        Task<(int, JsonElement Body, HttpResponseMessage)> two = _second.Alpha.PostJsonAsync("/api/v1/chat", new { message = "Two", conversationId = id });
        await Waiting.UntilAsync(async () => (await _first.Alpha.GetJsonAsync("/api/v1/runs?status=queued")).Body.GetProperty("data").GetArrayLength() == 1, "the second message waits");
        _release.SetResult();

        Assert.Equal("from the first", (await one).Body.Text("message", "content"));
        Assert.Equal("from the second", (await two).Body.Text("message", "content"));
        Assert.Equal(["One", "from the first", "Two", "from the second"], await MessagesAsync(id));
        Assert.Equal(["user", "assistant", "user"], Assert.Single(_second.Model.Requests).Roles[1..]);
    }

    [Fact]
    public async Task Key_SentFiftyTimesOverBoth_IsOneRunAndOneAnswer()
    {
        await StartAsync();
        object body = new { agent = "helper", message = "Hi" };
        Task<(int Status, JsonElement Body, HttpResponseMessage)>[] all = [.. Enumerable.Range(0, 50).Select(i => (i % 2 == 0 ? _first : _second).Alpha.PostJsonAsync("/api/v1/chat", body, ("Idempotency-Key", "k")))];
        _release.SetResult();
        var answers = await Task.WhenAll(all);

        Assert.All(answers, a => Assert.Equal(200, a.Status));
        Assert.Single(answers.Select(a => a.Body.Text("runId")).Distinct());
        Assert.Single(answers.Select(a => a.Body.Text("message", "content")).Distinct());
        Assert.Equal(1, _first.Model.Requests.Count + _second.Model.Requests.Count);
        (int other, JsonElement problem, _) = await _second.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "Else" }, ("Idempotency-Key", "k"));
        Assert.Equal((409, "idempotency_key_reused"), (other, problem.Text("code")));
    }

    [Fact]
    public async Task Agent_ChangedThroughOneReplica_IsChangedInTheOther()
    {
        await StartAsync();
        _release.SetResult();
        await _second.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "Hi" });
        await _first.Alpha.SendAsync(HttpMethod.Put, "/api/v1/agents/helper", new { name = "helper", instructions = "Changed.", model = "fake/model" });

        await Waiting.UntilAsync(async () =>
        {
            await _second.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "Hi" });
            return _second.Model.Requests.Last().Messages[0].Text("content") == "Changed.";
        }, "the change is known");
    }

    private async Task StartAsync(int leaseSeconds = 30)
    {
        var settings = new Dictionary<string, string?>(_database!.Settings) { ["Runs:LeaseSeconds"] = leaseSeconds.ToString(System.Globalization.CultureInfo.InvariantCulture) };
        _first = await TestHost.StartAsync(settings: settings, configure: _plug.AddTo);
        _second = await TestHost.StartAsync(settings: settings);
        _first.Model.Default = async (_, cancellationToken) =>
        {
            await _release.Task.WaitAsync(cancellationToken);
            return FakeAnswer.Says("from the first");
        };
        _second.Model.Default = (_, _) => Task.FromResult(FakeAnswer.Says("from the second"));
        await _first.Alpha.CreateAgentAsync(more: new { onBusy = "queue" });
    }

    /// <summary>A run on the first host, whose model is silent.</summary>
    private async Task<(string Run, Task<SseReader> Stream)> BeginAsync()
    {
        Task<SseReader> stream = SseReader.OpenAsync(_first.Alpha, HttpMethod.Post, "/api/v1/chat", new { agent = "helper", message = "Hi" }, ("Accept", "text/event-stream"));
        await _first.Model.WaitForRequestsAsync(1);
        (_, JsonElement runs, _) = await _second.Alpha.GetJsonAsync("/api/v1/runs?limit=1");
        return (runs.GetProperty("data")[0].Text("id"), stream);
    }

    private async Task<DateTime> LeaseEndAsync(string run) => (DateTime)(await _database!.ScalarAsync("SELECT lease_until FROM orchestrator.runs WHERE id = $1", run))!;

    private async Task<string[]> EventsAsync(string run)
    {
        (_, JsonElement page, _) = await _second.Alpha.GetJsonAsync($"/api/v1/runs/{run}/events?limit=200", ("Accept", "application/json"));
        JsonElement[] events = [.. page.GetProperty("data").EnumerateArray()];
        Assert.Equal(Enumerable.Range(1, events.Length).Select(i => (long)i), events.Select(e => e.GetProperty("seq").GetInt64()));
        return [.. events.Select(e => e.Text("type"))];
    }

    private async Task<string[]> MessagesAsync(string conversation) =>
        [.. (await _second.Alpha.GetJsonAsync($"/api/v1/conversations/{conversation}/messages")).Body.GetProperty("data").EnumerateArray().Select(m => m.Text("content"))];
}
