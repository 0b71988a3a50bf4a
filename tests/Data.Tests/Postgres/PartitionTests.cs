using Microsoft.Extensions.Logging.Abstractions;
using MultiAgent.Contracts;
using MultiAgent.Data.Postgres;
using MultiAgent.Data.Tenancy;

namespace MultiAgent.Data.Tests.Postgres;

public sealed class PartitionTests(PostgresFixture fixture) : IClassFixture<PostgresFixture>
{
    private static readonly DateTimeOffset Now = TimeProvider.System.GetUtcNow();

    [Fact]
    public async Task Bound_OfAnId_IsWhatTheProgramMakes()
    {
        foreach (DateTimeOffset time in (DateTimeOffset[])[DateTimeOffset.UnixEpoch, Now, new(2100, 2, 3, 4, 5, 6, 789, TimeSpan.Zero)])
        {
            string bound = (string)(await fixture.Database.ScalarAsync("SELECT maap.id_bound('run', $1)", PostgresTime.Of(time)))!;
            Assert.StartsWith(bound, Ids.LowerBound("run", time));
            Assert.True(string.CompareOrdinal(bound, Ids.New("run", time)) <= 0 && string.CompareOrdinal(bound, Ids.New("run", time.AddMilliseconds(-1))) > 0 || time == DateTimeOffset.UnixEpoch);
        }
    }

    [Fact]
    public async Task Events_OfARunOfToday_LieInOnePartition_AndAreRefusedTwice()
    {
        PostgresDatabase database = fixture.Database.Open("orchestrator");
        string run = Ids.New("run", Now);
        await AddEventAsync(database, run, Now);
        Assert.Matches("^orchestrator.run_events_[0-9]{8}$", await PartitionOfAsync(run));
        await Assert.ThrowsAsync<Npgsql.PostgresException>(() => AddEventAsync(database, run, Now));
        string plan = (string)(await fixture.Database.ScalarAsync($"SET enable_seqscan = off; EXPLAIN SELECT * FROM orchestrator.run_events WHERE run_id = '{run}'"))!;
        Assert.DoesNotContain("Append", plan, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Maintenance_MovesRowsOutOfTheDefaultPartition_AndDropsTheOldOnes()
    {
        await using TestDatabase database = await (await TestPostgres.SharedAsync()).NewDatabaseAsync();
        PostgresDatabase orchestrator = database.Open("orchestrator");
        var maintenance = new PartitionMaintenance(orchestrator.Server, [], TimeProvider.System, NullLogger<PartitionMaintenance>.Instance);
        var table = new PartitionedTable("orchestrator.run_events", 180);

        string old = Ids.New("run", Now.AddDays(-400)), recent = Ids.New("run", Now.AddDays(-100)), odd = "run_of_another_form";
        await AddEventAsync(orchestrator, old, Now.AddDays(-400));
        await AddEventAsync(orchestrator, recent, Now.AddDays(-100));
        await AddEventAsync(orchestrator, odd, Now);
        foreach (int days in (int[])[400, 100])
            Assert.Equal(1, await database.ScalarAsync("SELECT maap.ensure_partitions('orchestrator.run_events', 0, now() - $1 * interval '1 day')", days));
        foreach (string run in (string[])[old, recent]) Assert.Matches("_[0-9]{8}$", (string)(await database.ScalarAsync("SELECT tableoid::regclass::text FROM orchestrator.run_events WHERE run_id = $1", run))!);

        (int made, int dropped) = await maintenance.MaintainAsync(table, default);
        Assert.Equal((1, 1), (made, dropped));
        Assert.Equal((0, 0), await maintenance.MaintainAsync(table, default));
        Assert.Equal(2L, await database.ScalarAsync("SELECT count(*) FROM orchestrator.run_events WHERE run_id IN ($1, $2, $3)", old, recent, odd));

        // What lies in the default partition grows old as well.
        await AddEventAsync(orchestrator, "run_old_and_odd", Now.AddDays(-181));
        await maintenance.MaintainAsync(table, default);
        Assert.Equal(0L, await database.ScalarAsync("SELECT count(*) FROM orchestrator.run_events WHERE run_id = 'run_old_and_odd'"));
        Assert.Equal(1L, await database.ScalarAsync("SELECT count(*) FROM orchestrator.run_events WHERE run_id = 'run_of_another_form'"));
    }

    [Fact]
    public async Task Events_OfARunThatHasNotEnded_StayHoweverOldTheyAre()
    {
        await using TestDatabase database = await (await TestPostgres.SharedAsync()).NewDatabaseAsync();
        PostgresDatabase orchestrator = database.Open("orchestrator");
        var maintenance = new PartitionMaintenance(orchestrator.Server, [], TimeProvider.System, NullLogger<PartitionMaintenance>.Instance);
        var table = new PartitionedTable("orchestrator.run_events", 180);
        // Two of one week with their partition, one of another week, and two in the default partition.
        string waiting = Ids.New("run", Now.AddDays(-400)), ended = Ids.New("run", Now.AddDays(-400)), alone = Ids.New("run", Now.AddDays(-300));
        foreach (string run in (string[])[waiting, ended, alone, "run_odd_waiting", "run_odd_ended"])
        {
            await AddEventAsync(orchestrator, run, Now.AddDays(-400));
            await AddRunAsync(orchestrator, run, run == waiting || run == "run_odd_waiting" ? "waiting" : "completed");
        }
        foreach (int days in (int[])[400, 300]) await database.ScalarAsync("SELECT maap.ensure_partitions('orchestrator.run_events', 0, now() - $1 * interval '1 day')", days);

        Assert.Equal(1, (await maintenance.MaintainAsync(table, default)).Dropped);
        Assert.Equal(new HashSet<string> { waiting, ended, "run_odd_waiting" }, await LoggedAsync());

        await orchestrator.WriteAsync("t", session => session.Sql("UPDATE orchestrator.runs SET status = 'completed'").ExecuteAsync());
        Assert.Equal(1, (await maintenance.MaintainAsync(table, default)).Dropped);
        Assert.Empty(await LoggedAsync());

        async Task<HashSet<string>> LoggedAsync() => [.. await orchestrator.ReadAsync("t", session => session.Sql("SELECT run_id FROM orchestrator.run_events").ListAsync(r => r.GetString(0)))];
    }

    [Fact]
    public async Task Maintenance_OfManyReplicasAtOnce_MakesEachPartitionOnce()
    {
        await using TestDatabase database = await (await TestPostgres.SharedAsync()).NewDatabaseAsync();
        PostgresDatabase[] replicas = [.. Enumerable.Range(0, 4).Select(_ => database.Open("analytics-service"))];
        (int Made, int)[] done = await Task.WhenAll(replicas.Select(r =>
            new PartitionMaintenance(r.Server, [], TimeProvider.System, NullLogger<PartitionMaintenance>.Instance).MaintainAsync(new PartitionedTable("analytics_service.usage", 400), default)));
        Assert.Equal(1, done.Sum(d => d.Made));
    }

    [Fact]
    public async Task AppsRole_CannotDropWhatIsNotOld()
    {
        await using Npgsql.NpgsqlDataSource app = TestDatabase.Connect(fixture.Database.AppUrl);
        foreach (string call in (string[])["SELECT maap.drop_partitions('orchestrator.run_events', 0)", "SELECT maap.drop_partitions('orchestrator.run_events', -5)", "SELECT maap.drop_partitions('tenant_service.users', 1)", "SELECT maap.ensure_partitions('tenant_service.users', 1)"])
        {
            await using Npgsql.NpgsqlCommand command = app.CreateCommand(call);
            await Assert.ThrowsAsync<Npgsql.PostgresException>(() => command.ExecuteNonQueryAsync());
        }
        // The functions' own rights end with them.
        await using Npgsql.NpgsqlConnection connection = await app.OpenConnectionAsync();
        await using Npgsql.NpgsqlTransaction transaction = await connection.BeginTransactionAsync();
        await using var inTurn = new Npgsql.NpgsqlCommand("SELECT maap.ensure_partitions('analytics_service.usage', 1); SELECT count(*) FROM orchestrator.run_events", connection);
        await using Npgsql.NpgsqlDataReader reader = await inTurn.ExecuteReaderAsync();
        await reader.NextResultAsync();
        await reader.ReadAsync();
        Assert.Equal(0L, reader.GetInt64(0));
    }

    private async Task<string> PartitionOfAsync(string run) => (string)(await fixture.Database.ScalarAsync("SELECT tableoid::regclass::text FROM orchestrator.run_events WHERE run_id = $1", run))!;

    private static Task<int> AddRunAsync(PostgresDatabase database, string run, string status) => database.WriteAsync("t", session => session
        .Sql("INSERT INTO orchestrator.runs (id, tenant_id, agent_id, agent, agent_version, surface, status, request_id, journey_id, created_at) VALUES ($1, 't', 'a', 'a', 1, 'api', $2, 'r', 'j', now())", run, status).ExecuteAsync());

    private static Task<int> AddEventAsync(PostgresDatabase database, string run, DateTimeOffset at) => database.WriteAsync("t", session =>
        session.Sql("INSERT INTO orchestrator.run_events (run_id, seq, tenant_id, type, at, data) VALUES ($1, 1, 't', 'step', $2, $3)", run, at, new byte[] { 1 }).ExecuteAsync());
}
