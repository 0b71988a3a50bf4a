using System.Security.Claims;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using ModelContextProtocol.AspNetCore;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;
using MultiAgent.Contracts.Identity;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Identity;

namespace MultiAgent.Orchestrator.Mcp;

/// <summary>/mcp: the tenant's agents and workflows as tools of an MCP server over Streamable HTTP.</summary>
internal static class McpEndpoint
{
    private const string Path = "/mcp";

    public static IServiceCollection AddPlatformMcp(this IServiceCollection services)
    {
        services.TryAddSingleton<McpRuns>();
        services.TryAddSingleton<ISessionMigrationHandler, SessionAdoption>();
        services.AddMcpServer(options =>
        {
            options.ServerInfo = new Implementation { Name = "maap", Title = "Multi-AI-Agent Platform", Version = typeof(McpEndpoint).Assembly.GetName().Version?.ToString(3) ?? "0" };
            options.ServerInstructions = "Each tool runs an agent or a workflow of the tenant.";
        }).WithHttpTransport(Configure);
        return services;
    }

    /// <summary>Sessions for clients that shake hands, none for those of newer revisions; whoever comes back to another replica is taken over there.</summary>
    public static void Configure(HttpServerTransportOptions transport)
    {
        transport.SessionMode = HttpServerSessionMode.StatefulForInitializeClients;
        transport.ConfigureSessionOptions = static (http, options, _) =>
        {
            http.RequestServices.GetRequiredService<McpRuns>().Serve(http.GetCaller(), http.Request.Headers["Mcp-Session-Id"], options);
            return Task.CompletedTask;
        };
    }

    public static void MapPlatformMcp(this IEndpointRouteBuilder routes)
    {
        IEndpointConventionBuilder endpoints = routes.MapMcp(Path);
        endpoints.RequireScope(Scopes.RunsWrite).DisableRequestTimeout().WithTags("MCP");
        endpoints.Finally(static endpoint =>
        {
            RequestDelegate inner = endpoint.RequestDelegate!;
            // The library ties a session to whom it began with, and knows them by this claim.
            endpoint.RequestDelegate = http =>
            {
                Caller caller = http.GetCaller();
                http.User = new ClaimsPrincipal(new ClaimsIdentity([new Claim(ClaimTypes.NameIdentifier, $"{caller.TenantId}/{caller.UserId ?? caller.ApiKeyId}")], "maap"));
                return inner(http);
            };
        });
    }

    /// <summary>
    /// A session that began in another replica. There is nothing in it but who the caller is, and that is checked with every request: so it can go on anywhere.
    /// </summary>
    private sealed class SessionAdoption : ISessionMigrationHandler
    {
        public ValueTask OnSessionInitializedAsync(HttpContext context, string sessionId, InitializeRequestParams initializeParams, CancellationToken cancellationToken) => ValueTask.CompletedTask;

        public ValueTask<InitializeRequestParams?> AllowSessionMigrationAsync(HttpContext context, string sessionId, CancellationToken cancellationToken) => new(new InitializeRequestParams
        {
            ProtocolVersion = context.Request.Headers["MCP-Protocol-Version"] is [{ Length: > 0 } version, ..] ? version : "2025-03-26",
            ClientInfo = new Implementation { Name = "unknown", Version = "0" },
            Capabilities = new ClientCapabilities(),
        });
    }
}
