using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using MultiAgent.Contracts.Events;
using MultiAgent.Data;
using MultiAgent.Data.Migrations;
using MultiAgent.Data.Sqlite;
using MultiAgent.Messaging;

namespace MultiAgent.Bench.Bus;

/// <summary>The platform's bus as its services use it: <see cref="IEventBus"/> and an <see cref="IEventConsumer"/>.</summary>
internal sealed class PlatformBus : IContestant
{
    private readonly string _folder = Directory.CreateTempSubdirectory("maap-bus-bench").FullName;
    private readonly Counter _counter = new();
    private readonly IHost _host;
    private readonly IEventBus _bus;

    private PlatformBus(string? natsUrl)
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["MAAP_DATA_DIR"] = _folder,
            ["NATS_URL"] = natsUrl,
            ["Messaging:Nats:Prefix"] = $"bench-{Guid.NewGuid().ToString("N")[..8]}",
        });
        builder.Services.AddOptions<DataOptions>().Configure(o => o.Directory = _folder);
        builder.Services.AddSingleton<IEventConsumer>(_counter);
        builder.AddMessaging();
        _host = builder.Build();
        foreach (SqliteDatabase database in _host.Services.GetRequiredService<Databases>().Sqlite) SqliteMigrator.Migrate(database);
        _bus = _host.Services.GetRequiredService<IEventBus>();
    }

    public long Consumed => _counter.Count;

    public static async Task<PlatformBus> CreateAsync(string? natsUrl)
    {
        var bus = new PlatformBus(natsUrl);
        await bus._host.StartAsync();
        return bus;
    }

    public Task PublishAsync(IReadOnlyList<(string Id, byte[] Payload)> batch)
    {
        var now = DateTimeOffset.UtcNow;
        return _bus.PublishAsync([.. batch.Select(e => new EventEnvelope { Id = e.Id, Subject = "bench.event", Source = "bench", TenantId = "tnt_bench", Time = now, Data = e.Payload })]);
    }

    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync();
        _host.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private sealed class Counter : IEventConsumer
    {
        private long _count;

        public string Name => "bench";

        public string Filter => "bench.>";

        public long Count => Interlocked.Read(ref _count);

        public Task HandleAsync(IReadOnlyList<EventEnvelope> events, CancellationToken cancellationToken)
        {
            Interlocked.Add(ref _count, events.Count);
            return Task.CompletedTask;
        }
    }
}
