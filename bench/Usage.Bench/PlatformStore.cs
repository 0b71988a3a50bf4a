using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using MultiAgent.Analytics;
using MultiAgent.Contracts.Events;
using MultiAgent.Data;
using MultiAgent.Data.Postgres;
using MultiAgent.Data.Sqlite;
using MultiAgent.Data.Tenancy;
using MultiAgent.Messaging;

namespace MultiAgent.Bench.Usage;

/// <summary>The analytics service's consumer of usage, as its module registers it.</summary>
internal sealed class PlatformStore : IContestant
{
    private const string Service = "analytics-service";

    private readonly string _folder = Directory.CreateTempSubdirectory("maap-usage-bench").FullName;
    private readonly IHost _host;
    private readonly Databases _databases;
    private readonly IEventConsumer _consumer;

    private PlatformStore(PostgresProcess? postgres)
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?> { ["MAAP_DATA_DIR"] = _folder, ["DATABASE_URL"] = postgres?.AppUrl, ["DATABASE_ADMIN_URL"] = postgres?.OwnerUrl });
        new AnalyticsModule().AddServices(builder);
        _host = builder.Build();
        _databases = _host.Services.GetRequiredService<Databases>();
        _consumer = _host.Services.GetServices<IEventConsumer>().Single(c => c.Name == "analytics-usage");
    }

    public static async Task<PlatformStore> CreateAsync(PostgresProcess? postgres)
    {
        var store = new PlatformStore(postgres);
        await store._databases.PrepareAsync(development: false);
        return store;
    }

    public Task StoreAsync(IReadOnlyList<EventEnvelope> events) => _consumer.HandleAsync(events, CancellationToken.None);

    public async Task<long> CountAsync()
    {
        if (_databases.UsesPostgres)
        {
            return await _host.Services.GetRequiredKeyedService<PostgresDatabase>(Service).ReadAsync(TenantScope.System("benchmark"),
                session => session.Sql("/* all tenants */ SELECT count(*) FROM analytics_service.usage").FirstAsync(row => row.GetInt64(0)));
        }
        return _host.Services.GetRequiredKeyedService<SqliteDatabase>(Service).Read(session =>
        {
            var read = session.Prepare("/* all tenants */ SELECT count(*) FROM usage");
            read.Step();
            var rows = read.Int64(0);
            read.Reset();
            return rows;
        });
    }

    public async ValueTask DisposeAsync()
    {
        await ((IAsyncDisposable)_host).DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }
}
