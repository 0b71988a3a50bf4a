using Microsoft.AspNetCore.Http;
using MultiAgent.Contracts.Identity;

namespace MultiAgent.Hosting.Edge;

/// <summary>What the host knows of the current request.</summary>
public sealed class RequestInfo
{
    /// <summary>The client's <c>X-Request-Id</c> where it sent a usable one, else a new id.</summary>
    public required string RequestId { get; init; }

    /// <summary><see cref="TimeProvider.GetTimestamp"/> when the request arrived.</summary>
    public required long Started { get; init; }

    /// <summary>Set after authentication; null on anonymous endpoints.</summary>
    public Caller? Caller { get; internal set; }

    /// <summary>The pattern of the service's endpoint that answered, where the request was passed on; null otherwise.</summary>
    public string? PassedOnTo { get; set; }

    /// <summary>Set to the endpoint's service by <see cref="ServiceName"/> metadata; the label of its metrics.</summary>
    internal string Service { get; set; } = "platform";

    /// <summary>The info of a request that came through the host.</summary>
    public static RequestInfo Of(HttpContext context) => context.Features.Get<RequestInfo>()
        ?? throw new InvalidOperationException("The request did not pass the host's edge middleware.");
}

/// <summary>Endpoint metadata: the service that an endpoint belongs to.</summary>
public sealed record ServiceName(string Value);

/// <summary>Short ways to what the host put on the request.</summary>
public static class HttpContextExtensions
{
    /// <summary>The authenticated caller.</summary>
    /// <exception cref="InvalidOperationException">The endpoint is anonymous.</exception>
    public static Caller GetCaller(this HttpContext context) => RequestInfo.Of(context).Caller
        ?? throw new InvalidOperationException("This endpoint is anonymous and has no caller.");

    public static string GetRequestId(this HttpContext context) => RequestInfo.Of(context).RequestId;
}
