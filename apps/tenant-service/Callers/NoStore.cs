using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace MultiAgent.Tenants.Callers;

internal static class NoStore
{
    /// <summary>Keeps answers that may hold secrets out of every cache on the way.</summary>
    public static TBuilder NeverCached<TBuilder>(this TBuilder builder) where TBuilder : IEndpointConventionBuilder =>
        builder.AddEndpointFilter(static (context, next) =>
        {
            context.HttpContext.Response.Headers.CacheControl = "no-store";
            return next(context);
        });
}
