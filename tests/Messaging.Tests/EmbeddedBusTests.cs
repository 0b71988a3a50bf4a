using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using MultiAgent.Data;
using MultiAgent.Data.Migrations;
using MultiAgent.Data.Sqlite;
using MultiAgent.Messaging.Embedded;
using MultiAgent.Testing;

namespace MultiAgent.Messaging.Tests;

public sealed class EmbeddedBusTests : EventBusConformance, IAsyncDisposable
{
    private readonly TempFolder _folder = new();
    private IHost? _host;

    protected override async Task<IEventBus> StartAsync(params IEventConsumer[] consumers)
    {
        _host = MessagingHost.Build(_folder.Path, consumers);
        await _host.StartAsync();
        return _host.Services.GetRequiredService<IEventBus>();
    }

    protected override async Task StopAsync()
    {
        if (_host is null) return;
        await _host.StopAsync();
        _host.Dispose();
        _host = null;
    }

    protected override IEventOperations Operations => _host!.Services.GetRequiredService<IEventOperations>();

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _folder.Dispose();
    }
}

/// <summary>A host with nothing but the bus.</summary>
internal static class MessagingHost
{
    public static IHost Build(string folder, params IEventConsumer[] consumers) => Build(folder, [], consumers);

    public static IHost Build(string folder, Dictionary<string, string?> settings, params IEventConsumer[] consumers)
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>(settings)
        {
            ["MAAP_DATA_DIR"] = folder,
            ["Messaging:RetryMilliseconds"] = "1",
            ["Messaging:MaxDeliveries"] = "4",
        });
        builder.AddMessaging();
        // The spool's files; without the embedded log nothing else asks for the folder.
        builder.Services.AddOptions<DataOptions>().Configure(o => o.Directory = folder);
        foreach (IEventConsumer consumer in consumers) builder.Services.AddSingleton(consumer);
        IHost host = builder.Build();
        foreach (SqliteDatabase database in host.Services.GetRequiredService<Databases>().Sqlite) SqliteMigrator.Migrate(database);
        return host;
    }
}
