using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using MultiAgent.Contracts.Clients;
using MultiAgent.Contracts.Identity;
using MultiAgent.Hosting.Services.Tokens;

namespace MultiAgent.Hosting.Services.Clients;

/// <summary>The other side of <see cref="TenantDirectoryClient"/>.</summary>
internal static class TenantDirectoryEndpoints
{
    public static void MapTenantDirectory(this RouteGroupBuilder group) => group.MapPost("/callers/find", FindAsync);

    private static async Task<Results<JsonHttpResult<WireCaller>, NoContent>> FindAsync(CredentialQuery query, HttpContext http, ITenantDirectory directory)
    {
        Caller? caller = query switch
        {
            { ApiKey: { } key } => await directory.FindByApiKeyAsync(key, http.RequestAborted),
            { AccessToken: { } token } => await directory.FindByAccessTokenAsync(token, http.RequestAborted),
            _ => null,
        };
        http.Response.Headers.CacheControl = "no-store";
        if (caller is null) return TypedResults.NoContent();
        return TypedResults.Json(WireCaller.Of(caller), ServiceJson.Default.WireCaller);
    }
}
