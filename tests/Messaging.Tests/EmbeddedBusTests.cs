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

    protected override Task<IReadOnlyList<string>> DeadLettersAsync(string consumer)
    {
        SqliteDatabase database = _host!.Services.GetRequiredKeyedService<SqliteDatabase>(EmbeddedBus.Service);
        return Task.FromResult(database.Read<IReadOnlyList<string>>(session =>
        {
            var ids = new List<string>();
            SqliteStatement rows = session.Prepare("SELECT event_id FROM dead_letters WHERE consumer = ?1 ORDER BY seq").Bind(1, consumer);
            while (rows.Step()) ids.Add(rows.Text(0));
            return ids;
        }));
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _folder.Dispose();
    }
}

/// <summary>A host with nothing but the bus.</summary>
internal static class MessagingHost
{
    public static IHost Build(string folder, params IEventConsumer[] consumers)
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(null);
        ((Microsoft.Extensions.Configuration.IConfiguration)builder.Configuration)["MAAP_DATA_DIR"] = folder;
        ((Microsoft.Extensions.Configuration.IConfiguration)builder.Configuration)["Messaging:RetryMilliseconds"] = "1";
        ((Microsoft.Extensions.Configuration.IConfiguration)builder.Configuration)["Messaging:MaxDeliveries"] = "4";
        builder.Services.AddMessaging();
        foreach (IEventConsumer consumer in consumers) builder.Services.AddSingleton(consumer);
        IHost host = builder.Build();
        foreach (RegisteredDatabase registered in host.Services.GetServices<RegisteredDatabase>()) SqliteMigrator.Migrate(registered.Database);
        return host;
    }
}
