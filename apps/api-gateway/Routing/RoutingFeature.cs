using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using MultiAgent.Contracts.Identity;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Identity;
using MultiAgent.Hosting.Limits;
using MultiAgent.Hosting.Services;
using MultiAgent.Hosting.Services.Calls;
using MultiAgent.Hosting.Services.Tls;
using MultiAgent.Hosting.Services.Tokens;
using Yarp.ReverseProxy.Transforms;

namespace MultiAgent.Gateway.Routing;

/// <summary>
/// Passes requests on to services in other processes. The caller is authenticated and counted here; the service gets a token that says who it is, in
/// place of the credential.
/// </summary>
internal static class RoutingFeature
{
    // What the gateway knows and a client must not say: services believe the token alone, and would not look at these.
    private static readonly string[] NotFromOutside = [ServiceTokens.Header, ServiceHttp.TimeLimitHeader, "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix", "Forwarded"];

    public static void AddRouting(this IHostApplicationBuilder builder)
    {
        ServiceTopology topology = builder.Topology();
        if (topology.Remote.Count == 0) return;
        IServiceCollection services = builder.Services;
        services.AddReverseProxy()
            .LoadFromMemory(RouteTable.RoutesOf(topology.Remote), RouteTable.ClustersOf(topology.Remote))
            .AddTransforms<ServiceTransforms>();
        services.AddSingleton<Yarp.ReverseProxy.Forwarder.IForwarderHttpClientFactory, ServiceHttpClientFactory>();
        services.AddSingleton<MergedDocument>();
    }

    public static void MapRouting(this IEndpointRouteBuilder routes)
    {
        if (routes.ServiceProvider.GetRequiredService<ServiceTopology>().Remote.Count == 0) return;
        routes.MapReverseProxy(proxy =>
        {
            proxy.UseMiddleware<ProxyRetry>();
            proxy.UseLoadBalancing();
            proxy.UsePassiveHealthChecks();
        }).ConfigureEndpoints((endpoint, route) =>
        {
            if (route.Metadata?.ContainsKey(RouteTable.Anonymous) == true) endpoint.AllowAnonymousCaller();
            else endpoint.AllowAnyCaller();
        });
        routes.MapGet("/openapi/v1.json", (MergedDocument document, CancellationToken cancellationToken) => document.GetAsync(cancellationToken))
            .AllowAnonymousCaller().ExcludeFromDescription();
    }

    private sealed class ServiceTransforms(ServiceTokens tokens, IOptions<LimitsOptions> limits, TimeProvider time) : Yarp.ReverseProxy.Transforms.Builder.ITransformProvider
    {
        public void ValidateRoute(Yarp.ReverseProxy.Transforms.Builder.TransformRouteValidationContext context)
        {
        }

        public void ValidateCluster(Yarp.ReverseProxy.Transforms.Builder.TransformClusterValidationContext context)
        {
        }

        public void Apply(Yarp.ReverseProxy.Transforms.Builder.TransformBuilderContext context)
        {
            string service = context.Route.ClusterId!;
            bool unlimited = context.Route.TimeoutPolicy is not null;
            TimeSpan limit = TimeSpan.FromSeconds(limits.Value.RequestTimeoutSeconds);
            bool anonymous = context.Route.Metadata?.ContainsKey(RouteTable.Anonymous) == true;
            context.UseDefaultForwarders = false;
            context.AddRequestTransform(request =>
            {
                RequestInfo info = RequestInfo.Of(request.HttpContext);
                System.Net.Http.Headers.HttpRequestHeaders headers = request.ProxyRequest.Headers;
                foreach (string name in NotFromOutside) headers.Remove(name);
                if (!anonymous)
                {
                    // The credential has done its work, and stays here.
                    headers.Remove("Authorization");
                    headers.Remove("api-key");
                    headers.Remove("x-api-key");
                }
                headers.Remove("X-Request-Id");
                headers.TryAddWithoutValidation("X-Request-Id", info.RequestId);
                headers.TryAddWithoutValidation(ServiceTokens.Header, tokens.Issue(service, info.Caller, request.HttpContext.Connection.RemoteIpAddress));
                // What nobody waits for any more need not be finished.
                if (!unlimited)
                    headers.TryAddWithoutValidation(ServiceHttp.TimeLimitHeader, Math.Max(1, (limit - time.GetElapsedTime(info.Started)).TotalMilliseconds).ToString("0", CultureInfo.InvariantCulture));
                return default;
            });
            context.AddResponseTransform(response =>
            {
                RequestInfo info = RequestInfo.Of(response.HttpContext);
                IHeaderDictionary headers = response.HttpContext.Response.Headers;
                // The service has it from here, and says it again.
                headers["X-Request-Id"] = info.RequestId;
                info.PassedOnTo = headers[ServiceHttp.RouteHeader];
                headers.Remove(ServiceHttp.RouteHeader);
                return default;
            });
        }
    }

    private sealed class ServiceHttpClientFactory(ServiceTls tls) : Yarp.ReverseProxy.Forwarder.ForwarderHttpClientFactory
    {
        protected override void ConfigureHandler(Yarp.ReverseProxy.Forwarder.ForwarderHttpClientContext context, SocketsHttpHandler handler)
        {
            base.ConfigureHandler(context, handler);
            ServiceHttp.Configure(handler, tls);
        }
    }
}
