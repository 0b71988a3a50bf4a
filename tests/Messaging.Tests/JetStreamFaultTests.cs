using System.Collections.Concurrent;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using MultiAgent.Contracts.Events;
using MultiAgent.Hosting.Health;
using MultiAgent.Testing;
using Xunit;

namespace MultiAgent.Messaging.Tests;

/// <summary>What a NATS server, a replica or a network does to the bus.</summary>
public sealed class JetStreamFaultTests : IAsyncDisposable
{
    private readonly List<IAsyncDisposable> _started = [];
    private readonly List<TempFolder> _folders = [];

    public JetStreamFaultTests() => Assert.SkipWhen(NatsServer.Missing is not null, NatsServer.Missing ?? "");

    [Fact]
    public async Task Server_KilledUnderLoad_LosesNothingThatWasPublished()
    {
        NatsServer nats = await ServerAsync();
        var consumer = new Counter("c1");
        IHost host = await HostAsync(new() { ["NATS_URL"] = nats.Url }, consumer);
        IEventBus bus = host.Services.GetRequiredService<IEventBus>();
        var acknowledged = new ConcurrentQueue<string>();
        var failures = new ConcurrentQueue<string>();
        Task[] publishers = [.. Enumerable.Range(0, 4).Select(p => Task.Run(() => PublishAsync(bus, p, acknowledged, failures)))];

        await Eventually.TrueAsync(() => acknowledged.Count > 200, "events are under way");
        await nats.KillAsync();
        Assert.Equal("degraded", await StateAsync(host));
        await Eventually.TrueAsync(() => !failures.IsEmpty, "the publishers notice");
        await nats.RunAsync();
        await Task.WhenAll(publishers);
        try { await Eventually.TrueAsync(() => acknowledged.All(consumer.Times.ContainsKey), "everything that was acknowledged is delivered"); }
        catch (TimeoutException) { Assert.Fail($"missing {string.Join(' ', acknowledged.Where(a => !consumer.Times.ContainsKey(a)))} of {acknowledged.Count}, failed {failures.Count}"); }

        Assert.True(acknowledged.Count >= 4 * 200);
        await Eventually.TrueAsync(async () => await StateAsync(host) == "ok", "healthy again");
    }

    [Fact]
    public async Task Connection_ThatIsOpenAndSilent_IsMadeAnew()
    {
        NatsServer nats = await ServerAsync();
        int port = FreePort.Next();
        await using var proxy = new FaultProxy(port, new Uri(nats.Url).Port);
        var consumer = new Counter("c1");
        IHost behind = await HostAsync(new() { ["NATS_URL"] = new UriBuilder(nats.Url) { Port = port }.Uri.ToString() }, consumer);
        IHost other = await HostAsync(new() { ["NATS_URL"] = nats.Url });
        IEventBus bus = other.Services.GetRequiredService<IEventBus>();
        await bus.PublishAsync([Event("before")]);
        await Eventually.TrueAsync(() => consumer.Times.ContainsKey("before"), "the first event");

        proxy.Freeze();
        await bus.PublishAsync([Event("after")]);

        // Far sooner than the two minutes after which the client itself would ask.
        await Eventually.TrueAsync(() => consumer.Times.ContainsKey("after"), "an event on a new connection");
        await behind.Services.GetRequiredService<IEventBus>().PublishAsync([Event("from behind")]);
        await Eventually.TrueAsync(() => consumer.Times.ContainsKey("from behind"), "an event that was sent on it");
    }

    [Fact]
    public async Task Replicas_OfOneConsumer_ShareTheEvents()
    {
        NatsServer nats = await ServerAsync();
        Counter one = new("c1"), two = new("c1");
        IHost first = await HostAsync(new() { ["NATS_URL"] = nats.Url }, one);
        await HostAsync(new() { ["NATS_URL"] = nats.Url }, two);
        IEventBus bus = first.Services.GetRequiredService<IEventBus>();

        for (int i = 0; i < 40; i++) await bus.PublishAsync([.. Enumerable.Range(0, 50).Select(n => Event($"e{i}-{n}"))]);
        await Eventually.TrueAsync(() => one.Times.Count + two.Times.Count == 2000, "2000 events");

        Assert.Empty(one.Times.Keys.Intersect(two.Times.Keys));
        Assert.All([one, two], c => Assert.NotEmpty(c.Times));
    }

    [Fact]
    public async Task Work_LongerThanTheWaitForAcknowledgement_IsNotGivenToAnother()
    {
        NatsServer nats = await ServerAsync();
        Dictionary<string, string?> settings = new() { ["NATS_URL"] = nats.Url, ["Messaging:Nats:AckWaitSeconds"] = "2" };
        Counter slow = new("c1") { Work = TimeSpan.FromSeconds(5) }, other = new("c1") { Work = TimeSpan.FromSeconds(5) };
        IHost host = await HostAsync(settings, slow);
        await host.Services.GetRequiredService<IEventBus>().PublishAsync([Event("long")]);
        await Eventually.TrueAsync(() => slow.Begun == 1, "the work has begun");
        await HostAsync(settings, other);

        await Eventually.TrueAsync(() => slow.Times.ContainsKey("long"), "the work is done");

        Assert.Equal((1, 0), (slow.Begun, other.Begun));
    }

    [Fact]
    public async Task Stop_WhileEventsAreHandled_FinishesThem()
    {
        NatsServer nats = await ServerAsync();
        Counter leaving = new("c1") { Work = TimeSpan.FromMilliseconds(300) }, staying = new("c1");
        IHost host = await HostAsync(new() { ["NATS_URL"] = nats.Url }, leaving);
        await host.Services.GetRequiredService<IEventBus>().PublishAsync([.. Enumerable.Range(0, 20).Select(n => Event($"e{n}"))]);
        await Eventually.TrueAsync(() => leaving.Begun > 0, "the work has begun");

        await host.StopAsync();
        await HostAsync(new() { ["NATS_URL"] = nats.Url }, staying);
        await Eventually.TrueAsync(() => leaving.Times.Keys.Union(staying.Times.Keys).Count() == 20, "all events");

        Assert.Empty(leaving.Times.Keys.Intersect(staying.Times.Keys));
    }

    [Fact]
    public async Task Cluster_ThatLosesAServer_GoesOn()
    {
        IReadOnlyList<NatsServer> cluster = await NatsServer.StartClusterAsync();
        _started.AddRange(cluster);
        var consumer = new Counter("c1");
        IHost host = await HostAsync(new() { ["NATS_URL"] = string.Join(',', cluster.Select(c => c.Url)), ["Messaging:Nats:Replicas"] = "3" }, consumer);
        IEventBus bus = host.Services.GetRequiredService<IEventBus>();
        var acknowledged = new ConcurrentQueue<string>();
        Task[] publishers = [.. Enumerable.Range(0, 4).Select(p => Task.Run(() => PublishAsync(bus, p, acknowledged, [], untilFailure: false)))];

        await Eventually.TrueAsync(() => acknowledged.Count > 100, "events are under way");
        await cluster[0].KillAsync();
        await Task.WhenAll(publishers);
        await Eventually.TrueAsync(() => acknowledged.All(consumer.Times.ContainsKey), "everything that was acknowledged is delivered");

        Assert.Equal(4 * 200, acknowledged.Count);
    }

    [Fact]
    public async Task Login_ByNKey_AndByAWrongPassword()
    {
        NatsServer nats = await ServerAsync();
        string folder = Folder(), key = Path.Combine(folder, "user.nk");
        await File.WriteAllTextAsync(key, $"{NatsServer.UserSeed}\n{NatsServer.UserKey}\n");
        var consumer = new Counter("c1");
        IHost host = await HostAsync(new() { ["NATS_URL"] = nats.UrlWithoutUser, ["Messaging:Nats:NKeyFile"] = key }, consumer);
        IHost stranger = await HostAsync(new() { ["NATS_URL"] = nats.UrlWithoutUser, ["Messaging:Nats:User"] = "app", ["Messaging:Nats:Password"] = "wrong" });

        await host.Services.GetRequiredService<IEventBus>().PublishAsync([Event("1")]);
        await Eventually.TrueAsync(() => consumer.Times.ContainsKey("1"), "the event");

        await Assert.ThrowsAnyAsync<Exception>(() => stranger.Services.GetRequiredService<IEventBus>().PublishAsync([Event("2")]));
        Assert.Equal("degraded", await StateAsync(stranger));
    }

    [Fact]
    public async Task Login_ByACredentialsFile()
    {
        string credentials = Path.Combine(Folder(), "user.creds");
        NatsServer nats = await NatsServer.StartWithOperatorAsync(credentials);
        _started.Add(nats);
        var consumer = new Counter("c1");
        IHost host = await HostAsync(new() { ["NATS_URL"] = nats.UrlWithoutUser, ["Messaging:Nats:CredentialsFile"] = credentials }, consumer);
        IHost stranger = await HostAsync(new() { ["NATS_URL"] = nats.UrlWithoutUser });

        await host.Services.GetRequiredService<IEventBus>().PublishAsync([Event("1")]);
        await Eventually.TrueAsync(() => consumer.Times.ContainsKey("1"), "the event");

        await Assert.ThrowsAnyAsync<Exception>(() => stranger.Services.GetRequiredService<IEventBus>().PublishAsync([Event("2")]));
    }

    [Fact]
    public async Task Tls_WithCertificatesOfTheOperators_AndNoneOfStrangers()
    {
        using TestCertificates certificates = new(), strangers = new();
        NatsServer nats = await NatsServer.StartTlsAsync(certificates);
        _started.Add(nats);
        var consumer = new Counter("c1");
        Dictionary<string, string?> Settings(TestCertificates authority) => new()
        {
            ["NATS_URL"] = nats.TlsUrl, ["Messaging:Nats:CaFile"] = authority.CaFile, ["Messaging:Nats:CertificateFile"] = certificates.CertificateFile, ["Messaging:Nats:KeyFile"] = certificates.KeyFile,
        };
        IHost host = await HostAsync(Settings(certificates), consumer);
        IHost suspicious = await HostAsync(Settings(strangers));

        await host.Services.GetRequiredService<IEventBus>().PublishAsync([Event("1")]);
        await Eventually.TrueAsync(() => consumer.Times.ContainsKey("1"), "the event");

        await Assert.ThrowsAnyAsync<Exception>(() => suspicious.Services.GetRequiredService<IEventBus>().PublishAsync([Event("2")]));
    }

    [Theory]
    [InlineData("NATS_URL", "localhost:4222", "nats://")]
    [InlineData("NATS_URL", "http://localhost", "nats://")]
    [InlineData("Messaging:Nats:CaFile", "/nowhere.pem", "CaFile")]
    [InlineData("Messaging:Nats:NKeyFile", "/nowhere.nk", "NKeyFile")]
    [InlineData("Messaging:Nats:Replicas", "2", "Replicas")]
    [InlineData("Messaging:Nats:Prefix", "a.b", "Prefix")]
    [InlineData("Messaging:Nats:AckWaitSeconds", "1", "AckWaitSeconds")]
    [InlineData("Messaging:Nats:CertificateFile", "/nowhere.pem", "CertificateFile")]
    public async Task Settings_ThatCannotBe_StopTheStart(string key, string value, string named)
    {
        Dictionary<string, string?> settings = new() { ["NATS_URL"] = "nats://127.0.0.1:1", [key] = value };
        using IHost host = MessagingHost.Build(Folder(), settings);

        OptionsValidationException e = await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync());

        Assert.Contains(named, e.Message, StringComparison.Ordinal);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (IAsyncDisposable one in Enumerable.Reverse(_started)) await one.DisposeAsync();
        foreach (TempFolder folder in _folders) folder.Dispose();
    }

    /// <summary>Publishes events one by one, each again until it is acknowledged: 200, and more until somebody failed.</summary>
    private static async Task PublishAsync(IEventBus bus, int publisher, ConcurrentQueue<string> acknowledged, ConcurrentQueue<string> failures, bool untilFailure = true)
    {
        for (int i = 0; i < 200 || (untilFailure && failures.IsEmpty); i++)
        {
            string id = $"p{publisher}-{i}";
            for (int failed = 0; ; failed++)
            {
                try
                {
                    await bus.PublishAsync([Event(id)]);
                    break;
                }
                catch (Exception)
                {
                    failures.Enqueue(id);
                    Assert.True(failed < 5000, "The bus does not come back.");
                    await Task.Delay(10);
                }
            }
            acknowledged.Enqueue(id);
        }
    }

    // As the health endpoint asks: with two seconds of patience.
    private static async Task<string> StateAsync(IHost host)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(2));
        try
        {
            return (await host.Services.GetServices<IHealthProbe>().Single(p => p.Name == "event-bus:nats").CheckAsync(limit.Token).AsTask().WaitAsync(limit.Token)).Status.ToString().ToLowerInvariant();
        }
        catch (OperationCanceledException)
        {
            return "no answer";
        }
    }

    private static EventEnvelope Event(string id) => new()
    {
        Id = id,
        Subject = "a.x",
        Source = "test",
        Time = DateTimeOffset.FromUnixTimeSeconds(1_800_000_000),
        Data = Encoding.UTF8.GetBytes("{}"),
    };

    private string Folder()
    {
        var folder = new TempFolder();
        _folders.Add(folder);
        return folder.Path;
    }

    private async Task<NatsServer> ServerAsync()
    {
        NatsServer server = await NatsServer.StartAsync();
        _started.Add(server);
        return server;
    }

    private async Task<IHost> HostAsync(Dictionary<string, string?> settings, params IEventConsumer[] consumers)
    {
        IHost host = MessagingHost.Build(Folder(), settings, consumers);
        _started.Add((IAsyncDisposable)host);
        await host.StartAsync();
        return host;
    }

    private sealed class Counter(string name) : IEventConsumer
    {
        private int _begun;

        public string Name => name;

        public string Filter => "a.>";

        public TimeSpan Work { get; init; }

        public int Begun => Volatile.Read(ref _begun);

        public ConcurrentDictionary<string, int> Times { get; } = new();

        public async Task HandleAsync(IReadOnlyList<EventEnvelope> events, CancellationToken cancellationToken)
        {
            Interlocked.Increment(ref _begun);
            if (Work > TimeSpan.Zero) await Task.Delay(Work, cancellationToken);
            foreach (EventEnvelope e in events) Times.AddOrUpdate(e.Id, 1, (_, n) => n + 1);
        }
    }
}
