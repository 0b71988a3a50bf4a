using Microsoft.AspNetCore.Builder;
using MultiAgent.Contracts.Identity;

namespace MultiAgent.Hosting.Identity;

/// <summary>Endpoint metadata: the scope that a caller needs.</summary>
public sealed record RequiredScope(Scopes Scope);

/// <summary>Endpoint metadata: anybody may call it.</summary>
public sealed record AnonymousCaller;

/// <summary>Declares who may call an endpoint or group. One of them is needed on every endpoint; the start fails otherwise.</summary>
public static class EndpointAccess
{
    public static TBuilder RequireScope<TBuilder>(this TBuilder builder, Scopes scope) where TBuilder : IEndpointConventionBuilder
    {
        // The last word wins, so that one endpoint can ask for more than its group.
        builder.Add(endpoint =>
        {
            foreach (RequiredScope old in endpoint.Metadata.OfType<RequiredScope>().ToArray()) endpoint.Metadata.Remove(old);
            endpoint.Metadata.Add(new RequiredScope(scope));
        });
        return builder;
    }

    /// <summary>For endpoints about the caller itself: any valid credential will do, whatever its scopes.</summary>
    public static TBuilder AllowAnyCaller<TBuilder>(this TBuilder builder) where TBuilder : IEndpointConventionBuilder =>
        builder.RequireScope(Scopes.None);

    public static TBuilder AllowAnonymousCaller<TBuilder>(this TBuilder builder) where TBuilder : IEndpointConventionBuilder
    {
        builder.Add(endpoint => endpoint.Metadata.Add(new AnonymousCaller()));
        return builder;
    }
}
