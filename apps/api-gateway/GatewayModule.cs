using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using MultiAgent.Gateway.ChatPage;
using MultiAgent.Gateway.OpenAi;
using MultiAgent.Gateway.Providers;
using MultiAgent.Gateway.Requests;
using MultiAgent.Gateway.Routing;
using MultiAgent.Hosting;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Health;
using MultiAgent.Messaging;
using MultiAgent.Models;

namespace MultiAgent.Gateway;

/// <summary>The front door: the OpenAI-compatible surface, the chat page, and the log of requests.</summary>
public sealed class GatewayModule : IServiceModule
{
    public string Name => "api-gateway";

    public void AddServices(IHostApplicationBuilder builder)
    {
        builder.AddMessaging();
        builder.Services.AddModels(builder.Configuration);
        builder.Services.AddOpenAiSurface();
        builder.Services.AddOptions<RequestLogOptions>().BindConfiguration("RequestLog");
        builder.Services.AddSingleton<IRequestLog, RequestLog>();
        builder.Services.AddSingleton<IHealthProbeSource, ProviderProbes>();
        builder.AddRouting();
    }

    public void MapEndpoints(IEndpointRouteBuilder routes)
    {
        routes.MapOpenAiSurface();
        routes.MapChatPage();
        routes.MapRouting();
    }
}
