using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using MultiAgent.Hosting.Identity;
using MultiAgent.Hosting.Services;

namespace MultiAgent.Hosting;

/// <summary>Rules that every endpoint keeps; checked at start, so that a forgotten scope is found before a client finds it.</summary>
internal static class EndpointRules
{
    public static void Check(WebApplication app)
    {
        string[] open = [.. ((IEndpointRouteBuilder)app).DataSources.SelectMany(s => s.Endpoints)
            .Where(e => e.Metadata.GetMetadata<RequiredScope>() is null && e.Metadata.GetMetadata<AnonymousCaller>() is null && e.Metadata.GetMetadata<InternalEndpoint>() is null)
            .Select(e => e.DisplayName ?? "?")];
        if (open.Length > 0)
            throw new InvalidOperationException($"Endpoints without RequireScope or AllowAnonymousCaller: {string.Join("; ", open)}");
    }
}
