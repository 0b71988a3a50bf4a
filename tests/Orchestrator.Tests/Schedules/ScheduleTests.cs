using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Contracts;
using MultiAgent.Orchestrator.Schedules;
using MultiAgent.Orchestrator.Tests.Support;
using TestDatabase = MultiAgent.Testing.TestDatabase;
using TestPostgres = MultiAgent.Testing.TestPostgres;

namespace MultiAgent.Orchestrator.Tests.Schedules;

public sealed class ScheduleHost : IAsyncLifetime
{
    internal TestHost Host { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        Host = await TestHost.StartAsync();
        await Host.Alpha.CreateAgentAsync();
    }

    public ValueTask DisposeAsync() => Host.DisposeAsync();
}

public sealed class ScheduleTests(ScheduleHost fixture) : IClassFixture<ScheduleHost>
{
    private readonly HttpClient _client = fixture.Host.Alpha;

    [Fact]
    public async Task Schedule_IsMadeChangedPausedAndDeleted()
    {
        JsonElement made = await CreateAsync(new { name = "Mornings", cron = "0 9 * * 1-5", timeZone = "Asia/Ho_Chi_Minh", agent = "helper", message = "Good morning", jitterSeconds = 60, overlap = "queue", catchUp = "one" });
        string path = $"/api/v1/schedules/{made.Text("id")}";

        Assert.Equal(("active", 5, "Asia/Ho_Chi_Minh"), (made.Text("status"), made.GetProperty("upcoming").GetArrayLength(), made.Text("timeZone")));
        Assert.All(made.GetProperty("upcoming").EnumerateArray(), t => Assert.Equal(2, t.GetDateTimeOffset().UtcDateTime.Hour));
        Assert.Equal("paused", (await _client.PostJsonAsync(path + "/pause", "")).Body.Text("status"));
        Assert.Equal("active", (await _client.PostJsonAsync(path + "/resume", "")).Body.Text("status"));
        (int status, JsonElement changed, _) = await _client.SendAsync(HttpMethod.Put, path, new { cron = "0 10 * * *", agent = "helper", message = "Ten" });
        Assert.Equal((200, "0 10 * * *", "UTC"), (status, changed.Text("cron"), changed.Text("timeZone")));
        Assert.Contains((await _client.GetJsonAsync("/api/v1/schedules")).Body.GetProperty("data").EnumerateArray(), s => s.Text("id") == made.Text("id"));
        foreach ((HttpMethod method, string at) in new[] { (HttpMethod.Get, path), (HttpMethod.Delete, path), (HttpMethod.Post, path + "/run"), (HttpMethod.Post, path + "/pause"), (HttpMethod.Get, path + "/firings") })
            Assert.Equal(404, (await fixture.Host.Beta.SendAsync(method, at)).Status);
        Assert.Equal(204, (await _client.SendAsync(HttpMethod.Delete, path)).Status);
        Assert.Equal(404, (await _client.GetJsonAsync(path)).Status);
    }

    [Fact]
    public async Task RunNow_StartsARunThatTellsItsSchedule_OnceUnderAKey()
    {
        JsonElement made = await CreateAsync(new { cron = "0 0 1 1 *", agent = "helper", message = "Now", metadata = new { team = "a" } });
        string path = $"/api/v1/schedules/{made.Text("id")}";

        (int status, JsonElement firing, _) = await _client.PostJsonAsync(path + "/run", "", ("Idempotency-Key", "now-1"));
        await _client.PostJsonAsync(path + "/run", "", ("Idempotency-Key", "now-1"));
        Assert.Equal((202, true), (status, firing.GetProperty("manual").GetBoolean()));
        JsonElement started = await StartedAsync(path);
        JsonElement run = await _client.WaitForRunAsync(started.Text("runId"));

        Assert.Equal(("completed", "schedule", made.Text("id"), "a"), (run.Text("status"), run.Text("surface"), run.Text("metadata", "schedule"), run.Text("metadata", "team")));
        Assert.Single((await _client.GetJsonAsync(path + "/firings")).Body.GetProperty("data").EnumerateArray());
    }

    [Fact]
    public async Task OneTime_FiresAndEnds()
    {
        JsonElement made = await CreateAsync(new { at = DateTimeOffset.UtcNow.AddSeconds(1), agent = "helper", message = "Once" });
        string path = $"/api/v1/schedules/{made.Text("id")}";

        JsonElement started = await StartedAsync(path);

        Assert.Equal("completed", (await _client.WaitForRunAsync(started.Text("runId"))).Text("status"));
        Assert.Equal("ended", (await _client.GetJsonAsync(path)).Body.Text("status"));
    }

    [Fact]
    public async Task Target_ThatIsGone_FailsTheFiring()
    {
        await _client.CreateAgentAsync("leaver");
        JsonElement made = await CreateAsync(new { cron = "0 0 1 1 *", agent = "leaver", message = "Hi" });
        await _client.SendAsync(HttpMethod.Delete, "/api/v1/agents/leaver");
        string path = $"/api/v1/schedules/{made.Text("id")}";

        await _client.PostJsonAsync(path + "/run", "");
        JsonElement firing = default;
        await Waiting.UntilAsync(async () => (firing = (await _client.GetJsonAsync(path + "/firings")).Body.GetProperty("data")[0]).Text("status") == "failed", "the firing fails");

        Assert.Equal("agent_not_found", firing.Text("reason"));
    }

    [Theory]
    [InlineData("""{"agent":"helper","message":"x"}""", "cron")]
    [InlineData("""{"cron":"0 * * * *","at":"2030-01-01T00:00:00Z","agent":"helper","message":"x"}""", "cron")]
    [InlineData("""{"cron":"nope","agent":"helper","message":"x"}""", "cron")]
    [InlineData("""{"cron":"* * * * * ?","agent":"helper","message":"x"}""", "cron")]
    [InlineData("""{"cron":"0 * * * *","timeZone":"Nowhere/Here","agent":"helper","message":"x"}""", "timeZone")]
    [InlineData("""{"at":"2020-01-01T00:00:00Z","agent":"helper","message":"x"}""", "at")]
    [InlineData("""{"cron":"0 * * * *","agent":"nope","message":"x"}""", "agent")]
    [InlineData("""{"cron":"0 * * * *","agent":"helper"}""", "message")]
    [InlineData("""{"cron":"0 * * * *"}""", "agent")]
    [InlineData("""{"cron":"0 * * * *","workflow":"nope"}""", "workflow")]
    [InlineData("""{"cron":"0 * * * *","agent":"helper","message":"x","overlap":"maybe","catchUp":"some","jitterSeconds":-1}""", "overlap")]
    public async Task Schedule_ThatIsWrong_NamesTheMember(string body, string member)
    {
        (int status, JsonElement refused, _) = await _client.PostJsonAsync("/api/v1/schedules", body);

        Assert.Equal(400, status);
        Assert.True(refused.GetProperty("errors").TryGetProperty(member, out _), refused.ToString());
    }

    [Fact]
    public async Task TwoProcesses_OnOneDatabase_StartEachTimeOnce()
    {
        Assert.SkipWhen(TestPostgres.Missing is not null, TestPostgres.Missing ?? "");
        await using TestDatabase database = await (await TestPostgres.SharedAsync()).NewDatabaseAsync();
        await using TestHost first = await TestHost.StartAsync(settings: database.Settings), second = await TestHost.StartAsync(settings: database.Settings);
        await first.Alpha.CreateAgentAsync();
        var store = first.Services.GetRequiredService<IScheduleStore>();
        DateTimeOffset now = DateTimeOffset.UtcNow, due = now.AddSeconds(-5);
        for (int i = 0; i < 20; i++)
            await store.AddAsync(new Schedule { Id = Ids.New("sch", now), TenantId = "ten_alpha", Spec = new ScheduleSpec { At = due, Agent = "helper", Message = $"{i}" }, NextAt = due, DueAt = due, CreatedAt = now, UpdatedAt = now });

        await Waiting.UntilAsync(() => Task.FromResult(first.Model.Requests.Count + second.Model.Requests.Count >= 20), "20 runs");
        await Waiting.UntilAsync(async () => (await first.Alpha.GetJsonAsync("/api/v1/runs?limit=200&status=completed")).Body.GetProperty("data").GetArrayLength() == 20, "all completed");

        string[] asked = [.. first.Model.Requests.Concat(second.Model.Requests).Select(r => r.LastContent)];
        Assert.Equal(Enumerable.Range(0, 20).Select(i => $"{i}").Order(), asked.Order());
    }

    private async Task<JsonElement> StartedAsync(string path)
    {
        JsonElement firing = default;
        await Waiting.UntilAsync(async () => (await _client.GetJsonAsync(path + "/firings")).Body.GetProperty("data") is { } list && list.GetArrayLength() > 0 && (firing = list[0]).Text("status") == "started", "the firing starts");
        return firing;
    }

    private async Task<JsonElement> CreateAsync(object body)
    {
        (int status, JsonElement made, _) = await _client.PostJsonAsync("/api/v1/schedules", body);
        Assert.True(status == 201, made.ToString());
        return made;
    }
}
