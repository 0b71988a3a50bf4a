using System.Globalization;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Clients;
using MultiAgent.Contracts.Identity;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Errors;
using MultiAgent.Hosting.Limits;
using MultiAgent.Hosting.Services;
using MultiAgent.Hosting.Services.Tls;
using MultiAgent.Hosting.Services.Tokens;
using MultiAgent.Hosting.Telemetry;

namespace MultiAgent.Hosting.Identity;

/// <summary>
/// Authenticates the caller of every endpoint that is not marked anonymous, checks the endpoint's scope, and takes from
/// the caller's rate limit. The platform has its own small notion of a caller instead of claims: a cached, immutable
/// object costs the hot path nothing.
/// </summary>
internal sealed class CallerMiddleware(RequestDelegate next, ITenantDirectory directory, IRateLimiter limiter, HttpMetrics metrics, ActiveUsers activeUsers,
    ServiceTopology topology, ServiceTokens tokens, ServiceTls tls, TimeProvider time)
{
    private readonly ServiceCallers _services = new(next, topology, tokens, tls, time);

    public Task InvokeAsync(HttpContext context)
    {
        Endpoint? endpoint = context.GetEndpoint();
        if (endpoint is null) return next(context);
        if (endpoint.Metadata.GetMetadata<ServiceName>() is { } service) RequestInfo.Of(context).Service = service.Value;
        if (_services.Takes(context, endpoint)) return _services.InvokeAsync(context, endpoint);
        if (endpoint.Metadata.GetMetadata<RequiredScope>() is not { } required)
            return endpoint.Metadata.GetMetadata<AnonymousCaller>() is not null || endpoint is not RouteEndpoint
                ? next(context)
                : throw new InvalidOperationException($"Endpoint '{endpoint.DisplayName}' declares neither a scope nor anonymous access.");
        ValueTask<Caller?> find = FindAsync(context.Request);
        return find.IsCompletedSuccessfully ? ContinueAsync(context, find.Result, required.Scope) : AwaitedAsync(context, find, required.Scope);
    }

    private async Task AwaitedAsync(HttpContext context, ValueTask<Caller?> find, Scopes scope) =>
        await ContinueAsync(context, await find, scope);

    private ValueTask<Caller?> FindAsync(HttpRequest request)
    {
        string? authorization = request.Headers.Authorization;
        string? credential = authorization is not null && authorization.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase)
            ? authorization[7..].Trim()
            : request.Headers["api-key"].ToString() is { Length: > 0 } azure ? azure
            : request.Headers["x-api-key"].ToString() is { Length: > 0 } plain ? plain : null;
        if (string.IsNullOrEmpty(credential) || credential.Length > 8192) return new((Caller?)null);
        // A JWT has two dots and begins with the base64 of '{"'; no API key does.
        return credential.StartsWith("eyJ", StringComparison.Ordinal) && credential.AsSpan().Count('.') == 2
            ? directory.FindByAccessTokenAsync(credential, request.HttpContext.RequestAborted)
            : directory.FindByApiKeyAsync(credential, request.HttpContext.RequestAborted);
    }

    private Task ContinueAsync(HttpContext context, Caller? caller, Scopes scope)
    {
        if (caller is null)
        {
            bool none = context.Request.Headers.Authorization.Count == 0 && context.Request.Headers["api-key"].Count == 0 && context.Request.Headers["x-api-key"].Count == 0;
            return ErrorWriter.WriteAsync(context, 401, ErrorCodes.InvalidApiKey, none
                ? "No credential was sent. Send 'Authorization: Bearer <API key>'."
                : "The API key or token is unknown, expired or revoked.");
        }
        RequestInfo info = RequestInfo.Of(context);
        info.Caller = caller;
        activeUsers.Seen(caller);
        ValueTask<RateLimitDecision> take = limiter.TakeAsync(caller);
        return take.IsCompletedSuccessfully ? DecidedAsync(context, caller, take.Result, scope) : AwaitedAsync(context, caller, take, scope);
    }

    private async Task AwaitedAsync(HttpContext context, Caller caller, ValueTask<RateLimitDecision> take, Scopes scope) =>
        await DecidedAsync(context, caller, await take, scope);

    private Task DecidedAsync(HttpContext context, Caller caller, in RateLimitDecision decision, Scopes scope)
    {
        WriteHeaders(context, decision);
        if (!decision.Allowed)
        {
            metrics.Refused("rate_limited");
            string retry = Math.Max(1, (long)Math.Ceiling(decision.RetryAfter.TotalSeconds)).ToString(CultureInfo.InvariantCulture);
            return ErrorWriter.WriteAsync(context, 429, ErrorCodes.RateLimitExceeded,
                $"The rate limit of {decision.Limit} requests per minute is used up. Try again in {retry} s.", retryAfter: decision.RetryAfter);
        }
        if (!caller.Has(scope))
            return ErrorWriter.WriteAsync(context, 403, ErrorCodes.MissingScope, $"This needs the scope '{string.Join(", ", ScopeNames.ToNames(scope))}', which the credential does not have.");
        return next(context);
    }

    private static void WriteHeaders(HttpContext context, in RateLimitDecision decision)
    {
        if (context.Response.HasStarted) return;
        IHeaderDictionary headers = context.Response.Headers;
        headers["RateLimit-Limit"] = decision.LimitText;
        string remaining = SmallNumbers.Text(decision.Remaining);
        headers["RateLimit-Remaining"] = remaining;
        headers["RateLimit-Reset"] = SmallNumbers.Text((long)Math.Ceiling(decision.ResetAfter.TotalSeconds));
        if (!ErrorWriter.IsOpenAiSurface(context.Request.Path)) return;
        headers["x-ratelimit-limit-requests"] = decision.LimitText;
        headers["x-ratelimit-remaining-requests"] = remaining;
        headers["x-ratelimit-reset-requests"] = SmallNumbers.Milliseconds((long)decision.ResetAfter.TotalMilliseconds);
    }
}
