using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Analytics;
using MultiAgent.Gateway;
using MultiAgent.Hosting;
using MultiAgent.Orchestrator;
using MultiAgent.Tenants;

namespace MultiAgent.Testing;

/// <summary>
/// The whole platform in this process, over real HTTP on a free port, with a fresh data folder and a <see cref="FakeProvider"/>
/// as its provider <c>fake</c>.
/// </summary>
public sealed class TestPlatform : IAsyncDisposable
{
    /// <summary>The key of tenant A, the tenant <c>demo</c> of the first start.</summary>
    public const string DemoKey = "maap_the-key-of-the-demo-tenant-in-tests";

    /// <summary>The password of tenant A's owner, <c>owner@demo.local</c>.</summary>
    public const string DemoPassword = "Seven quiet herons 41 by the mill";

    /// <summary>A model with prices: 2.5 in, 0.25 cached, 10 out.</summary>
    public const string Priced = "fake/priced";

    /// <summary>A setting of this value becomes the fake provider's base URL.</summary>
    public const string ProviderUrl = "(the fake provider)";

    private readonly TempFolder _folder = new();
    private readonly IReadOnlyDictionary<string, string?> _settings;
    private readonly Action<IServiceCollection>? _services;
    private readonly List<HttpClient> _clients = [];
    private WebApplication? _app;

    private TestPlatform(FakeProvider provider, IReadOnlyDictionary<string, string?> settings, Action<IServiceCollection>? services) =>
        (Provider, _settings, _services) = (provider, settings, services);

    public FakeProvider Provider { get; }

    public string DataFolder => _folder.Path;

    public WebApplication App => _app ?? throw new InvalidOperationException("The platform is stopped.");

    public Uri Url => new(App.Urls.First());

    /// <summary>Tenant A.</summary>
    public TestTenant Demo { get; private set; } = null!;

    /// <summary>A client of tenant A.</summary>
    public HttpClient Client => Demo.Client;

    /// <param name="settings">Configuration on top of the tests' own.</param>
    /// <param name="services">Services that take the place of the platform's.</param>
    public static async Task<TestPlatform> StartAsync(IReadOnlyDictionary<string, string?>? settings = null, Action<IServiceCollection>? services = null)
    {
        var platform = new TestPlatform(await FakeProvider.StartAsync(), settings ?? new Dictionary<string, string?>(), services);
        try
        {
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
        _folder.Dispose();
    }

    private async Task StartAsync()
    {
        _app = PlatformHost.Build("platform", ["--urls", "http://127.0.0.1:0"],
            [new TenantModule(), new OrchestratorModule(), new AnalyticsModule(), new GatewayModule()], builder =>
            {
                builder.Configuration.AddInMemoryCollection(Defaults());
                builder.Configuration.AddInMemoryCollection(_settings.Select(s => new KeyValuePair<string, string?>(s.Key, s.Value == ProviderUrl ? Provider.BaseUrl : s.Value)));
                _services?.Invoke(builder.Services);
            });
        await PlatformHost.StartAsync(_app);
        bool first = Demo is null;
        Demo = new TestTenant(TenantRows.IdOf(DataFolder, "demo"), DemoKey, ClientFor(DemoKey));
        if (first) await Client.AddLocalAgentAsync();
    }

    private async Task StopAsync()
    {
        if (_app is null) return;
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(10));
        await _app.StopAsync(limit.Token);
        await _app.DisposeAsync();
        _app = null;
    }

    private Dictionary<string, string?> Defaults()
    {
        var settings = new Dictionary<string, string?>
        {
            ["MAAP_DATA_DIR"] = DataFolder,
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
