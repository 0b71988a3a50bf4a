using System.Text.Json;
using MultiAgent.Orchestrator.Tests.Support;
using TestDatabase = MultiAgent.Testing.TestDatabase;
using TestPostgres = MultiAgent.Testing.TestPostgres;

namespace MultiAgent.Orchestrator.Tests.Runs;

/// <summary>The database dies and comes back while a run is under way.</summary>
[Trait("Database", "once")]
public sealed class DatabaseRestartTests
{
    [Fact]
    public async Task Run_WhoseDatabaseDiesMeanwhile_EndsWhenItIsBack()
    {
        Assert.SkipWhen(TestPostgres.Missing is not null, TestPostgres.Missing ?? "");
        await using TestPostgres server = await TestPostgres.StartAsync();
        TestDatabase database = await server.NewDatabaseAsync();
        var answer = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using TestHost host = await TestHost.StartAsync(settings: new(database.Settings) { ["Runs:LeaseSeconds"] = "120" });
        await host.Alpha.CreateAgentAsync(more: new { tools = new[] { new { name = "calculator" } } });
        host.Model.Script(FakeAnswer.Calling("calculator", """{"expression":"6*7"}"""));
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        host.Model.Default = async (_, cancellationToken) =>
        {
            asked.TrySetResult();
            await answer.Task.WaitAsync(cancellationToken);
            return FakeAnswer.Says("42 it is");
        };
        Task<(int Status, JsonElement Body, HttpResponseMessage)> chat = host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "6 * 7?" });
        await asked.Task.WaitAsync(TestHost.Deadline);

        await server.StopAsync();
        answer.SetResult();
        (int refused, JsonElement problem, HttpResponseMessage response) = await host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "Again" });
        await server.RestartAsync();
        (int status, JsonElement body, _) = await chat;

        Assert.Equal((503, "storage_unavailable"), (refused, problem.Text("code")));
        Assert.NotNull(response.Headers.RetryAfter);
        Assert.Equal((200, "42 it is"), (status, body.Text("message", "content")));
        Assert.Equal(2, host.Model.Requests.Count);
        (_, JsonElement page, _) = await host.Alpha.GetJsonAsync($"/api/v1/runs/{body.Text("runId")}/events?limit=200", ("Accept", "application/json"));
        JsonElement[] events = [.. page.GetProperty("data").EnumerateArray()];
        Assert.Equal(Enumerable.Range(1, events.Length).Select(i => (long)i), events.Select(e => e.GetProperty("seq").GetInt64()));
        Assert.DoesNotContain("run.resumed", events.Select(e => e.Text("type")));
    }
}
