using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using MultiAgent.Testing;
using Xunit;

namespace MultiAgent.Messaging.Tests;

/// <summary>The bus on a real NATS server.</summary>
public sealed class JetStreamBusTests(JetStreamBusTests.Server server) : EventBusConformance, IClassFixture<JetStreamBusTests.Server>, IAsyncDisposable
{
    private readonly TempFolder _folder = new();
    private readonly string _prefix = $"t{Guid.NewGuid():N}";
    private IHost? _host;

    protected override IEventOperations Operations => _host!.Services.GetRequiredService<IEventOperations>();

    protected override async Task<IEventBus> StartAsync(params IEventConsumer[] consumers)
    {
        Assert.SkipWhen(NatsServer.Missing is not null, NatsServer.Missing ?? "");
        _host = MessagingHost.Build(_folder.Path, new()
        {
            ["NATS_URL"] = server.Nats!.Url,
            ["Messaging:Nats:Prefix"] = _prefix[..32],
            ["Messaging:Nats:AckWaitSeconds"] = "2",
        }, consumers);
        await _host.StartAsync();
        return _host.Services.GetRequiredService<IEventBus>();
    }

    protected override async Task StopAsync()
    {
        if (_host is null) return;
        await _host.StopAsync();
        await ((IAsyncDisposable)_host).DisposeAsync();
        _host = null;
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _folder.Dispose();
    }

    public sealed class Server : IAsyncLifetime
    {
        public NatsServer? Nats { get; private set; }

        public async ValueTask InitializeAsync()
        {
            if (NatsServer.Missing is null) Nats = await NatsServer.StartAsync();
        }

        public async ValueTask DisposeAsync()
        {
            if (Nats is not null) await Nats.DisposeAsync();
        }
    }
}
