using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Analytics;
using MultiAgent.Gateway;
using MultiAgent.Hosting;
using MultiAgent.Hosting.Services;
using MultiAgent.Orchestrator;
using MultiAgent.Tenants;

namespace MultiAgent.Testing;

/// <summary>
/// The whole platform in this process, over real HTTP on a free port, with a fresh data folder and a <see cref="FakeProvider"/>
/// as its provider <c>fake</c>. Started apart, each service is a host of its own, and they meet over HTTP and NATS; everything else is the same.
/// </summary>
public sealed class TestPlatform : IAsyncDisposable
{
    /// <summary>The key of tenant A, the tenant <c>demo</c> of the first start.</summary>
    public const string DemoKey = "maap_the-key-of-the-demo-tenant-in-tests";

    /// <summary>The password of tenant A's owner, <c>owner@demo.local</c>.</summary>
    public const string DemoPassword = "Seven quiet herons 41 by the mill";

    /// <summary>The operator's token, where a test sets it.</summary>
    public const string OperatorToken = "the-token-of-the-operator-in-tests-0123456789";

    /// <summary>A model with prices: 2.5 in, 0.25 cached, 10 out.</summary>
    public const string Priced = "fake/priced";

    /// <summary>A setting of this value becomes the fake provider's base URL.</summary>
    public const string ProviderUrl = "(the fake provider)";

    /// <summary>The secret between services that run apart.</summary>
    public const string ServiceSecret = "the-secret-between-services-in-tests-0123456789";

    private static readonly bool AllApart = Environment.GetEnvironmentVariable("MAAP_TEST_APART") == "true";

    private readonly TempFolder _folder = new();
    private readonly bool _apart;
    private readonly List<WebApplication> _hosts = [];
    private NatsServer? _nats;
    private readonly IReadOnlyDictionary<string, string?> _settings;
    private readonly Action<IServiceCollection>? _services;
    private readonly List<HttpClient> _clients = [];

    private Func<string, NatsServer, string>? _natsUrlOf;

    private TestPlatform(FakeProvider provider, IReadOnlyDictionary<string, string?> settings, Action<IServiceCollection>? services, bool apart) =>
        (Provider, _settings, _services, _apart) = (provider, settings, services, apart);

    public FakeProvider Provider { get; }

    /// <summary>Where the tenant service keeps its data.</summary>
    public string DataFolder => TestStorage.IsPostgres ? _folder.Path : FolderOf("tenant-service");

    /// <summary>The host that clients talk to.</summary>
    public WebApplication App => _hosts.Count > 0 ? _hosts[^1] : throw new InvalidOperationException("The platform is stopped.");

    /// <summary>NATS between the services, when they run apart.</summary>
    public NatsServer Nats => _nats ?? throw new InvalidOperationException("The platform has no NATS.");

    public Uri Url => new(App.Urls.First());

    /// <summary>Tenant A.</summary>
    public TestTenant Demo { get; private set; } = null!;

    /// <summary>A client of tenant A.</summary>
    public HttpClient Client => Demo.Client;

    /// <param name="settings">Configuration on top of the tests' own.</param>
    /// <param name="services">Services that take the place of the platform's.</param>
    /// <param name="apart">Each service in a host of its own.</param>
    /// <param name="natsUrlOf">Where a service that runs apart finds NATS; for a proxy in between.</param>
    public static async Task<TestPlatform> StartAsync(IReadOnlyDictionary<string, string?>? settings = null, Action<IServiceCollection>? services = null, bool apart = false, Func<string, NatsServer, string>? natsUrlOf = null)
    {
        var platform = new TestPlatform(await FakeProvider.StartAsync(), settings ?? new Dictionary<string, string?>(), services, apart || AllApart) { _natsUrlOf = natsUrlOf };
        try
        {
            if (platform._apart) platform._nats = await NatsServer.StartAsync();
            await platform.StartAsync();
            return platform;
        }
        catch
        {
            await platform.DisposeAsync();
            throw;
        }
    }

    /// <summary>Stops in an orderly way and starts again on the same data.</summary>
    public async Task RestartAsync()
    {
        await StopAsync();
        await StartAsync();
    }

    /// <summary>The host that a service is in.</summary>
    public WebApplication HostOf(string service) => _hosts.FirstOrDefault(h => h.Services.GetRequiredService<ServiceTopology>().Local.Contains(service))
        ?? throw new InvalidOperationException($"There is no {service}.");

    /// <summary>A further tenant.</summary>
    public TestTenant AddTenant(string slug, int? requestsPerMinute = null, int? burst = null)
    {
        string id = TenantRows.AddTenant(DataFolder, slug, requestsPerMinute, burst);
        string key = TenantRows.AddKey(DataFolder, id);
        return new TestTenant(id, key, ClientFor(key));
    }

    /// <summary>A client with this key; null sends none.</summary>
    public HttpClient ClientFor(string? key)
    {
        HttpClient client = TestTenant.ClientFor(Url, key);
        _clients.Add(client);
        return client;
    }

    /// <summary>The tenant's usage once so many records are there.</summary>
    public static async Task<JsonElement> UsageAsync(HttpClient client, int requests, string query = "")
    {
        JsonElement usage = default;
        await Eventually.TrueAsync(async () =>
        {
            usage = await client.GetJsonAsync($"/api/v1/usage?{query}");
            return usage.GetProperty("total").GetProperty("requests").GetInt64() >= requests;
        }, $"{requests} usage records");
        return usage;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (HttpClient client in _clients) client.Dispose();
        await StopAsync();
        await Provider.DisposeAsync();
        if (_nats is not null) await _nats.DisposeAsync();
        _folder.Dispose();
    }

    private async Task StartAsync()
    {
        if (!_apart) await RunAsync("platform", _folder.Path, [], new TenantModule(), new OrchestratorModule(), new AnalyticsModule(), new GatewayModule());
        else
        {
            // Each knows where those are that started before it; the front door knows them all.
            var urls = new Dictionary<string, string?>();
            foreach (IServiceModule module in (IServiceModule[])[new TenantModule(), new OrchestratorModule(), new AnalyticsModule(), new GatewayModule()])
                urls[$"Services:{module.Name}:Urls"] = await RunAsync(module.Name, FolderOf(module.Name), urls, module);
        }
        bool first = Demo is null;
        Demo = new TestTenant(TenantRows.IdOf(DataFolder, "demo"), DemoKey, ClientFor(DemoKey));
        if (first) await Client.AddLocalAgentAsync();
    }

    private async Task<string> RunAsync(string name, string folder, Dictionary<string, string?> urls, params IServiceModule[] modules)
    {
        Dictionary<string, string?> storage = await TestStorage.SettingsAsync(_folder.Path);
        WebApplication host = PlatformHost.Build(name, ["--urls", "http://127.0.0.1:0"], modules, builder =>
        {
            builder.Configuration.AddInMemoryCollection(Defaults());
            builder.Configuration.AddInMemoryCollection(urls);
            builder.Configuration.AddInMemoryCollection(storage);
            builder.Configuration.AddInMemoryCollection([new("MAAP_DATA_DIR", folder)]);
            if (_natsUrlOf is { } natsUrlOf) builder.Configuration.AddInMemoryCollection([new("NATS_URL", natsUrlOf(name, Nats))]);
            builder.Configuration.AddInMemoryCollection(_settings.Select(s => new KeyValuePair<string, string?>(s.Key, s.Value == ProviderUrl ? Provider.BaseUrl : s.Value)));
            _services?.Invoke(builder.Services);
        });
        _hosts.Add(host);
        await PlatformHost.StartAsync(host);
        return host.Urls.First();
    }

    private string FolderOf(string service) => _apart ? Path.Combine(_folder.Path, service) : _folder.Path;

    private async Task StopAsync()
    {
        // The front door first: behind it nobody asks any more.
        for (; _hosts.Count > 0; _hosts.RemoveAt(_hosts.Count - 1))
        {
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(10));
            await _hosts[^1].StopAsync(limit.Token);
            await _hosts[^1].DisposeAsync();
        }
    }

    private Dictionary<string, string?> Defaults()
    {
        var settings = new Dictionary<string, string?>
        {
            ["MAAP_BOOTSTRAP_API_KEY"] = DemoKey,
            ["MAAP_BOOTSTRAP_ADMIN_PASSWORD"] = DemoPassword,
            // Of the machine, not of the test.
            ["OPENAI_API_KEY"] = "",
            ["OPENAI_BASE_URL"] = "",
            ["ANTHROPIC_API_KEY"] = "",
            ["ANTHROPIC_BASE_URL"] = "",
            // What fails shows in the answers; a log of scripted faults would only hide it.
            ["Logging:Console:LogLevel:Default"] = "Error",
            ["Models:Resilience:BackoffMilliseconds"] = "1",
        };
        if (_apart)
        {
            settings["Services:Secret"] = ServiceSecret;
            settings["NATS_URL"] = _nats!.Url;
            // Nobody balances the load here.
            settings["Limits:DrainDelaySeconds"] = "0";
        }
        foreach ((string key, string? value) in ModelSettings(Provider.BaseUrl)) settings[key] = value;
        return settings;
    }

    /// <summary>The settings that make a fake provider known as <c>fake</c>, with the model <see cref="Priced"/>.</summary>
    public static Dictionary<string, string?> ModelSettings(string baseUrl)
    {
        static string Number(decimal value) => value.ToString(CultureInfo.InvariantCulture);
        return new()
        {
            ["Models:Providers:fake:Type"] = "openai",
            ["Models:Providers:fake:BaseUrl"] = baseUrl,
            ["Models:Providers:fake:ApiKey"] = "sk-fake",
            [$"Models:Catalogue:{Priced}:InputPrice"] = Number(2.5m),
            [$"Models:Catalogue:{Priced}:CachedInputPrice"] = Number(0.25m),
            [$"Models:Catalogue:{Priced}:OutputPrice"] = Number(10m),
            [$"Models:Catalogue:{Priced}:ContextTokens"] = "128000",
            [$"Models:Catalogue:{Priced}:Capabilities"] = "chat,tools,vision,json_schema",
        };
    }
}
