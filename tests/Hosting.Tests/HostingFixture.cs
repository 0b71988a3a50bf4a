using System.Collections.Concurrent;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Clients;
using MultiAgent.Contracts.Identity;
using MultiAgent.Hosting.Api;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Errors;
using MultiAgent.Hosting.Idempotency;
using MultiAgent.Hosting.Identity;
using MultiAgent.Testing;
using Xunit;

namespace MultiAgent.Hosting.Tests;

/// <summary>A module with an endpoint for each thing that the host has to handle.</summary>
internal sealed class ProbeModule : IServiceModule, ITenantDirectory
{
    public string Name => "probe";

    public ConcurrentDictionary<string, int> Executions { get; } = new();

    /// <summary>Ids that <c>/api/v1/once</c> made.</summary>
    public ConcurrentQueue<string> Made { get; } = new();

    /// <summary>Held back requests of <c>/api/v1/hold</c> go on when it completes.</summary>
    public TaskCompletionSource Gate { get; set; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public int Held;

    public void AddServices(IHostApplicationBuilder builder) => builder.Services.AddSingleton<ITenantDirectory>(this);

    public void MapEndpoints(IEndpointRouteBuilder routes)
    {
        foreach (string surface in (string[])["/api/v1", "/v1"])
        {
            RouteGroupBuilder group = routes.MapGroup(surface).RequireScope(Scopes.AgentsRead);
            group.MapGet("/hello", () => "hello");
            group.MapGet("/fail", string () => throw new InvalidOperationException("the inner secret"));
            group.MapGet("/refuse", string () => throw new ApiException(418, ErrorCodes.InvalidRequest, "No.", "thing") { RetryAfter = TimeSpan.FromSeconds(1.2) });
            group.MapGet("/overloaded", string () => throw new OverloadedException("The queue is full."));
            group.MapGet("/write", () => "written").RequireScope(Scopes.AgentsWrite);
            group.MapPost("/echo", (Thing thing) => thing);
            group.MapGet("/list", (int? limit, string? cursor) => PageRequest.Of(limit, cursor).Limit);
        }
        routes.MapPost("/api/v1/once", (Thing thing, HttpContext http) =>
        {
            string id = http.NewId("thg", TimeProvider.System.GetUtcNow());
            Made.Enqueue(id);
            return Executions.AddOrUpdate(thing.Name, 1, (_, n) => n + 1) == 1 ? throw new InvalidOperationException("It was made, and nobody heard of it.") : Results.Json(new { id });
        }).RequireScope(Scopes.AgentsRead).Idempotent();
        routes.MapGet("/api/v1/hold", async () =>
        {
            Interlocked.Increment(ref Held);
            await Gate.Task;
            return "held";
        }).AllowAnonymousCaller();
        routes.MapPost("/api/v1/things", async (Thing thing, HttpContext http, CancellationToken cancellationToken) =>
        {
            int count = Executions.AddOrUpdate(thing.Name, 1, (_, n) => n + 1);
            if (thing.Wait)
            {
                Interlocked.Increment(ref Held);
                await Gate.Task.WaitAsync(cancellationToken);
            }
            return thing.Status == 201 ? Results.Created($"/api/v1/things/{thing.Name}", new { count }) : Results.Json(new { count }, statusCode: thing.Status);
        }).RequireScope(Scopes.AgentsRead).Idempotent();
    }

    public ValueTask<Caller?> FindByApiKeyAsync(string presentedKey, CancellationToken cancellationToken) => new(presentedKey.StartsWith("key-", StringComparison.Ordinal)
        ? new Caller
        {
            TenantId = "ten_" + presentedKey.Split('-')[1],
            TenantSlug = presentedKey.Split('-')[1],
            ApiKeyId = presentedKey,
            Scopes = Scopes.AgentsRead,
            Limits = presentedKey.Contains("tiny", StringComparison.Ordinal) ? new TenantLimits { RequestsPerMinute = 60, Burst = 1 } : null,
        }
        : null);

    public ValueTask<Caller?> FindByAccessTokenAsync(string token, CancellationToken cancellationToken) => new((Caller?)null);
}

internal sealed record Thing
{
    public required string Name { get; init; }
    public int Status { get; init; } = 201;
    public bool Wait { get; init; }
    public JsonElement? Data { get; init; }
}

internal sealed record Reply(int Status, HttpResponseHeaders Headers, string Text, string? ContentType)
{
    public JsonElement Json => JsonDocument.Parse(Text).RootElement;
}

/// <summary>The host with the probe module over real HTTP.</summary>
public sealed class HostingFixture : IAsyncLifetime
{
    private readonly TempFolder _folder = new();
    private WebApplication _app = null!;

    internal ProbeModule Module { get; } = new();

    internal HttpClient Client { get; private set; } = null!;

    internal Dictionary<string, string?> Settings { get; } = [];

    public async ValueTask InitializeAsync()
    {
        _app = PlatformHost.Build("test", ["--urls", "http://127.0.0.1:0"], [Module], builder => builder.Configuration.AddInMemoryCollection(
            new Dictionary<string, string?>(Settings) { ["MAAP_DATA_DIR"] = _folder.Path, ["Data:SyncEveryCommit"] = "false", ["Logging:LogLevel:Default"] = "None" }));
        await PlatformHost.StartAsync(_app);
        Client = new HttpClient { BaseAddress = new Uri(_app.Urls.First()) };
    }

    internal async Task<Reply> SendAsync(HttpMethod method, string path, string? body = null, string? key = "key-a", params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(method, path);
        if (key is not null) request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        foreach ((string name, string value) in headers) request.Headers.TryAddWithoutValidation(name, value);
        if (body is not null) request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        using HttpResponseMessage response = await Client.SendAsync(request);
        return new Reply((int)response.StatusCode, response.Headers, await response.Content.ReadAsStringAsync(), response.Content.Headers.ContentType?.MediaType);
    }

    public async ValueTask DisposeAsync()
    {
        Client?.Dispose();
        await _app.DisposeAsync();
        _folder.Dispose();
    }
}
