using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Data;
using MultiAgent.Data.Postgres;
using MultiAgent.Data.Sqlite;
using MultiAgent.Data.Tenancy;

namespace MultiAgent.Orchestrator.Tests.Support;

/// <summary>Waits for conditions, with a deadline.</summary>
internal static class Waiting
{
    public static Task UntilAsync(Func<Task<bool>> condition, string what) => UntilAsync(condition, () => what, TestHost.Deadline, pause: 10);

    /// <param name="condition">Asked until it holds.</param>
    /// <param name="what">Tells what was waited for, once it is too late.</param>
    /// <param name="within">Only a failing test waits that long.</param>
    /// <param name="pause">Milliseconds between two looks.</param>
    public static async Task UntilAsync(Func<Task<bool>> condition, Func<string> what, TimeSpan within, int pause = 50)
    {
        using var deadline = new CancellationTokenSource(within);
        while (!await condition())
        {
            if (deadline.IsCancellationRequested) throw new TimeoutException($"Not reached: {what()}");
            await Task.Delay(pause, CancellationToken.None);
        }
    }

    public static Task WaitForRequestsAsync(this FakeDispatcher model, int count) => UntilAsync(() => Task.FromResult(model.Requests.Count >= count), $"{count} requests to the model");

    /// <summary>The newest run, once it has ended.</summary>
    public static async Task<JsonElement> WaitForRunAsync(this HttpClient client, string? id = null)
    {
        JsonElement run = default;
        await UntilAsync(async () =>
        {
            (_, JsonElement body, _) = await client.GetJsonAsync(id is null ? "/api/v1/runs?limit=1" : $"/api/v1/runs/{id}");
            run = id is null ? body.GetProperty("data")[0] : body;
            return run.Text("status") is "completed" or "failed" or "cancelled";
        }, "the end of the run");
        return run;
    }

    public static Task WaitForStatusAsync(this HttpClient client, string id, string status) =>
        UntilAsync(async () => (await client.GetJsonAsync($"/api/v1/runs/{id}")).Body.Text("status") == status, $"run {status}");

    /// <summary>Subjects of the events that left with changes of state, in order, whether the relay has published them yet or not.</summary>
    public static async Task<string[]> OutboxSubjectsAsync(this TestHost host)
    {
        // The outbox first: what moves on in between is found in the log.
        List<(string Id, string Subject)> waiting = host.Services.GetRequiredService<Databases>().UsesPostgres
            ? await host.Services.GetRequiredKeyedService<PostgresDatabase>("orchestrator").ReadAsync(TenantScope.System("test"),
                session => session.Sql("/* all tenants */ SELECT id, subject FROM orchestrator.outbox ORDER BY seq").ListAsync(row => (row.GetString(0), row.GetString(1))))
            : host.Database.Read(Rows("SELECT id, subject FROM outbox ORDER BY seq"));
        using var events = new SqliteDatabase("events", new() { Directory = host.Folder });
        List<(string Id, string Subject)> published = events.Read(Rows("SELECT id, subject FROM events WHERE source <> 'spool' ORDER BY seq"));
        return [.. published.Concat(waiting).DistinctBy(e => e.Id).Select(e => e.Subject)];
    }

    private static Func<SqliteSession, List<(string, string)>> Rows(string sql) => session =>
    {
        SqliteStatement read = session.Prepare(sql);
        var rows = new List<(string, string)>();
        while (read.Step()) rows.Add((read.Text(0), read.Text(1)));
        return rows;
    };
}
