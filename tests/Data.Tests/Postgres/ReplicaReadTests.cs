using MultiAgent.Data.Postgres;
using MultiAgent.Data.Tenancy;

namespace MultiAgent.Data.Tests.Postgres;

public sealed class ReplicaReadTests(PostgresFixture fixture) : IClassFixture<PostgresFixture>
{
    private static readonly TenantScope Scope = TenantScope.Of("t");

    [Fact]
    public async Task Reads_OfTheReplica_GoToItsAddress_AndOthersDoNot()
    {
        // Another database stands for the replica: which one answered shows by its name.
        await using TestDatabase other = await (await TestPostgres.SharedAsync()).NewDatabaseAsync();
        PostgresDatabase database = fixture.Database.Open("analytics-service", o => o.DatabaseReplicaUrl = other.AppUrl);
        Assert.Equal(other.Name, await database.ReadReplicaAsync(Scope, NameAsync));
        Assert.Equal(fixture.Database.Name, await database.ReadAsync(Scope, NameAsync));
        Assert.Equal(fixture.Database.Name, await database.WriteAsync(Scope, NameAsync));
    }

    [Fact]
    public async Task Replica_ThatIsAway_IsStoodInForByThePrimary()
    {
        string away = fixture.Database.Server.Url(fixture.Database.Name, "maap_app", "x", port: 1);
        PostgresDatabase database = fixture.Database.Open("analytics-service", o => o.DatabaseReplicaUrl = away);
        Assert.Equal(fixture.Database.Name, await database.ReadReplicaAsync(Scope, NameAsync));
    }

    private static async Task<string?> NameAsync(PostgresSession session) => await session.Sql("SELECT current_database()::text").FirstAsync(r => r.GetString(0));
}
