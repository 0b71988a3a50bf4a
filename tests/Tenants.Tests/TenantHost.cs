using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Hosting;
using MultiAgent.Testing;
using Xunit;

namespace MultiAgent.Tenants.Tests;

/// <summary>The tenant service over real HTTP, on a data folder of its own.</summary>
public sealed class TenantHost : IAsyncDisposable
{
    public const string BootstrapKey = "maap_test-bootstrap-key-0123456789abcdef";
    public const string OwnerEmail = "owner@demo.local";
    public const string OwnerPassword = "a-password-for-the-owner";
    public const string OperatorToken = "operator-token-0123456789-0123456789";

    private readonly WebApplication _app;
    private readonly HttpClient _client;
    private static int _names;

    private TenantHost(WebApplication app)
    {
        _app = app;
        _client = new HttpClient { BaseAddress = new Uri(app.Urls.First()), Timeout = TimeSpan.FromSeconds(60) };
    }

    public IServiceProvider Services => _app.Services;

    public HttpClient Client => _client;

    /// <summary>Starts on a folder. Settings with a null value are left out of the defaults.</summary>
    public static async Task<TenantHost> StartAsync(string folder, TimeProvider? time = null, params (string Key, string? Value)[] settings)
    {
        var values = new Dictionary<string, string?>
        {
            ["MAAP_DATA_DIR"] = folder,
            ["MAAP_BOOTSTRAP_API_KEY"] = BootstrapKey,
            ["MAAP_BOOTSTRAP_ADMIN_PASSWORD"] = OwnerPassword,
            ["MAAP_OPERATOR_TOKEN"] = OperatorToken,
            ["Auth:AttemptsPerMinute"] = "100000",
            ["Auth:AttemptBurst"] = "100000",
            ["Data:SyncEveryCommit"] = "false",
            ["Logging:LogLevel:Default"] = "Error",
            ["urls"] = "http://127.0.0.1:0",
        };
        foreach ((string key, string? value) in await TestStorage.SettingsAsync(folder)) values[key] = value;
        foreach ((string key, string? value) in settings)
        {
            if (value is null) values.Remove(key);
            else values[key] = value;
        }
        WebApplication app = PlatformHost.Build("test", ["--urls", values["urls"]!], [new TenantModule()], builder =>
        {
            builder.Configuration.AddInMemoryCollection(values);
            if (time is not null) builder.Services.AddSingleton(time);
        });
        try
        {
            await PlatformHost.StartAsync(app);
            return new TenantHost(app);
        }
        catch
        {
            await app.DisposeAsync();
            throw;
        }
    }

    public static string NewName(string prefix) => $"{prefix}-{Interlocked.Increment(ref _names)}";

    /// <summary>Sends a request; the body is an object to write as JSON, or a string to send as it is.</summary>
    public async Task<Reply> SendAsync(HttpMethod method, string path, string? credential, object? body = null, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(method, path);
        if (credential is not null) request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", credential);
        foreach ((string name, string value) in headers) request.Headers.TryAddWithoutValidation(name, value);
        if (body is not null) request.Content = new StringContent(body as string ?? JsonSerializer.Serialize(body), Encoding.UTF8, "application/json");
        using HttpResponseMessage response = await _client.SendAsync(request);
        return new Reply((int)response.StatusCode, response.Headers, await response.Content.ReadAsStringAsync());
    }

    public Task<Reply> GetAsync(string path, string? credential = BootstrapKey) => SendAsync(HttpMethod.Get, path, credential);

    public Task<Reply> PostAsync(string path, object? body, string? credential = BootstrapKey, params (string, string)[] headers) => SendAsync(HttpMethod.Post, path, credential, body, headers);

    public Task<Reply> PatchAsync(string path, object body, string? credential = BootstrapKey) => SendAsync(HttpMethod.Patch, path, credential, body);

    public Task<Reply> DeleteAsync(string path, string? credential = BootstrapKey) => SendAsync(HttpMethod.Delete, path, credential);

    public Task<Reply> OperatorAsync(HttpMethod method, string path, object? body = null, string token = OperatorToken) =>
        SendAsync(method, path, null, body, ("X-Operator-Token", token));

    public Task<Reply> LoginAsync(string email = OwnerEmail, string password = OwnerPassword, string? tenant = null) =>
        PostAsync("/api/v1/auth/login", tenant is null ? new { email, password } : new { email, password, tenant }, null);

    public Task<Reply> RefreshAsync(string refreshToken) => PostAsync("/api/v1/auth/refresh", new { refreshToken }, null);

    /// <summary>Creates a user with a known password, logs in, and returns the user's id and tokens.</summary>
    public async Task<(string Id, string Email, string Access, string Refresh)> NewUserAsync(string role, string credential = BootstrapKey)
    {
        string email = $"{NewName(role)}@example.com";
        Reply user = (await PostAsync("/api/v1/users", new { email, name = "Somebody", role, password = "a-long-enough-password" }, credential)).Expect(201);
        Reply login = (await LoginAsync(email, "a-long-enough-password")).Expect(200);
        return (user["id"], email, login["accessToken"], login["refreshToken"]);
    }

    /// <summary>Creates a tenant and returns its id and its owner's API key.</summary>
    public async Task<(string Id, string Slug, string Key)> NewTenantAsync()
    {
        string slug = NewName("tenant");
        Reply reply = (await OperatorAsync(HttpMethod.Post, "/api/v1/tenants", new { slug, name = "Another", ownerEmail = $"owner@{slug}.example", ownerPassword = OwnerPassword })).Expect(201);
        return (reply.Json.GetProperty("tenant").GetProperty("id").GetString()!, slug, reply["apiKey"]);
    }

    /// <summary>What a person reads on the console after the start.</summary>
    public string StartedText()
    {
        var text = new StringWriter();
        foreach (IStartedMessage message in _app.Services.GetServices<IStartedMessage>()) message.Write("http://localhost:8080", text);
        return text.ToString();
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _app.DisposeAsync();
    }
}

/// <summary>One host for the tests of a class.</summary>
public sealed class TenantFixture : IAsyncLifetime
{
    private readonly TempFolder _folder = new();

    public TenantHost Host { get; private set; } = null!;

    public string Folder => _folder.Path;

    public async ValueTask InitializeAsync() => Host = await TenantHost.StartAsync(_folder.Path);

    public async ValueTask DisposeAsync()
    {
        await Host.DisposeAsync();
        _folder.Dispose();
    }
}
