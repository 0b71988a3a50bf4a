using System.Net.WebSockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using MultiAgent.Contracts.Clients;
using MultiAgent.Contracts.Identity;
using MultiAgent.Gateway;
using MultiAgent.Hosting;
using MultiAgent.Hosting.Identity;

namespace MultiAgent.Platform.Integration.Tests.Services;

/// <summary>A stand-in for the orchestrator with endpoints that try the proxy, and a gateway before it.</summary>
internal sealed class StubService : IServiceModule, ITenantDirectory
{
    private static readonly Caller Demo = new() { TenantId = "ten_demo", TenantSlug = "demo", ApiKeyId = "key_demo", Scopes = Scopes.All };

    public string Name => "orchestrator";

    /// <summary>Requests that were served.</summary>
    public int Served;

    public void AddServices(IHostApplicationBuilder builder) => builder.Services.AddSingleton<ITenantDirectory>(this);

    public void MapEndpoints(IEndpointRouteBuilder routes)
    {
        RouteGroupBuilder group = routes.MapGroup("").RequireScope(Scopes.AgentsRead);
        group.MapGet("/api/v1/agents", (HttpContext context) =>
        {
            Interlocked.Increment(ref Served);
            return context.Request.Headers.ToDictionary(h => h.Key, h => h.Value.ToString());
        });
        group.MapPost("/api/v1/agents", async (HttpContext context) =>
        {
            Interlocked.Increment(ref Served);
            using var reader = new StreamReader(context.Request.Body);
            return await reader.ReadToEndAsync();
        });
        // Longer than the gateway's limit of one second: routes of streams have none.
        group.MapGet("/api/v1/agents/slow", (CancellationToken cancellationToken) => Task.Delay(TimeSpan.FromSeconds(30), cancellationToken)).DisableRequestTimeout();
        group.MapGet("/api/v1/chat/slow", async (CancellationToken cancellationToken) =>
        {
            await Task.Delay(TimeSpan.FromSeconds(2), cancellationToken);
            return "done";
        }).DisableRequestTimeout();
        group.MapGet("/api/v1/chat/socket", EchoAsync).DisableRequestTimeout();
    }

    public ValueTask<Caller?> FindByApiKeyAsync(string presentedKey, CancellationToken cancellationToken) => new(presentedKey == TestPlatform.DemoKey ? Demo : null);

    public ValueTask<Caller?> FindByAccessTokenAsync(string token, CancellationToken cancellationToken) => new((Caller?)null);

    /// <summary>Starts a host: this service, or the gateway in front of it.</summary>
    public static async Task<WebApplication> HostAsync(string name, IServiceModule module, TempFolder folder, IReadOnlyDictionary<string, string?> settings, ITenantDirectory directory, string url = "http://127.0.0.1:0")
    {
        WebApplication host = PlatformHost.Build(name, ["--urls", url], [module], builder =>
        {
            builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
            {
                ["MAAP_DATA_DIR"] = folder.Path,
                ["Services:Secret"] = TestPlatform.ServiceSecret,
                ["Limits:DrainDelaySeconds"] = "0",
                ["Limits:RequestTimeoutSeconds"] = "1",
                ["OPENAI_API_KEY"] = "",
                ["ANTHROPIC_API_KEY"] = "",
                ["Logging:Console:LogLevel:Default"] = "Error",
            });
            builder.Configuration.AddInMemoryCollection(settings);
            builder.Services.AddSingleton(directory);
        });
        await PlatformHost.StartAsync(host);
        return host;
    }

    public static GatewayModule Gateway => new();

    private static async Task EchoAsync(HttpContext context)
    {
        if (context.Features.Get<Microsoft.AspNetCore.Http.Features.IHttpUpgradeFeature>() is not { IsUpgradableRequest: true } upgrade)
        {
            context.Response.StatusCode = 400;
            return;
        }
        string accept = Convert.ToBase64String(System.Security.Cryptography.SHA1.HashData(System.Text.Encoding.ASCII.GetBytes(context.Request.Headers.SecWebSocketKey + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")));
        context.Response.Headers.SecWebSocketAccept = accept;
        context.Response.Headers.Upgrade = "websocket";
        await using Stream stream = await upgrade.UpgradeAsync();
        using var socket = WebSocket.CreateFromStream(stream, new WebSocketCreationOptions { IsServer = true });
        byte[] buffer = new byte[4096];
        while (true)
        {
            WebSocketReceiveResult received = await socket.ReceiveAsync(buffer, context.RequestAborted);
            if (received.MessageType == WebSocketMessageType.Close)
            {
                await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, null, context.RequestAborted);
                return;
            }
            await socket.SendAsync(buffer.AsMemory(0, received.Count), received.MessageType, received.EndOfMessage, context.RequestAborted);
        }
    }
}
