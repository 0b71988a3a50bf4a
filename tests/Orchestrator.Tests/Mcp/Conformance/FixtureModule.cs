#pragma warning disable MCP9005 // Logging and sampling are obsolete in a later revision; the one that is tested here has them.
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using ModelContextProtocol.AspNetCore;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;
using MultiAgent.Contracts.Clients;
using MultiAgent.Hosting;
using MultiAgent.Hosting.Identity;
using MultiAgent.Orchestrator.Mcp;
using MultiAgent.Orchestrator.Tests.Support;

namespace MultiAgent.Orchestrator.Tests.Mcp.Conformance;

/// <summary>
/// The server that the conformance suite wants to meet: every feature of the protocol, with the names and texts that it looks for. It stands where the product's stands,
/// behind the platform's own pipeline and with the product's transport; only what is served is the suite's.
/// </summary>
internal sealed class FixtureModule : IServiceModule
{
    public string Name => "mcp-fixture";

    public void AddServices(IHostApplicationBuilder builder)
    {
        builder.Services.TryAddSingleton<ITenantDirectory, FakeTenants>();
        builder.Services.AddMcpServer(static options =>
        {
            options.ServerInfo = new Implementation { Name = "maap-fixture", Version = "1" };
            options.Capabilities = new ServerCapabilities
            {
                Tools = new ToolsCapability(), Prompts = new PromptsCapability(), Resources = new ResourcesCapability { Subscribe = true }, Completions = new CompletionsCapability(),
            };
            options.Capabilities.Logging = new LoggingCapability();
            options.Handlers = new McpServerHandlers
            {
                ListToolsHandler = static (_, _) => new(new ListToolsResult { Tools = [.. FixtureTools.All] }),
                CallToolHandler = static (request, token) => FixtureTools.CallAsync(request, token),
                ListResourcesHandler = static (_, _) => new(FixtureResources.List()),
                ListResourceTemplatesHandler = static (_, _) => new(FixtureResources.Templates()),
                ReadResourceHandler = static (request, _) => new(FixtureResources.Read(request.Params!.Uri)),
                SubscribeToResourcesHandler = static (_, _) => new(new EmptyResult()),
                UnsubscribeFromResourcesHandler = static (_, _) => new(new EmptyResult()),
                ListPromptsHandler = static (_, _) => new(FixturePrompts.List()),
                GetPromptHandler = static (request, _) => new(FixturePrompts.Get(request.Params!)),
                CompleteHandler = static (_, _) => new(new CompleteResult { Completion = new Completion { Values = [], Total = 0, HasMore = false } }),
                SetLoggingLevelHandler = static (_, _) => new(new EmptyResult()),
            };
        }).WithHttpTransport(static transport =>
        {
            McpEndpoint.Configure(transport);
            // The product's serves the caller's tenant.
            transport.ConfigureSessionOptions = null;
        });
    }

    public void MapEndpoints(IEndpointRouteBuilder routes) => routes.MapMcp("/mcp").AllowAnonymousCaller().DisableRequestTimeout().Finally(static endpoint =>
    {
        RequestDelegate inner = endpoint.RequestDelegate!;
        // Without credentials, a page in a browser could reach it under a name that leads here: the product's asks for a key instead.
        endpoint.RequestDelegate = http =>
        {
            if (IsLocal(http.Request.Host.Host) && (http.Request.Headers.Origin.ToString() is not { Length: > 0 } origin || (Uri.TryCreate(origin, UriKind.Absolute, out Uri? from) && IsLocal(from.Host)))) return inner(http);
            http.Response.StatusCode = StatusCodes.Status403Forbidden;
            return Task.CompletedTask;
        };
    });

    private static bool IsLocal(string host) => host is "localhost" or "127.0.0.1" or "[::1]" or "::1";
}
