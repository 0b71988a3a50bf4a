using System.Globalization;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Identity;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Errors;
using MultiAgent.Hosting.Services;
using MultiAgent.Hosting.Services.Calls;
using MultiAgent.Hosting.Services.Tls;
using MultiAgent.Hosting.Services.Tokens;

namespace MultiAgent.Hosting.Identity;

/// <summary>
/// Requests that another service of the platform sends, with a token that says on whose behalf. The front door has taken the caller's rate limit; what the
/// endpoint asks of the caller is checked here. Without a token that can be verified the request is refused: nothing in it is believed.
/// </summary>
internal sealed class ServiceCallers(RequestDelegate next, ServiceTopology topology, ServiceTokens tokens, ServiceTls tls, TimeProvider time)
{
    /// <summary>True for a request that is to be handled here. At the front door the header means nothing: nobody inside calls it.</summary>
    public bool Takes(HttpContext context, Endpoint endpoint) => topology.IsCalledInside
        && (context.Request.Headers.ContainsKey(ServiceTokens.Header) || endpoint.Metadata.GetMetadata<InternalEndpoint>() is not null);

    public async Task InvokeAsync(HttpContext context, Endpoint endpoint)
    {
        if (tls.IsOn && context.Connection.ClientCertificate is null)
        {
            await ErrorWriter.WriteAsync(context, 401, ErrorCodes.ClientCertificateRequired, "Services show a client certificate to each other.");
            return;
        }
        string? token = context.Request.Headers[ServiceTokens.Header];
        if (string.IsNullOrEmpty(token) || await tokens.VerifyAsync(token) is not { } call)
        {
            await ErrorWriter.WriteAsync(context, 401, ErrorCodes.InvalidServiceToken, $"The header '{ServiceTokens.Header}' is missing, expired, or not meant for this service.");
            return;
        }
        if (call.ClientAddress is not null) context.Connection.RemoteIpAddress = call.ClientAddress;
        RequestInfo.Of(context).Caller = call.Caller;
        context.Response.Headers[ServiceHttp.RouteHeader] = (endpoint as RouteEndpoint)?.RoutePattern.RawText;
        if (endpoint.Metadata.GetMetadata<RequiredScope>() is { } required)
        {
            if (call.Caller is not { } caller)
            {
                await ErrorWriter.WriteAsync(context, 401, ErrorCodes.InvalidApiKey, "No credential was sent. Send 'Authorization: Bearer <API key>'.");
                return;
            }
            if (!caller.Has(required.Scope))
            {
                await ErrorWriter.WriteAsync(context, 403, ErrorCodes.MissingScope, $"This needs the scope '{string.Join(", ", ScopeNames.ToNames(required.Scope))}', which the credential does not have.");
                return;
            }
        }
        if (long.TryParse(context.Request.Headers[ServiceHttp.TimeLimitHeader], NumberStyles.None, CultureInfo.InvariantCulture, out long limit))
            await LimitedAsync(context, TimeSpan.FromMilliseconds(Math.Clamp(limit, 1, int.MaxValue)));
        else await next(context);
    }

    // Nobody waits any longer than this for the answer.
    private async Task LimitedAsync(HttpContext context, TimeSpan limit)
    {
        CancellationToken left = context.RequestAborted;
        using var timer = new CancellationTokenSource(limit, time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, left);
        context.RequestAborted = linked.Token;
        try
        {
            await next(context);
        }
        catch (OperationCanceledException) when (timer.IsCancellationRequested && !left.IsCancellationRequested && !context.Response.HasStarted)
        {
            context.RequestAborted = left;
            await ErrorWriter.WriteAsync(context, 504, ErrorCodes.RequestTimeout, "The time limit that the caller set has passed.");
        }
        finally
        {
            context.RequestAborted = left;
        }
    }
}
