using System.Collections.Concurrent;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using MultiAgent.Contracts.Clients;
using MultiAgent.Contracts.Identity;
using MultiAgent.Data.Sqlite;
using MultiAgent.Hosting;
using MultiAgent.Messaging;
using MultiAgent.Models.Dispatch;
using TestStorage = MultiAgent.Testing.TestStorage;

namespace MultiAgent.Orchestrator.Tests.Support;

/// <summary>The module in a real host, on a real port, with a scripted model and two tenants.</summary>
internal sealed class TestHost : IAsyncDisposable
{
    /// <summary>Longest wait for anything; only a failing test waits that long.</summary>
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    private readonly WebApplication _app;
    private readonly bool _ownsFolder;
    private bool _stopped;

    private TestHost(WebApplication app, FakeDispatcher model, FakeSpool spool, string folder, bool ownsFolder)
    {
        _app = app;
        Model = model;
        Spool = spool;
        Folder = folder;
        _ownsFolder = ownsFolder;
        Alpha = Client("alpha");
        Beta = Client("beta");
    }

    public FakeDispatcher Model { get; }
    public FakeSpool Spool { get; }
    public string Folder { get; }
    public IServiceProvider Services => _app.Services;
    public SqliteDatabase Database => Services.GetRequiredKeyedService<SqliteDatabase>("orchestrator");
    public string Url => _app.Urls.First();

    /// <summary>A client of the first tenant.</summary>
    public HttpClient Alpha { get; }

    /// <summary>A client of the second tenant.</summary>
    public HttpClient Beta { get; }

    public static async Task<TestHost> StartAsync(string? folder = null, FakeDispatcher? model = null, Dictionary<string, string?>? settings = null, Action<IServiceCollection>? configure = null)
    {
        bool owns = folder is null;
        folder ??= Directory.CreateTempSubdirectory("maap-orch-").FullName;
        model ??= new FakeDispatcher();
        var spool = new FakeSpool();
        Dictionary<string, string?> storage = settings?.ContainsKey("DATABASE_URL") == true ? [] : await TestStorage.SettingsAsync(folder);
        WebApplication app = PlatformHost.Build("test", ["--urls", "http://127.0.0.1:0"], [new OrchestratorModule()], builder =>
        {
            builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?> { ["Data:Directory"] = folder, ["Data:SyncEveryCommit"] = "false", ["Limits:RequestsPerMinute"] = "1000000", ["Limits:Burst"] = "100000" });
            builder.Configuration.AddInMemoryCollection(storage);
            builder.Configuration.AddInMemoryCollection(settings ?? []);
            builder.Logging.SetMinimumLevel(LogLevel.Warning);
            builder.Services.AddSingleton<ITenantDirectory, FakeTenants>();
            builder.Services.AddSingleton<IModelDispatcher>(model);
            builder.Services.AddSingleton<IEventSpool>(spool);
            builder.Services.PostConfigure<HostOptions>(options => options.ShutdownTimeout = TimeSpan.FromSeconds(3));
            configure?.Invoke(builder.Services);
        });
        await PlatformHost.StartAsync(app);
        return new TestHost(app, model, spool, folder, owns);
    }

    /// <summary>Stops in order and leaves the folder, to be started again.</summary>
    public async Task StopAsync()
    {
        _stopped = true;
        await _app.StopAsync();
        await _app.DisposeAsync();
    }

    public HttpClient Client(string key) => new(new SocketsHttpHandler { MaxConnectionsPerServer = 200 })
    {
        BaseAddress = new Uri(Url),
        Timeout = Deadline,
        DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", key) },
    };

    public async ValueTask DisposeAsync()
    {
        Alpha.Dispose();
        Beta.Dispose();
        try
        {
            if (!_stopped) await StopAsync();
        }
        catch (OperationCanceledException)
        {
            // It takes too long, perhaps since a test has failed: that is what is to be told.
        }
        if (_ownsFolder) Directory.Delete(Folder, recursive: true);
    }
}

/// <summary>Two tenants; the key is the tenant's name, with <c>-limited</c> for one that may run a single run at a time and <c>-reader</c> for one that may only read.</summary>
internal sealed class FakeTenants : ITenantDirectory
{
    private static readonly ConcurrentDictionary<string, Caller> Callers = new();

    public static Caller Of(string key) => Callers.GetOrAdd(key, static key =>
    {
        string tenant = key.Split('-')[0];
        return new Caller
        {
            TenantId = $"ten_{tenant}",
            TenantSlug = tenant,
            ApiKeyId = $"key_{key}",
            UserId = key.EndsWith("-user", StringComparison.Ordinal) ? $"usr_{tenant}" : null,
            Scopes = key.EndsWith("-reader", StringComparison.Ordinal) ? Scopes.AgentsRead | Scopes.RunsRead : Scopes.All,
            Limits = key.EndsWith("-limited", StringComparison.Ordinal) ? new TenantLimits { ConcurrentRuns = 1 } : null,
        };
    });

    public ValueTask<Caller?> FindByApiKeyAsync(string presentedKey, CancellationToken cancellationToken) =>
        new(presentedKey.StartsWith("alpha", StringComparison.Ordinal) || presentedKey.StartsWith("beta", StringComparison.Ordinal) ? Of(presentedKey) : null);

    public ValueTask<Caller?> FindByAccessTokenAsync(string token, CancellationToken cancellationToken) => new((Caller?)null);
}

internal sealed class FakeSpool : IEventSpool
{
    private readonly ConcurrentQueue<JsonElement> _records = new();

    public IReadOnlyList<JsonElement> Journeys => [.. _records];

    public bool IsNearlyFull => false;

    public bool Append(SpoolKind kind, ReadOnlySpan<byte> record)
    {
        Assert.Equal(SpoolKind.Journey, kind);
        _records.Enqueue(JsonDocument.Parse(record.ToArray()).RootElement.Clone());
        return true;
    }
}

/// <summary>Requests as JSON text, answers as JSON: what a client sees on the wire.</summary>
internal static class HttpSteps
{
    public static async Task<(int Status, JsonElement Body, HttpResponseMessage Response)> SendAsync(this HttpClient client, HttpMethod method, string path, object? body = null, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(method, path);
        if (body is not null) request.Content = body is string text ? new StringContent(text, null, "application/json") : JsonContent.Create(body);
        foreach ((string name, string value) in headers) request.Headers.TryAddWithoutValidation(name, value);
        HttpResponseMessage response = await client.SendAsync(request);
        string content = await response.Content.ReadAsStringAsync();
        return ((int)response.StatusCode, content.Length == 0 ? default : JsonDocument.Parse(content).RootElement.Clone(), response);
    }

    public static Task<(int Status, JsonElement Body, HttpResponseMessage Response)> PostJsonAsync(this HttpClient client, string path, object body, params (string Name, string Value)[] headers) =>
        client.SendAsync(HttpMethod.Post, path, body, headers);

    public static Task<(int Status, JsonElement Body, HttpResponseMessage Response)> GetJsonAsync(this HttpClient client, string path, params (string Name, string Value)[] headers) =>
        client.SendAsync(HttpMethod.Get, path, null, headers);

    /// <summary>Makes an agent; <paramref name="more"/> adds members.</summary>
    public static async Task<JsonElement> CreateAgentAsync(this HttpClient client, string slug = "helper", object? more = null)
    {
        var agent = new Dictionary<string, object?> { ["slug"] = slug, ["name"] = slug, ["instructions"] = "Help.", ["model"] = "fake/model" };
        if (more is not null)
            foreach (JsonProperty property in JsonSerializer.SerializeToElement(more).EnumerateObject()) agent[property.Name] = property.Value;
        (int status, JsonElement body, _) = await client.PostJsonAsync("/api/v1/agents", agent);
        Assert.True(status == 201, body.ToString());
        return body;
    }

    public static string Text(this JsonElement element, params string[] path)
    {
        foreach (string name in path) element = element.GetProperty(name);
        return element.GetString()!;
    }
}
