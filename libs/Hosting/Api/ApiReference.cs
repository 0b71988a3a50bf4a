using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.OpenApi;
using MultiAgent.Contracts.Identity;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Identity;
using Scalar.AspNetCore;

namespace MultiAgent.Hosting.Api;

/// <summary>OpenAPI at <c>/openapi/v1.json</c>, a browsable reference at <c>/docs</c>, metrics at <c>/metrics</c>.</summary>
internal static class ApiReference
{
    public static void AddApiReference(this IServiceCollection services) => services.AddOpenApi("v1", options =>
    {
        options.AddDocumentTransformer((document, _, _) =>
        {
            document.Info = new OpenApiInfo
            {
                Title = "Multi-AI-Agent Platform",
                Version = "v1",
                Description = "Agents, conversations and runs under /api/v1; an OpenAI-compatible surface under /v1. Errors under /api/v1 are RFC 9457 problem details with a stable code, under /v1 the OpenAI error object.",
            };
            document.Components ??= new OpenApiComponents();
            document.Components.SecuritySchemes ??= new Dictionary<string, IOpenApiSecurityScheme>();
            document.Components.SecuritySchemes["bearer"] = new OpenApiSecurityScheme
            {
                Type = SecuritySchemeType.Http,
                Scheme = "bearer",
                Description = "An API key, or an access token of POST /api/v1/auth/login.",
            };
            return Task.CompletedTask;
        });
        options.AddOperationTransformer((operation, context, _) =>
        {
            if (context.Description.ActionDescriptor.EndpointMetadata.OfType<RequiredScope>().LastOrDefault() is not { } required) return Task.CompletedTask;
            if (required.Scope != Scopes.None)
                operation.Description = $"{operation.Description}\n\nNeeds the scope `{string.Join("`, `", ScopeNames.ToNames(required.Scope))}`.".Trim();
            operation.Security = [new OpenApiSecurityRequirement { [new OpenApiSecuritySchemeReference("bearer", context.Document)] = [] }];
            return Task.CompletedTask;
        });
    });

    public static void MapApiReference(this IEndpointRouteBuilder routes, string hostName)
    {
        RouteGroupBuilder group = routes.MapGroup("").AllowAnonymousCaller().WithMetadata(new ServiceName(hostName));
        group.MapOpenApi("/openapi/{documentName}.json");
        group.MapScalarApiReference("/docs", options => options.WithTitle("Multi-AI-Agent Platform").WithOpenApiRoutePattern("/openapi/v1.json"));
        group.MapPrometheusScrapingEndpoint("/metrics");
    }
}
